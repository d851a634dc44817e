/* trace.c - `gthread trace`: records what the scheduler of a process does
 *
 * The library writes its events into a file of memory that this process maps as well
 * (sched/event.c, eventlog.h). It is switched on and off by a word in the process's memory. What is
 * read is spooled to a temporary file, and made into the trace at the end (timeline.c).
 */
#include "trace.h"

#include "gthread.h"
#include "launch.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static const char help_text[] =
    "usage: gthread trace [OPTION...] PID\n"
    "       gthread trace [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Records what the scheduler of a process does, or of a program from its start: which goroutine "
    "runs\n"
    "where and when, for what each waits, who readies it. The file opens in ui.perfetto.dev and "
    "chrome://tracing.\n"
    "A process is traced until it ends, the time is over or SIGINT comes.\n"
    "\n"
    "  -o, --output=FILE     default gthread-trace.json; - is stdout; FILE.gz is compressed\n"
    "  -d, --duration=SECONDS  end the trace after so long, 0.001 to 86400\n"
    "      --events=N        keep up to N events of each P until they are read, 1024 to 16777216\n"
    "                        (default 131072); if more come at a time, some are lost\n"
    "  -p, --procs=N         PROGRAM: run on N Ps, 1 to 1024\n"
    "      --library=PATH    PROGRAM: the libgthread.so to use\n"
    "\n"
    "Exit status: PROGRAM's, else 0; 125 if nothing can be recorded (no such process, no "
    "permission, not\n"
    "gthread, full disk), 126 if PROGRAM cannot be run, 127 if there is none.\n";

static struct options {
    const char *output;
    double seconds; /* 0: no end */
    uint32_t slots;
    struct launch launch;
} options = {.output = "gthread-trace.json", .slots = 1 << 17};

/* How often the rings are emptied. A busy P writes some million events a second, so that the
 * default number of them lasts for 50 ms. */
#define LOOK_MS 2
#define LOOK_IDLE_MS 10
/* Names of new goroutines, and whether the process is still the same program. */
#define NAMES_NS 500000000ULL
#define BATCH 4096
/* From the end of a process's memory to its own. */
#define END_MS 1000
/* For a thread to make the log: it does so at its first event. */
#define START_TRIES 20000

static struct target process;
static struct event_log *shared;
static struct event *shared_events;
static uint64_t *position; /* the next event of each lane */
static int spool = -1;
static uint64_t spooled, lost;
static volatile sig_atomic_t ended_by_user;
static volatile pid_t child; /* 0: none, or it has ended */
static bool claimed;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void pause_ms(int ms) { poll(NULL, 0, ms); }

/* ---- words in the process ---- */

/* Of at most 4 bytes. */
static bool word_write(const char *name, uint32_t value) {
    const struct debug_entry *e = table_entry(name, DEBUG_VAR);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", process.pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && pwrite(fd, &value, e->size, (off_t)(uint64_t)e->at) == (ssize_t)e->size;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool word_read(const char *name, void *value, size_t size) {
    return process_read(&process, table_address(name), value, size);
}

/* ---- the spool ---- */

static void spool_open(void) {
    const char *dir = getenv("TMPDIR");
    char *path = text_of("%s/gthread-trace-XXXXXX", dir && *dir ? dir : "/tmp");
    spool = mkostemp(path, O_CLOEXEC);
    if (spool < 0)
        die(EXIT_GTHREAD, "%s: %s", path, strerror(errno));
    unlink(path);
    free(path);
}

static void spool_write(const struct event *events, size_t n) {
    const char *at = (const char *)events;
    for (size_t left = n * sizeof *events; left;) {
        ssize_t wrote = write(spool, at, left);
        if (wrote <= 0)
            die(EXIT_GTHREAD, "the temporary file cannot be written: %s", strerror(errno));
        at += wrote, left -= (size_t)wrote;
    }
    spooled += n;
}

