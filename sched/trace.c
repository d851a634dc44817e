/* trace.c - what the scheduler shows of itself: clock, counters, schedule trace, dump of all Gs
 *
 * Everything here reads without locks and may see a state in change: good enough for people.
 */
#include "sched/debug.h"
#include "sched/runtime.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

static int (*clock_source)(int, struct timespec *);
void nanotime_by(int (*source)(int, struct timespec *)) { clock_source = source; }

static inline uint64_t clock_ns(int clock) {
    struct timespec ts = {0};
    if (likely(clock_source != NULL))
        clock_source(clock, &ts);
    else
        sys(SYS_clock_gettime, clock, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t nanotime(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t realtime(void) { return clock_ns(CLOCK_REALTIME); }

static const char *const counter_names[P_COUNTERS] = {
    [CNT_SWITCH] = "switches",  [CNT_DIRECT] = "direct",    [CNT_PARK] = "parks",
    [CNT_YIELD] = "yields",     [CNT_STEAL] = "steals",     [CNT_SYSCALL] = "syscalls",
    [CNT_HANDOFF] = "handoffs", [CNT_TIMER] = "timers",     [CNT_CREATE] = "creates",
    [CNT_EXIT] = "exits",       [CNT_NETPOLL] = "netpolls", [CNT_UNSEEN] = "unseen",
    [CNT_PREEMPT] = "preempts",
};
DEBUG_NAMES("counter.names", counter_names);

void stat_count(enum stat_event e) {
    struct p *p = p_self();
    if (p)
        p_count(p, e == STAT_CREATE ? CNT_CREATE : CNT_EXIT);
}

static uint64_t counter_sum(enum p_counter c) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sched.cfg.procs; i++)
        sum += atomic_load_explicit(&sched.allp[i].counter[c], memory_order_relaxed);
    return sum;
}

void stats_print(void) {
    char out[1024];
    int n = snprintf(out, sizeof out, "gthread: stats pid=%ld procs=%u ms=%u goroutines=%lu\n",
                     sys(SYS_getpid), sched.cfg.procs, sched.nm,
                     (unsigned long)atomic_load(&sched.ngs));
    for (int c = 0; c < P_COUNTERS; c++)
        n += snprintf(out + n, sizeof out - (size_t)n, "gthread:   %s=%lu\n", counter_names[c],
                      (unsigned long)counter_sum((enum p_counter)c));
    if (chaos_on)
        n += snprintf(out + n, sizeof out - (size_t)n,
                      "gthread:   chaos=%lu decisions=%lu fingerprint=%016lx\n",
                      (unsigned long)sched.cfg.chaos.seed, (unsigned long)chaos_decisions(),
                      (unsigned long)chaos_fingerprint());
    sys(SYS_write, 2, out, n);
}

/* Go's format of GODEBUG=schedtrace, so that its readers are at home. */
void schedtrace_print(uint64_t now) {
    char out[512];
    const int size = sizeof out - 16;
    int n =
        snprintf(out, sizeof out,
                 "SCHED %lums: gomaxprocs=%u idleprocs=%u threads=%u spinningthreads=%u "
                 "idlethreads=%u goroutines=%lu runqueue=%u [",
                 (unsigned long)((now - sched.start_ns) / NSEC_PER_MSEC), sched.cfg.procs,
                 atomic_load(&sched.npidle), sched.nm, atomic_load(&sched.nmspinning), sched.nmidle,
                 (unsigned long)atomic_load(&sched.ngs), atomic_load(&sched.runqsize));
    for (uint32_t i = 0; i < sched.cfg.procs && n < size; i++) {
        struct p *p = &sched.allp[i];
        uint32_t len = atomic_load(&p->runqtail) - atomic_load(&p->runqhead);
        n += snprintf(out + n, sizeof out - (size_t)n, i ? " %u" : "%u",
                      len + (atomic_load(&p->runnext) != NULL));
    }
    n += snprintf(out + n, sizeof out - (size_t)n, "]\n");
    sys(SYS_write, 2, out, n);
}

static const char *const status_names[G_STATUSES] = {
    [G_FREE] = "free",
    [G_RUNNABLE] = "runnable",
    [G_RUNNING] = "running",
    [G_PARKING] = "waiting",
    [G_READIED] = "runnable",
    [G_WAITING] = "waiting",
    [G_SYSCALL] = "syscall",
    [G_DEAD] = "dead",
    [G_WIRED] = "running, wired",
    [G_LOOSE] = "running, no P",
    [G_WIRED_WAITING] = "waiting, wired",
};
DEBUG_NAMES("status.names", status_names);

static bool dump_one(struct g *g, void *arg) {
    uint32_t s = status_of(g);
    if (s == G_FREE)
        return true;
    char line[300], who[128] = "";
    sched.host->g_describe(g, who, sizeof who);
    bool waits = s == G_WAITING || s == G_SYSCALL || s == G_PARKING || s == G_WIRED_WAITING;
    uint64_t us = (nanotime() - sched.start_ns) / NSEC_PER_USEC;
    uint64_t per_us = us ? (arch_cycles() - sched.start_cycles) / us : 1;
    int n = snprintf(line, sizeof line, "goroutine %lu [%s", (unsigned long)g->id, status_names[s]);
    if (waits)
        n += snprintf(line + n, sizeof line - (size_t)n, ", %s 0x%lx, %lu ms",
                      park_reason_name(g->w.reason), (unsigned long)atomic_load(&g->w.addr),
                      (unsigned long)((arch_cycles() - g->w.since) / (per_us ? per_us : 1) / 1000));
    n += snprintf(line + n, sizeof line - (size_t)n, "]: %s\n", who);
    sys(SYS_write, *(int *)arg, line, n < (int)sizeof line ? n : (int)sizeof line - 1);
    return true;
}

void dump_goroutines(int fd) { g_each(dump_one, &fd); }
