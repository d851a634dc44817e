/* top.c - `gthread top`: what the scheduler of a process does, from outside
 *
 * Everything is read from the process's memory, without stopping it, by the table that the library
 * exports: it costs the process nothing, and shows a state in change.
 */
#include "gthread.h"
#include "table.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help_text[] =
    "usage: gthread top [OPTION...] PID\n"
    "\n"
    "Shows again and again how many goroutines a process has in which state, its Ps and Ms, and "
    "how\n"
    "often in a second it switches, steals, hands a P off and preempts. The process is not "
    "stopped and\n"
    "does nothing for it. On a terminal the screen is redrawn; else there is one line each time.\n"
    "\n"
    "  -d, --delay=SECONDS  between two looks, 0.1 to 3600 (default 1)\n"
    "  -n, --count=N        end after N of them (default: when the process ends)\n"
    "  -b, --batch          lines, also on a terminal\n"
    "\n"
    "Exit status: 0, also when the process ends; 125 if nothing can be shown (no such process, no\n"
    "permission, not gthread).\n";

static struct options {
    double delay;
    long count; /* 0: no end */
    bool batch;
} options = {.delay = 1};

enum { MOST_COUNTERS = 64, MOST_STATES = 32, MOST_REASONS = 64 };

/* What stays the same, looked up once. */
static struct layout {
    uint64_t slabs, nslabs, slab_gs, g_size, p_size, counters, waits, ps;
    uint64_t ms_at, ms_idle_at, ps_idle_at;
    uint32_t procs;
    struct member id, status, reason;
    struct names states, reasons, counter_names;
} is;

struct sample {
    double at;   /* s, of the monotonic clock */
    uint64_t gs; /* without free ones */
    uint64_t in_state[MOST_STATES], for_reason[MOST_REASONS];
    uint64_t counter[MOST_COUNTERS];
    uint32_t ms, ms_idle, ps_idle;
};

/* ---- reading ---- */

static void layout_read(struct target *t) {
    const struct debug_entry *counters;
    table_read(t);
    if (!table_variable(t, "sched.running") || !table_variable(t, "nslabs"))
        die(EXIT_GTHREAD, "gthread has not started there: the program has made no thread yet");
    counters = table_entry("p.counter", DEBUG_FIELD);
    is = (struct layout){
        .slabs = table_address("slabs"),
        .nslabs = table_address("nslabs"),
        .slab_gs = table_value("slab.gs"),
        .g_size = table_value("g.size"),
        .p_size = table_value("p.size"),
        .counters = counters->offset,
        .waits = table_value("status.waits"),
        .ps = table_variable(t, "sched.ps"),
        .ms_at = table_address("sched.ms"),
        .ms_idle_at = table_address("sched.ms_idle"),
        .ps_idle_at = table_address("sched.ps_idle"),
        .procs = (uint32_t)table_variable(t, "sched.procs"),
        .id = table_member("g.id"),
        .status = table_member("g.status"),
        .reason = table_member("g.w.reason"),
        .states = table_names(t, "status.names"),
        .reasons = table_names(t, "reason.names"),
        .counter_names = table_names(t, "counter.names"),
    };
    if (is.states.n > MOST_STATES || is.reasons.n > MOST_REASONS ||
        is.counter_names.n > MOST_COUNTERS)
        die(EXIT_GTHREAD, "the libgthread.so there is too new: use the command of its build");
}

static bool count_slab(struct target *t, uint64_t at, char *slab, struct sample *s) {
    if (!process_read(t, at, slab, is.slab_gs * is.g_size))
        return false;
    for (uint64_t k = 0; k < is.slab_gs; k++) {
        const char *g = slab + k * is.g_size;
        uint64_t status = get(g, is.status), reason = get(g, is.reason);
        if (!get(g, is.id) || status >= is.states.n || strcmp(is.states.text[status], "free") == 0)
            continue;
        s->gs++;
        s->in_state[status]++;
        if (in_set(is.waits, status) && reason < is.reasons.n)
            s->for_reason[reason]++;
    }
    return true;
}

static bool count_goroutines(struct target *t, struct sample *s) {
    uint32_t n = 0;
    if (!process_read(t, is.nslabs, &n, sizeof n))
        return false;
    uint64_t *slabs = NEW_ARRAY(uint64_t, n);
    char *slab = need(malloc(is.slab_gs * is.g_size));
    bool ok = process_read(t, is.slabs, slabs, n * sizeof *slabs);
    for (uint32_t i = 0; i < n && ok; i++)
        ok = count_slab(t, slabs[i], slab, s);
    free(slab);
    free(slabs);
    return ok;
}