static void spool_lost(uint32_t lane, uint64_t n) {
    struct event e = {.type = EV_NONE,
                      .p = lane < shared->lanes - 1 ? (uint16_t)lane : EVENT_NO_P,
                      .when = __rdtsc(),
                      .arg = (uint32_t)n};
    lost += n;
    spool_write(&e, 1);
}

/* ---- reading the log (sched/eventlog.h) ---- */

/* Copies events of the lane from *next on, as far as they are whole, to `to`. */
static size_t copy_whole(const struct event *lane, uint64_t next, size_t most, struct event *to) {
    size_t n = 0;
    for (; n < most; n++) {
        const struct event *e = &lane[(next + n) & (shared->slots - 1)];
        if (atomic_load_explicit(&e->stamp, memory_order_acquire) != (uint32_t)(next + n + 1))
            break;
        memcpy(&to[n], e, sizeof *e);
    }
    return n;
}

/* final: nobody writes any more. Returns how many were read. */
static size_t lane_read(uint32_t lane, bool final) {
    static struct event batch[BATCH];
    const struct event *events = shared_events + (size_t)lane * shared->slots;
    uint64_t *next = &position[lane], begin = *next;
    for (uint64_t head; (head = atomic_load(&shared->lane[lane].head)) > *next;) {
        size_t n = copy_whole(events, *next, head - *next < BATCH ? head - *next : BATCH, batch);
        atomic_thread_fence(memory_order_seq_cst);
        head = atomic_load(&shared->lane[lane].head);
        uint64_t oldest = head > shared->slots ? head - shared->slots : 0; /* that is still there */
        uint64_t to = *next + n;
        if (oldest > *next) {
            size_t good = to > oldest ? to - oldest : 0;
            spool_lost(lane, oldest - *next);
            spool_write(batch + n - good, good);
            *next = oldest + good;
        } else if (n) {
            spool_write(batch, n);
            *next = to;
        } else if (final || head - *next > shared->slots / 2) {
            spool_lost(lane, 1); /* its writer was stopped in the middle */
            *next += 1;
        } else {
            break;
        }
    }
    return *next - begin;
}

static size_t log_read(bool final) {
    size_t n = 0;
    for (uint32_t i = 0; i < shared->lanes; i++)
        n += lane_read(i, final);
    return n;
}

/* ---- names and counters ---- */

static struct recording recording;
static size_t names_capacity;

static void name_note(uint64_t id, const char *name, size_t size) {
    enum { NAMES_MOST = 1 << 22 }; /* 64 MB; later ones go without */
    if (id >= NAMES_MOST)
        return;
    while (recording.nnames <= id) {
        GROW(recording.names, recording.nnames, names_capacity);
        memset(recording.names[recording.nnames++], 0, sizeof *recording.names);
    }
    memcpy(recording.names[id], name,
           size < sizeof *recording.names ? size : sizeof *recording.names);
}

/* What the goroutines are called that there are now. */
static void names_read(void) {
    uint32_t n = 0;
    uint64_t gs = table_value("slab.gs"), size = table_value("g.size");
    uint64_t slabs = table_address("slabs"), at;
    struct member id = table_member("g.id");
    uint64_t ext = table_entry("g.ext", DEBUG_FIELD)->offset;
    const struct debug_entry *name = table_entry("thread.name", DEBUG_FIELD);
    char *slab = need(malloc(gs * size));
    if (!word_read("nslabs", &n, sizeof n))
        n = 0;
    for (uint32_t i = 0; i < n && process_read(&process, slabs + 8UL * i, &at, sizeof at); i++)
        if (process_read(&process, at, slab, gs * size))
            for (uint64_t k = 0; k < gs; k++) {
                const char *g = slab + k * size;
                if (get(g, id))
                    name_note(get(g, id), g + ext + name->offset, name->size);
            }
    free(slab);
}

