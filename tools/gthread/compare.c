/* compare.c - `gthread compare`: a program on NPTL and on gthread, in turns
 *
 * Runs come in pairs, one on each side, in an order that is drawn for each pair, so that a machine
 * that becomes slower or a cache that is warm is as likely to help the one as the other.
 */
#include "compare.h"

#include "gthread.h"
#include "launch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char help_text[] =
    "usage: gthread compare [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs the program on the system's threads (NPTL) and on gthread, in turns, and tells the ratio "
    "of\n"
    "wall time, CPU time, kernel threads, context switches and peak memory, each with an interval "
    "and\n"
    "a verdict. The intervals hold all together with 95 % confidence.\n"
    "\n"
    "  -n, --pairs=N        N pairs of runs (default 12; with less than 8 there is no verdict)\n"
    "      --warmup=N       N pairs before, which do not count (default 1)\n"
    "      --figure=REGEX   compare also what the program says of itself: the number in the first "
    "()\n"
    "                       of the extended regular expression, in its output; larger is better\n"
    "      --smaller        a smaller figure is better\n"
    "      --load=COMMAND   the program is a server: run COMMAND with the shell, without gthread, "
    "when\n"
    "                       it is ready, then end the server. Figure, wall time are the command's\n"
    "      --ready=PORT     it is ready when it accepts connections on this port of 127.0.0.1\n"
    "      --stop=SIGNAL    the signal's number that ends the server (default 15, SIGTERM)\n"
    "      --input=FILE     the program's standard input (default: /dev/null)\n"
    "      --least=PERCENT  differences below are none (default 1)\n"
    "      --timeout=S      a run that takes longer has failed (default 600)\n"
    "      --ignore-status  a run may end with another status than 0\n"
    "      --library=PATH   the libgthread.so to use, or another library to compare\n"
    "      --preload-in=VAR put its path into VAR, not LD_PRELOAD: for a script that starts the\n"
    "                       program itself\n"
    "      --procs=N        run on N Ps\n"
    "      --small          as `gthread run --small`\n"
    "      --seed=N         draw the order from N\n"
    "      --json=FILE, --markdown=FILE, --svg=FILE  write the comparison there; `-` is stdout\n"
    "      --gate           exit status 2 if gthread is worse in the figure, or else the wall "
    "time\n"
    "\n"
    "Exit status: 0; 1 if a run failed; 2 see --gate; 125 if gthread failed, 126 if the program\n"
    "cannot be run, 127 if there is none.\n";

enum { EXIT_RUN_FAILED = 1, EXIT_WORSE = 2 };
#define READY_SECONDS 60
#define STOP_SECONDS 30

static struct options {
    size_t pairs, warmup;
    const char *figure, *load, *input, *json, *markdown, *svg;
    long port, stop, timeout;
    bool ignore_status, gate;
    struct launch launch;
} options = {.pairs = 12, .warmup = 1, .stop = SIGTERM, .timeout = 600};

static const char *const side_names[SIDES] = {"NPTL", "gthread"};
static regex_t figure_regex;
static int input_fd;

/* ---- one run ---- */

struct run {
    struct measures m;
    double figure;
    uint64_t output; /* a hash of what it printed */
};

/* Whoever is interrupted must not leave the program behind. */
static volatile pid_t group_now, load_now;

static void on_signal(int sig) {
    if (group_now > 0)
        kill(-group_now, SIGKILL);
    if (load_now > 0)
        kill(-load_now, SIGKILL);
    signal(sig, SIG_DFL);
    raise(sig);
}