/* False: the process has ended, or has become another program. */
static bool sample_read(struct target *t, struct sample *s) {
    struct timespec now;
    *s = (struct sample){0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    s->at = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    for (uint32_t i = 0; i < is.procs; i++) {
        uint64_t counter[MOST_COUNTERS];
        if (!process_read(t, is.ps + i * is.p_size + is.counters, counter,
                          is.counter_names.n * sizeof *counter))
            return false;
        for (size_t c = 0; c < is.counter_names.n; c++)
            s->counter[c] += counter[c];
    }
    return process_read(t, is.ms_at, &s->ms, sizeof s->ms) &&
           process_read(t, is.ms_idle_at, &s->ms_idle, sizeof s->ms_idle) &&
           process_read(t, is.ps_idle_at, &s->ps_idle, sizeof s->ps_idle) && count_goroutines(t, s);
}

/* ---- what of it is shown ---- */

/* Those in a state of that name, wired or not. */
static uint64_t in_state(const struct sample *s, const char *name) {
    uint64_t n = 0;
    for (size_t i = 0; i < is.states.n; i++) {
        size_t len = strcspn(is.states.text[i], ",");
        if (len == strlen(name) && memcmp(is.states.text[i], name, len) == 0)
            n += s->in_state[i];
    }
    return n;
}

/* Per second since the look before. */
static double rate(const struct sample *from, const struct sample *to, size_t counter) {
    double seconds = to->at - from->at;
    return seconds > 0 ? (double)(to->counter[counter] - from->counter[counter]) / seconds : 0;
}

static double rate_of(const struct sample *from, const struct sample *to, const char *name) {
    for (size_t c = 0; c < is.counter_names.n; c++)
        if (strcmp(is.counter_names.text[c], name) == 0)
            return rate(from, to, c);
    return 0;
}

static const char *const shown_states[] = {"running", "runnable", "waiting", "syscall", "dead"};
static const char *const shown_rates[] = {"switches", "steals", "handoffs", "preempts", "creates"};
#define EACH(i, array)                                                                             \
    size_t i = 0;                                                                                  \
    i < sizeof(array) / sizeof *(array);                                                           \
    i++

static void print_head(void) {
    printf("%10s", "goroutines");
    for (EACH(i, shown_states))
        printf(" %9s", shown_states[i]);
    printf(" %9s %9s", "Ps idle", "Ms idle");
    for (EACH(i, shown_rates))
        printf(" %9s/s", shown_rates[i]);
    printf("\n");
}

static void print_line(const struct sample *from, const struct sample *to) {
    char ps[32], ms[32];
    snprintf(ps, sizeof ps, "%u/%u", is.procs, to->ps_idle);
    snprintf(ms, sizeof ms, "%u/%u", to->ms, to->ms_idle);
    printf("%10lu", (unsigned long)to->gs);
    for (EACH(i, shown_states))
        printf(" %9lu", (unsigned long)in_state(to, shown_states[i]));
    printf(" %9s %9s", ps, ms);
    for (EACH(i, shown_rates))
        printf(" %11.0f", rate_of(from, to, shown_rates[i]));
    printf("\n");
}

/* Each line cleared to its end, so that nothing of the last picture stays. */
#define EOL "\033[K\n"

static void print_screen(const struct target *t, const struct sample *from,
                         const struct sample *to) {
    printf("\033[H%s %d: %lu goroutines, %u Ps (%u idle), %u Ms (%u idle)" EOL EOL, t->program,
           t->pid, (unsigned long)to->gs, is.procs, to->ps_idle, to->ms, to->ms_idle);
    for (size_t i = 0; i < is.states.n; i++)
        if (to->in_state[i])
            printf("  %-16s %10lu" EOL, is.states.text[i], (unsigned long)to->in_state[i]);
    printf(EOL "waiting for" EOL);
    for (size_t i = 0; i < is.reasons.n; i++)
        if (to->for_reason[i])
            printf("  %-16s %10lu" EOL, is.reasons.text[i], (unsigned long)to->for_reason[i]);
    printf(EOL "per second" EOL);
    for (size_t c = 0; c < is.counter_names.n; c++)
        printf("  %-16s %10.0f" EOL, is.counter_names.text[c], rate(from, to, c));
    printf("\033[J");
}

/* ---- the command ---- */

static double seconds_option(const char *text) {
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end || !(s >= 0.1 && s <= 3600))
        die(EXIT_GTHREAD, "--delay %s: not a number of seconds from 0.1 to 3600", text);
    return s;
}

static int read_options(int argc, char **argv) {
    enum { HELP = 256 };
    static const struct option table[] = {{"delay", required_argument, NULL, 'd'},
                                          {"count", required_argument, NULL, 'n'},
                                          {"batch", no_argument, NULL, 'b'},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "d:n:b", table, NULL)) != -1;)
        switch (c) {
        case 'd':
            options.delay = seconds_option(optarg);
            break;
        case 'n':
            options.count = number_option("--count", optarg, 1, INT32_MAX);
            break;
        case 'b':
            options.batch = true;
            break;
        case HELP:
            help(help_text);
        default:
            usage_error();
        }
    if (optind + 1 != argc)
        die(EXIT_GTHREAD, "expected one process id; --help tells more");
    return (int)number_option("process", argv[optind], 1, INT32_MAX);
}

static void pause_for(double seconds) {
    struct timespec ts = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    while (nanosleep(&ts, &ts) && errno == EINTR)
        continue;
}

int command_top(int argc, char **argv) {
    struct target t = {0};
    process_look(&t, read_options(argc, argv));
    layout_read(&t);
    struct sample samples[2];
    bool screen = isatty(1) && !options.batch;
    if (!sample_read(&t, &samples[0]))
        die(EXIT_GTHREAD, "process %d has ended", t.pid);
    if (screen)
        printf("\033[2J");
    else
        print_head();
    for (long i = 1;; i++) {
        struct sample *from = &samples[(i - 1) % 2], *to = &samples[i % 2];
        output_finish();
        if (options.count && i > options.count)
            return 0;
        pause_for(options.delay);
        if (!sample_read(&t, to))
            return 0;
        if (screen)
            print_screen(&t, from, to);
        else
            print_line(from, to);
    }
}