static bool counters_read(uint64_t *to, size_t n) {
    uint64_t ps = table_variable(&process, "sched.ps"), size = table_value("p.size");
    uint64_t offset = table_entry("p.counter", DEBUG_FIELD)->offset, counter[64];
    for (uint32_t i = 0; i < recording.procs; i++) {
        if (!process_read(&process, ps + i * size + offset, counter, n * sizeof *counter))
            return false;
        for (size_t c = 0; c < n; c++)
            to[c] += counter[c];
    }
    return true;
}

/* ---- switching it on and off ---- */

/* The library there can be traced, by us. */
static void process_claim(void) {
    uint32_t reader = 0;
    int32_t fd = -1;
    word_read("event.reader", &reader, sizeof reader);
    if (reader && reader != (uint32_t)getpid() && (kill((pid_t)reader, 0) == 0 || errno == EPERM))
        die(EXIT_GTHREAD, "process %d is being traced by process %u", process.pid, reader);
    word_read("event.fd", &fd, sizeof fd);
    if (fd < -1) /* it could not be made before: again */
        word_write("event.fd", UINT32_MAX);
    if (!word_write("event.reader", (uint32_t)getpid()))
        die(EXIT_GTHREAD, "not permitted to write to the memory of process %d", process.pid);
    claimed = true;
}

/* The process goes on without us. */
static void process_let_go(void) {
    if (claimed) {
        word_write("event.on", 0);
        word_write("event.reader", 0);
        word_write("event.awaits", 0);
    }
    claimed = false;
}

static void on_exit_let_go(void) {
    process_let_go();
    if (child > 0) /* our program: its end is the command's */
        waitpid(child, NULL, 0);
}

static void log_map(int fd_there) {
    char path[80];
    struct event_log head;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process.pid, fd_there);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(EXIT_GTHREAD, "%s: %s", path, strerror(errno));
    if (pread(fd, &head, sizeof head, 0) != sizeof head ||
        memcmp(head.magic, EVENTLOG_MAGIC, sizeof head.magic) != 0)
        die(EXIT_GTHREAD,
            "the program has closed the log's descriptor, or the libgthread.so there is "
            "not of this command's build");
    void *at = mmap(NULL, head.size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        die(EXIT_GTHREAD, "%s: %s", path, strerror(errno));
    close(fd);
    shared = at;
    shared_events = (struct event *)((char *)at + shared->events_at);
    position = NEW_ARRAY(uint64_t, shared->lanes);
}

/* Maps the log if there is one. */
static bool log_look(void) {
    int32_t fd = -1;
    if (shared || !word_read("event.fd", &fd, sizeof fd))
        return shared;
    if (fd < -1)
        die(EXIT_GTHREAD, "process %d cannot make the log: %s", process.pid, strerror(-fd - 1));
    if (fd >= 0)
        log_map(fd);
    return shared;
}

static void recording_begin(void) {
    static uint64_t grown[64];
    struct names counters = table_names(&process, "counter.names");
    struct names reasons = table_names(&process, "reason.names");
    if (counters.n > 64)
        die(EXIT_GTHREAD, "the libgthread.so there is too new: use the command of its build");
    recording.program = process.program;
    recording.pid = process.pid;
    recording.procs = (uint32_t)table_variable(&process, "sched.procs");
    recording.reasons = reasons.text;
    recording.nreasons = reasons.n;
    recording.counters = counters.text;
    recording.ncounters = counters.n;
    recording.counted_by = grown;
    recording.counted = counters_read(grown, counters.n);
    for (size_t i = 0; i < counters.n; i++)
        grown[i] = -grown[i];
    if (log_look()) /* of an earlier trace */
        for (uint32_t i = 0; i < shared->lanes; i++)
            position[i] = atomic_load(&shared->lane[i].head);
    recording.start = __rdtsc();
    if (!word_write("event.slots", options.slots) || !word_write("event.on", 1))
        die(EXIT_GTHREAD, "process %d has ended", process.pid);
}

static void recording_end(void) {
    uint32_t missed = 0;
    bool alive = word_write("event.on", 0);
    recording.end = __rdtsc();
    if (alive)
        pause_ms(1); /* for who is writing */
    recording.counted &= counters_read((uint64_t *)recording.counted_by, recording.ncounters);
    if (log_look())
        log_read(true);
    if (alive) {
        word_read("event.missed", &missed, sizeof missed);
        names_read();
        word_write("event.missed", 0);
        process_let_go();
    }
    lost += missed;
}