static _Noreturn void run_failed(int side, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static _Noreturn void run_failed(int side, const char *fmt, ...) {
    char why[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    if (group_now > 0)
        kill(-group_now, SIGKILL);
    if (load_now > 0)
        kill(-load_now, SIGKILL);
    die(EXIT_RUN_FAILED, "%s on %s %s", options.launch.argv[0], side_names[side], why);
}

static char *text_in(int fd, size_t *size) {
    struct stat st;
    if (fstat(fd, &st))
        die(EXIT_GTHREAD, "output: %s", strerror(errno));
    char *text = need(malloc((size_t)st.st_size + 1));
    ssize_t n = pread(fd, text, (size_t)st.st_size, 0);
    *size = n < 0 ? 0 : (size_t)n;
    text[*size] = 0;
    return text;
}

static uint64_t hash_of(const char *text, size_t n) { /* FNV-1a */
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    return h;
}

/* The last number that the expression finds. */
static double figure_in(const char *text, int side) {
    regmatch_t at[2];
    double figure = 0;
    bool found = false;
    for (; regexec(&figure_regex, text, 2, at, 0) == 0; text += at[0].rm_eo + (at[0].rm_eo == 0)) {
        char *end;
        double value = strtod(text + at[1].rm_so, &end);
        if (at[1].rm_so >= 0 && end != text + at[1].rm_so) {
            figure = value;
            found = true;
        }
        if (!text[at[0].rm_eo])
            break;
    }
    if (!found)
        run_failed(side, "printed no number that --figure finds");
    return figure;
}

static void check_status(int side, int status, bool server) {
    if (options.ignore_status ||
        (server && WIFSIGNALED(status) && WTERMSIG(status) == options.stop))
        return;
    if (WIFSIGNALED(status))
        run_failed(side, "was ended by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == EXIT_NOT_FOUND || WEXITSTATUS(status) == EXIT_CANNOT_RUN)
        exit(WEXITSTATUS(status)); /* it has been said */
    if (WEXITSTATUS(status))
        run_failed(side, "ended with status %d", WEXITSTATUS(status));
}

/* An empty file without a name, for output of any size. */
static int output_file(void) {
    const char *dir = getenv("TMPDIR");
    int fd = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = memfd_create("output", MFD_CLOEXEC);
    if (fd < 0)
        die(EXIT_GTHREAD, "output: %s", strerror(errno));
    return fd;
}

/* ---- servers ---- */

static double clock_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool accepts(long port) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static void wait_ready(pid_t pid, int side) {
    double end = clock_s() + READY_SECONDS;
    siginfo_t info = {0};
    while (options.port && !accepts(options.port)) {
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            run_failed(side, "ended before it accepted connections on port %ld", options.port);
        if (clock_s() > end)
            run_failed(side, "does not accept connections on port %ld within %d s", options.port,
                       READY_SECONDS);
        usleep(10000);
    }
}

/* Runs the load and ends the server. What it costs is measured from the load's begin on. */
static void serve(pid_t pid, int side, int output, struct measures *m) {
    char *argv[] = {"/bin/sh", "-c", (char *)options.load, NULL};
    struct launch load = {.argv = argv, .output = output};
    struct measures of_load;
    wait_ready(pid, side);
    load_now = measure_start(&load, &of_load, true);
    double end = clock_s() + (double)options.timeout;
    while (!measure_wait(load_now, &of_load, 0.02)) {
        measure_look(pid, m);
        if (clock_s() > end)
            run_failed(side, "does not serve the load within %ld s", options.timeout);
    }
    load_now = 0;
    if (of_load.status && !options.ignore_status)
        run_failed(side, "failed under the load, which ended with status %d",
                   WIFEXITED(of_load.status) ? WEXITSTATUS(of_load.status)
                                             : 128 + WTERMSIG(of_load.status));
    measure_look(pid, m);
    kill(pid, (int)options.stop);
    if (!measure_wait(pid, m, STOP_SECONDS))
        run_failed(side, "does not end within %d s after signal %ld", STOP_SECONDS, options.stop);
    m->wall = of_load.wall;
}

static void run_once(int side, const char *library, struct run *run) {
    struct launch l = options.launch;
    size_t size;
    l.library = side == GTHREAD ? library : NULL;
    l.output = output_file();
    lseek(input_fd, 0, SEEK_SET);
    l.input = input_fd;
    int load_output = options.load ? output_file() : l.output;
    group_now = measure_start(&l, &run->m, true);
    if (options.load)
        serve(group_now, side, load_output, &run->m);
    else if (!measure_wait(group_now, &run->m, (double)options.timeout))
        run_failed(side, "does not end within %ld s", options.timeout);
    kill(-group_now, SIGKILL); /* what it has left behind */
    group_now = 0;
    check_status(side, run->m.status, options.load != NULL);
    char *text = text_in(load_output, &size);
    run->output = hash_of(text, size);
    if (options.figure)
        run->figure = figure_in(text, side);
    free(text);
    close(l.output);
    if (load_output != l.output)
        close(load_output);
}

/* ---- all runs ---- */

/* Half of the pairs begin with the one side, half with the other, in an order drawn from the seed
 * (xorshift64, Fisher and Yates). */
static bool *order_of_pairs(size_t n, unsigned long seed) {
    bool *first = NEW_ARRAY(bool, n);
    uint64_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++)
        first[i] = i % 2;
    for (size_t i = n; i > 1; i--) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        size_t k = x % i;
        bool b = first[i - 1];
        first[i - 1] = first[k];
        first[k] = b;
    }
    return first;
}

static void keep(struct comparison *c, int side, size_t i, const struct run *r) {
    if (c->values[FIGURE][side])
        c->values[FIGURE][side][i] = r->figure;
    c->values[WALL][side][i] = r->m.wall;
    c->values[CPU][side][i] = r->m.cpu;
    c->values[THREADS][side][i] = r->m.threads;
    c->values[SWITCHES][side][i] = r->m.switches;
    c->values[PEAK][side][i] = r->m.peak;
}

static void tell_progress(size_t done, size_t all, double begin) {
    if (!done)
        progress("pair 1 of %zu", all);
    else
        progress("pair %zu of %zu, %.0f s left", done + 1, all,
                 (clock_s() - begin) / (double)done * (double)(all - done));
}

static void run_pairs(struct comparison *c) {
    size_t all = options.warmup + c->n;
    bool *first = order_of_pairs(all, c->seed), steady = true, differs = false;
    uint64_t output = 0;
    double begin = clock_s();
    for (size_t i = 0; i < all; i++) {
        struct run r[SIDES] = {0};
        tell_progress(i, all, begin);
        run_once(first[i], c->library, &r[first[i]]);
        run_once(!first[i], c->library, &r[!first[i]]);
        if (i == 0)
            output = r[NPTL].output;
        steady &= r[NPTL].output == output;
        differs |= r[GTHREAD].output != output;
        for (int side = 0; side < SIDES && i >= options.warmup; side++)
            keep(c, side, i - options.warmup, &r[side]);
    }
    c->output_differs = steady && differs && !options.load;
    free(first);
    progress_end();
}

/* ---- verdicts ---- */

static enum verdict verdict_of(const struct comparison *c, enum metric m) {
    const struct ratio *r = &c->ratio[m];
    if (!r->known || !r->enough)
        return UNKNOWN;
    if (r->high < 1 - c->least)
        return LESS;
    return r->low > 1 + c->least ? MORE : DIFFERENCE;
}

enum metric main_metric(const struct comparison *c) {
    return c->values[FIGURE][NPTL] ? FIGURE : WALL;
}

int main_verdict(const struct comparison *c) {
    enum metric m = main_metric(c);
    bool smaller = m == WALL || c->figure_smaller;
    if (c->verdict[m] != LESS && c->verdict[m] != MORE)
        return 0;
    return (c->verdict[m] == LESS) == smaller ? 1 : -1;
}

static void judge(struct comparison *c) {
    int metrics = c->values[FIGURE][NPTL] ? METRICS : METRICS - 1;
    c->confidence = 1 - 0.05 / metrics; /* Bonferroni */
    for (int m = 0; m < METRICS; m++) {
        if (!c->values[m][NPTL])
            continue;
        c->ratio[m] =
            ratio_of_pairs(c->values[m][NPTL], c->values[m][GTHREAD], c->n, c->confidence);
        c->verdict[m] = verdict_of(c, (enum metric)m);
    }
}

/* ---- the command ---- */

static const char *library_given;

static void read_options(int argc, char **argv, struct comparison *c) {
    enum {
        WARMUP = 256,
        FIGURE_,
        SMALLER,
        LOAD,
        READY,
        STOP,
        INPUT,
        LEAST,
        TIMEOUT,
        IGNORE,
        LIBRARY,
        PRELOAD_IN,
        PROCS,
        SMALL,
        SEED,
        JSON,
        MARKDOWN,
        SVG,
        GATE,
        HELP
    };
    static const struct option table[] = {{"pairs", required_argument, NULL, 'n'},
                                          {"warmup", required_argument, NULL, WARMUP},
                                          {"figure", required_argument, NULL, FIGURE_},
                                          {"smaller", no_argument, NULL, SMALLER},
                                          {"load", required_argument, NULL, LOAD},
                                          {"ready", required_argument, NULL, READY},
                                          {"stop", required_argument, NULL, STOP},
                                          {"input", required_argument, NULL, INPUT},
                                          {"least", required_argument, NULL, LEAST},
                                          {"timeout", required_argument, NULL, TIMEOUT},
                                          {"ignore-status", no_argument, NULL, IGNORE},
                                          {"library", required_argument, NULL, LIBRARY},
                                          {"preload-in", required_argument, NULL, PRELOAD_IN},
                                          {"procs", required_argument, NULL, PROCS},
                                          {"small", no_argument, NULL, SMALL},
                                          {"seed", required_argument, NULL, SEED},
                                          {"json", required_argument, NULL, JSON},
                                          {"markdown", required_argument, NULL, MARKDOWN},
                                          {"svg", required_argument, NULL, SVG},
                                          {"gate", no_argument, NULL, GATE},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
    for (int o; (o = getopt_long(argc, argv, "+n:", table, NULL)) != -1;)
        switch (o) {
        case 'n':
            options.pairs = (size_t)number_option("--pairs", optarg, 1, 10000);
            break;
        case WARMUP:
            options.warmup = (size_t)number_option("--warmup", optarg, 0, 10000);
            break;
        case FIGURE_:
            options.figure = optarg;
            break;
        case SMALLER:
            c->figure_smaller = true;
            break;
        case LOAD:
            options.load = optarg;
            break;
        case READY:
            options.port = number_option("--ready", optarg, 1, 65535);
            break;
        case STOP:
            options.stop = number_option("--stop", optarg, 1, SIGRTMAX);
            break;
        case INPUT:
            options.input = optarg;
            break;
        case LEAST:
            c->least = (double)number_option("--least", optarg, 0, 99) / 100;
            break;
        case TIMEOUT:
            options.timeout = number_option("--timeout", optarg, 1, 1000000);
            break;
        case IGNORE:
            options.ignore_status = true;
            break;
        case LIBRARY:
            library_given = optarg;
            break;
        case PRELOAD_IN:
            options.launch.preload_in = optarg;
            break;
        case PROCS:
            number_option("--procs", optarg, 1, 1024);
            options.launch.procs = optarg;
            break;
        case SMALL:
            options.launch.small = true;
            break;
        case SEED:
            c->seed = (unsigned long)number_option("--seed", optarg, 0, INT64_MAX);
            break;
        case JSON:
            options.json = optarg;
            break;
        case MARKDOWN:
            options.markdown = optarg;
            break;
        case SVG:
            options.svg = optarg;
            break;
        case GATE:
            options.gate = true;
            break;
        case HELP:
            help(help_text);
        default:
            usage_error();
        }
    if (optind == argc)
        die(EXIT_GTHREAD, "which program? --help tells more");
    if (options.port && !options.load)
        die(EXIT_GTHREAD, "--ready is for --load");
    c->argv = options.launch.argv = argv + optind;
}

/* What cannot be written or read is better told now than after all the runs. */
static void check_files(void) {
    const char *const outputs[] = {options.json, options.markdown, options.svg};
    for (size_t i = 0; i < 3; i++) {
        FILE *f = outputs[i] && strcmp(outputs[i], "-") != 0 ? fopen(outputs[i], "ae") : stdout;
        if (!f)
            die(EXIT_GTHREAD, "%s: %s", outputs[i], strerror(errno));
        if (f != stdout)
            fclose(f);
    }
    input_fd = open(options.input ? options.input : "/dev/null", O_RDONLY | O_CLOEXEC);
    if (input_fd < 0)
        die(EXIT_GTHREAD, "%s: %s", options.input, strerror(errno));
    if (!options.figure)
        return;
    int error = regcomp(&figure_regex, options.figure, REG_EXTENDED | REG_NEWLINE);
    if (error || figure_regex.re_nsub < 1) {
        char why[200] = "it has no ()";
        if (error)
            regerror(error, &figure_regex, why, sizeof why);
        die(EXIT_GTHREAD, "--figure %s: %s", options.figure, why);
    }
}

static void write_reports(const struct comparison *c) {
    bool stdout_taken = false;
    const char *const outputs[] = {options.json, options.markdown, options.svg};
    void (*const reports[])(const struct comparison *,
                            const char *) = {report_json, report_markdown, report_svg};
    for (size_t i = 0; i < 3; i++)
        if (outputs[i]) {
            stdout_taken |= strcmp(outputs[i], "-") == 0;
            reports[i](c, outputs[i]);
        }
    if (!stdout_taken)
        report_text(c);
    output_finish();
}

int command_compare(int argc, char **argv) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct comparison c = {.least = 0.01};
    if (getrandom(&c.seed, sizeof c.seed, 0) < 0)
        c.seed = (unsigned long)clock_s();
    c.seed %= 1000000;
    read_options(argc, argv, &c);
    c.library = library_path(library_given);
    c.n = options.pairs;
    free(program_find(c.argv[0]));
    check_files();
    for (int m = options.figure ? FIGURE : WALL; m < METRICS; m++)
        for (int side = 0; side < SIDES; side++)
            c.values[m][side] = NEW_ARRAY(double, c.n);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        signal(ends[i], on_signal);
    run_pairs(&c);
    judge(&c);
    write_reports(&c);
    return options.gate && main_verdict(&c) < 0 ? EXIT_WORSE : 0;
}
