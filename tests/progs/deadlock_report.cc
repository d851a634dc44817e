/* deadlock_report.cc - a program that can never go on says so once, with the locks and who has
 * them, and stays; one that something could still wake says nothing
 *
 * Each case is a child process whose stderr is read. All run at the same time: those of which
 * nothing is to come get longer than those that have to say something took.
 * needs: lib, time
 */
#include "check.h"

#include <condition_variable>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>

#define QUIET_MS 2500   /* a report comes 1 s after all went idle */
#define REPORT_MS 40000 /* one that is to come, on a machine that does much else */

static std::mutex left, right;
static std::condition_variable cond;
static pthread_barrier_t both;
static sem_t sem;
static int pipe_ends[2], shared_word;

static void named(const char *name) { OK(pthread_setname_np(pthread_self(), name)); }

static void lock_both(const char *name, std::mutex &first, std::mutex &second) {
    named(name);
    std::lock_guard<std::mutex> a(first);
    pthread_barrier_wait(&both);
    std::lock_guard<std::mutex> b(second);
}

/* ---- these must be reported ---- */

static void ring(void) {
    std::thread a(lock_both, "lefty", std::ref(left), std::ref(right));
    std::thread b(lock_both, "righty", std::ref(right), std::ref(left));
    a.join();
    b.join();
}

/* Although the program handles a signal: no handler can give another thread's mutex. */
static void on_signal(int) {}
static void ring_with_handler(void) {
    signal(SIGUSR1, on_signal);
    ring();
}

static void lock_twice(void) {
    std::thread a([] {
        named("twice");
        left.lock();
        left.lock();
    });
    a.join();
}

/* main joins a thread that waits for main's mutex. */
static void join_ring(void) {
    left.lock();
    std::thread a([] {
        named("joined");
        left.lock();
    });
    a.join();
}

static void wait_for_signal_of_none(void) {
    std::thread a([] {
        named("waiter");
        std::unique_lock<std::mutex> l(left);
        cond.wait(l);
    });
    a.join();
}

static void owner_has_ended(void) {
    std::thread a([] { left.lock(); });
    a.join();
    left.lock();
}

/* ---- these must not ---- */

static void ring_quietly(void) { ring(); }

static void wait_sem(void) {
    while (sem_wait(&sem) && errno == EINTR)
        ;
}

static void one_reads(void) {
    std::thread a([] {
        char c;
        (void)!read(pipe_ends[0], &c, 1);
        sem_post(&sem);
    });
    wait_sem();
}

static void one_sleeps(void) {
    std::thread a([] { pause_ms(3600 * 1000); });
    a.join();
}

static void one_has_deadline(void) {
    std::thread a([] {
        std::unique_lock<std::mutex> l(left);
        cond.wait_for(l, std::chrono::hours(1));
    });
    a.join();
}

static void one_waits_for_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    std::thread a([&] {
        int sig;
        sigwait(&set, &sig);
    });
    a.join();
}

static void one_pauses(void) {
    std::thread a([] { pause(); });
    a.join();
}

static void handler_posts(int) { sem_post(&sem); }
static void handler_could_post(void) {
    signal(SIGUSR1, handler_posts);
    std::thread a(wait_sem);
    a.join();
}

static void one_waits_for_child(void) {
    pid_t child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    std::thread a([=] { waitpid(child, NULL, 0); });
    a.join();
}

static void one_in_a_call(void) {
    std::thread a([] { /* a lock of a file that its parent has */
                       struct flock fl = {};
                       fl.l_type = F_WRLCK;
                       fcntl(shared_word, F_SETLKW, &fl);
    });
    a.join();
}

/* A thread of libc's making, which could post. */
static void timer_thread(union sigval) { sem_post(&sem); }
static void foreign_could_post(void) {
    std::thread a(wait_sem);
    struct sigevent ev = {};
    timer_t timer;
    ev.sigev_notify = SIGEV_THREAD;
    ev.sigev_notify_function = timer_thread;
    DONE(timer_create(CLOCK_MONOTONIC, &ev, &timer));
    a.join();
}

/* A thread with a kernel thread of its own, in a call. */
static void wired_reads(void) {
    std::thread a([] {
        char c;
        struct sched_param p = {};
        pthread_setschedparam(pthread_self(), SCHED_BATCH, &p);
        (void)!read(pipe_ends[0], &c, 1);
    });
    a.join();
}

static void one_computes(void) {
    std::thread a([] {
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + 3600 * SECOND_NS;
             now_ns(CLOCK_MONOTONIC) < end;)
            pause_ms(50);
    });
    a.join();
}

/* ---- */