/* ---- the file ---- */

static void write_file(double seconds) {
    struct event none = {0};
    const struct event *events = &none;
    if (spooled) {
        events = mmap(NULL, spooled * sizeof none, PROT_READ, MAP_SHARED, spool, 0);
        if (events == MAP_FAILED)
            die(EXIT_GTHREAD, "the temporary file cannot be read: %s", strerror(errno));
    }
    recording.events = events;
    recording.n = spooled;
    recording.lost = lost;
    recording.cycles_per_second = (double)(recording.end - recording.start) / seconds;
    const char *problem = timeline_write(&recording);
    if (problem)
        warn_line("the trace does not add up: %s", problem);
    warn_line("%lu events in %.3f s, %lu lost: %s", (unsigned long)spooled, seconds,
              (unsigned long)lost, strcmp(options.output, "-") == 0 ? "stdout" : options.output);
}

/* ---- following a process ---- */

static const int enders[] = {SIGINT, SIGTERM, SIGHUP};

static void on_end(int sig) {
    (void)sig;
    ended_by_user = 1;
}

/* Until the process ends, the time is over or somebody ends the trace. */
static void follow(int pidfd) {
    uint64_t begin = now_ns(), names = 0, t = begin;
    uint64_t end = options.seconds > 0 ? begin + (uint64_t)(options.seconds * 1e9) : UINT64_MAX;
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    bool busy = true;
    uint32_t word;
    while (!ended_by_user && t < end) {
        int wait = busy ? LOOK_MS : LOOK_IDLE_MS;
        if (end - t < (uint64_t)wait * 1000000)
            wait = (int)((end - t) / 1000000);
        if (poll(&ended, 1, wait) == 1)
            break;
        busy = log_look() && log_read(false) > 0;
        t = now_ns();
        if (t - names > NAMES_NS) {
            names = t;
            names_read();
            if (!word_read("event.slots", &word, sizeof word)) {
                if (poll(&ended, 1, END_MS) == 0)
                    warn_line("process %d has become another program", process.pid);
                break;
            }
        }
    }
    recording_end();
    if (!child) /* once more ends us */
        for (size_t i = 0; i < sizeof enders / sizeof *enders; i++)
            signal(enders[i], SIG_DFL);
    write_file((double)(now_ns() - begin) / 1e9);
}

static int trace_process(int pid) {
    struct sigaction action = {.sa_handler = on_end};
    process_look(&process, pid);
    table_read(&process);
    if (!table_variable(&process, "sched.running"))
        die(EXIT_GTHREAD, "gthread has not started there: the program has made no thread yet");
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        die(EXIT_GTHREAD, "pidfd_open: %s", strerror(errno));
    timeline_open(options.output);
    spool_open();
    process_claim();
    atexit(on_exit_let_go);
    for (size_t i = 0; i < sizeof enders / sizeof *enders; i++)
        sigaction(enders[i], &action, NULL);
    recording_begin();
    follow(pidfd);
    return 0;
}

/* ---- a program of our own ---- */

/* From another process: a terminal's reaches the program by itself. */
static void pass_on(int sig, siginfo_t *info, void *context) {
    (void)context;
    if (child > 0 && info->si_code <= 0)
        kill(child, sig);
}

static void signals_pass(void) {
    static const int passed[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_RESTART | SA_SIGINFO};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        sigaction(passed[i], &action, NULL);
}

static void program_start(void) {
    char *program = program_find(options.launch.argv[0]); /* dies, before the fork */
    warn_of_no_effect(program);
    free(program);
    child = fork();
    if (child < 0)
        die(EXIT_GTHREAD, "fork: %s", strerror(errno));
    if (child) {
        atexit(on_exit_let_go);
        return;
    }
    const char *debug = getenv("GTHREAD_DEBUG");
    options.launch.debug =
        text_of("%s%strace=%d", debug ? debug : "", debug && *debug ? "," : "", (int)getpid());
    launch_exec(&options.launch);
}

/* Does the program wait for us, at its first thread? */
static bool program_awaits(void) {
    uint32_t awaits = 0;
    if (!process_try(&process, child) || !table_try(&process))
        return false;
    return word_read("event.awaits", &awaits, sizeof awaits) && awaits;
}

static int program_status(void) {
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            die(EXIT_GTHREAD, "waitpid: %s", strerror(errno));
    child = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* False: it has ended without a thread. */
static bool program_await(struct pollfd *ended) {
    for (int looks = 0; poll(ended, 1, looks < 500 ? LOOK_MS : LOOK_IDLE_MS) <= 0; looks++)
        if (program_awaits())
            return true;
    return false;
}

static int trace_program(void) {
    timeline_open(options.output);
    spool_open();
    signals_pass();
    program_start();
    struct pollfd ended = {.fd = pidfd_open(child, 0), .events = POLLIN};
    if (ended.fd < 0)
        die(EXIT_GTHREAD, "pidfd_open: %s", strerror(errno));
    if (!program_await(&ended)) {
        warn_line("the program has made no thread: the trace is empty");
        recording = (struct recording){.program = options.launch.argv[0], .pid = child};
        recording.end = 1;
        write_file(1);
        return program_status();
    }
    process_claim();
    recording_begin();
    for (int i = 0; !log_look(); i++) {
        if (i == START_TRIES || poll(&ended, 1, 1) == 1)
            die(EXIT_GTHREAD, "the program does not make the log");
    }
    word_write("event.awaits", 0);
    follow(ended.fd);
    /* What it has become, if anything, waits for us too. */
    while (poll(&ended, 1, LOOK_IDLE_MS) <= 0)
        if (program_awaits())
            word_write("event.awaits", 0);
    return program_status();
}

/* ---- the command ---- */

static double seconds_option(const char *text) {
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end || !(s >= 0.001 && s <= 86400))
        die(EXIT_GTHREAD, "--duration %s: not a number of seconds from 0.001 to 86400", text);
    return s;
}

static uint32_t slots_option(const char *text) {
    uint32_t n = (uint32_t)number_option("--events", text, 1024, 1 << 24), slots = 1024;
    while (slots < n)
        slots *= 2;
    return slots;
}

static bool is_number(const char *text) { return text[strspn(text, "0123456789")] == 0; }

int command_trace(int argc, char **argv) {
    enum { HELP = 256, EVENTS, LIBRARY };
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"duration", required_argument, NULL, 'd'},
                                          {"events", required_argument, NULL, EVENTS},
                                          {"procs", required_argument, NULL, 'p'},
                                          {"library", required_argument, NULL, LIBRARY},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
    const char *library = NULL;
    for (int c; (c = getopt_long(argc, argv, "+o:d:p:", table, NULL)) != -1;)
        switch (c) {
        case 'o':
            options.output = optarg;
            break;
        case 'd':
            options.seconds = seconds_option(optarg);
            break;
        case EVENTS:
            options.slots = slots_option(optarg);
            break;
        case 'p':
            number_option("--procs", optarg, 1, 1024);
            options.launch.procs = optarg;
            break;
        case LIBRARY:
            library = optarg;
            break;
        case HELP:
            help(help_text);
        default:
            usage_error();
        }
    if (optind == argc)
        die(EXIT_GTHREAD, "which process or program? --help tells more");
    bool pid = optind + 1 == argc && is_number(argv[optind]) && strcmp(argv[optind - 1], "--") != 0;
    if (pid && (options.launch.procs || library))
        die(EXIT_GTHREAD, "--procs and --library are for a program that is started");
    if (pid)
        return trace_process((int)number_option("process", argv[optind], 1, INT32_MAX));
    options.launch.library = library_path(library);
    options.launch.argv = argv + optind;
    return trace_program();
}