static struct {
    const char *name;
    void (*run)(void);
    bool reported, off;
    const char *says[4];
    pid_t pid;
    int err;
} cases[] = {
    {"ring",
     ring,
     true,
     false,
     {"\"lefty\" waits for mutex RIGHT, which thread # \"righty\" holds",
      "\"righty\" waits for mutex LEFT, which thread # \"lefty\" holds", "none can run"},
     0,
     0},
    {"ring_with_handler", ring_with_handler, true, false, {"waits for mutex RIGHT"}, 0, 0},
    {"lock_twice",
     lock_twice,
     true,
     false,
     {"\"twice\" waits for mutex LEFT, which thread # \"twice\" holds"},
     0,
     0},
    {"join_ring",
     join_ring,
     true,
     false,
     {"\"joined\" waits for mutex LEFT, which thread #",
      "waits for the end of thread # \"joined\""},
     0,
     0},
    {"wait_for_signal_of_none",
     wait_for_signal_of_none,
     true,
     false,
     {"\"waiter\" waits for cond 0x"},
     0,
     0},
    {"owner_has_ended",
     owner_has_ended,
     true,
     false,
     {"LEFT, which thread # holds, and that has ended"},
     0,
     0},
    {"ring_quietly", ring_quietly, false, true, {}, 0, 0},
    {"one_reads", one_reads, false, false, {}, 0, 0},
    {"one_sleeps", one_sleeps, false, false, {}, 0, 0},
    {"one_has_deadline", one_has_deadline, false, false, {}, 0, 0},
    {"one_waits_for_signal", one_waits_for_signal, false, false, {}, 0, 0},
    {"one_pauses", one_pauses, false, false, {}, 0, 0},
    {"handler_could_post", handler_could_post, false, false, {}, 0, 0},
    {"one_waits_for_child", one_waits_for_child, false, false, {}, 0, 0},
    {"one_in_a_call", one_in_a_call, false, false, {}, 0, 0},
    {"foreign_could_post", foreign_could_post, false, false, {}, 0, 0},
    {"wired_reads", wired_reads, false, false, {}, 0, 0},
    {"one_computes", one_computes, false, false, {}, 0, 0},
};
#define CASES (sizeof cases / sizeof *cases)

/* Reads for so long, or until the last line of a report; returns what came. */
static const char *read_report(int fd, int64_t ms) {
    static char text[8000];
    size_t n = 0;
    int64_t end = now_ns(CLOCK_MONOTONIC) + ms * MS_NS;
    text[0] = 0;
    while (now_ns(CLOCK_MONOTONIC) < end && !strstr(text, "gthread dump")) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 50) <= 0)
            continue;
        ssize_t got = read(fd, text + n, sizeof text - 1 - n);
        if (got <= 0)
            break;
        text[n += (size_t)got] = 0;
    }
    return text;
}

/* `want` with LEFT and RIGHT for their addresses, and # for a number, in the text? */
static bool says(const char *text, const char *want) {
    char line[200];
    size_t n = 0;
    for (; *want; want++)
        if (strncmp(want, "LEFT", 4) == 0 || strncmp(want, "RIGHT", 5) == 0) {
            n += (size_t)snprintf(line + n, sizeof line - n, "%p",
                                  (void *)(*want == 'L' ? &left : &right));
            want += *want == 'L' ? 3 : 4;
        } else {
            line[n++] = *want;
        }
    line[n] = 0;
    char *hash = strchr(line, '#'), *rest = hash ? hash + 1 : NULL;
    if (hash)
        *hash = 0;
    for (const char *at = text; (at = strstr(at, line)); at++) {
        const char *after = at + strlen(line);
        size_t digits = strspn(after, "0123456789");
        if (!rest || (digits && strncmp(after + digits, rest, strlen(rest)) == 0))
            return true;
    }
    return false;
}

static void start_case(size_t i) {
    int ends[2];
    DONE(pipe2(ends, O_CLOEXEC));
    cases[i].err = ends[0];
    cases[i].pid = fork();
    CHECK(cases[i].pid >= 0, "fork: errno %d", errno);
    if (cases[i].pid)
        return (void)close(ends[1]);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* none stays behind when a check fails */
    dup2(ends[1], 2);
    if (cases[i]
            .off) { /* the switches are read at the first thread's creation, from where they lay */
        setenv("GTHREAD_DEBUG", "deadlock=off", 1);
        char *argv[] = {(char *)"deadlock_report", (char *)"off", NULL};
        execv("/proc/self/exe", argv);
    }
    cases[i].run();
    _exit(0);
}

int main(int argc, char **argv) {
    check_start();
    OK(pthread_barrier_init(&both, NULL, 2));
    DONE(sem_init(&sem, 0, 0));
    DONE(pipe(pipe_ends));
    if (argc > 1 && strcmp(argv[1], "off") == 0)
        ring();
    char path[] = "/tmp/deadlock_report.XXXXXX";
    shared_word = DONE(mkstemp(path));
    unlink(path);
    struct flock fl = {};
    fl.l_type = F_WRLCK;
    DONE(fcntl(shared_word, F_SETLK, &fl));
    for (size_t i = 0; i < CASES; i++)
        start_case(i);
    int64_t quiet_until = now_ns(CLOCK_MONOTONIC) + QUIET_MS * MS_NS;
    for (size_t i = 0; i < CASES; i++) {
        int64_t quiet_ms = (quiet_until - now_ns(CLOCK_MONOTONIC)) / MS_NS;
        const char *text = read_report(cases[i].err, cases[i].reported ? REPORT_MS
                                                     : quiet_ms > 10   ? quiet_ms
                                                                       : 10);
        int status;
        CHECK(!!strstr(text, "deadlock:") == cases[i].reported, "%s: expected %s report, came: %s",
              cases[i].name, cases[i].reported ? "a" : "no", text);
        for (const char *const *want = cases[i].says; *want; want++)
            CHECK(says(text, *want), "%s: expected: %s; came: %s", cases[i].name, *want, text);
        if (cases[i].reported) /* once */
            CHECK(!*(text = read_report(cases[i].err, 10)), "%s: then came: %s", cases[i].name,
                  text);
        WANT(waitpid(cases[i].pid, &status, WNOHANG), 0); /* never an exit */
        kill(cases[i].pid, SIGKILL);
        waitpid(cases[i].pid, &status, 0);
    }
    return 0;
}
