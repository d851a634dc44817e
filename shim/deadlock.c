/* deadlock.c - says that no thread can go on, and why: rings of mutexes and joins
 *
 * sched/deadlock.c has found that no goroutine can run and nothing but a signal could change that
 * (sched_host.deadlocked). All of it runs on sysmon, while no goroutine does.
 */
#include "shim/mutex.h"
#include "shim/signal.h"

#include <stdio.h>

/* LINES: the report is for people, `gthread dump` shows all. RING_MAX: a longer one is not looked
 * for, so that chains of waits cost no more. */
enum { LINES = 20, RING_MAX = 1000 };

/* What a thread waits for, as far as one thread alone can give it. */
struct edge {
    uintptr_t mutex;      /* 0: it does not wait for one */
    int32_t owner;        /* id of the thread that holds it; 0: not known */
    struct thread *whose; /* who has to go on first; NULL: nobody in particular */
};

static struct edge edge_of(struct thread *t) {
    const struct waiter *w = g_waiter(t->g);
    uintptr_t addr = atomic_load_explicit(&w->addr, memory_order_relaxed);
    struct edge e = {0};
    /* Who waited for a condition may have been moved to its mutex. */
    if (w->reason == WAIT_MUTEX || (w->reason == WAIT_COND && addr == w->aux)) {
        e.mutex = addr;
        e.owner = __atomic_load_n(&((mutex *)addr)->__owner, __ATOMIC_RELAXED);
        e.whose = e.owner ? thread_of_tid(e.owner) : NULL;
    } else if (w->reason == WAIT_JOIN) {
        e.whose = atomic_load_explicit(&t->joining, memory_order_relaxed);
    }
    return e;
}

/* Does t wait in a ring, of which it is the one with the lowest id? *n: how many are in it. */
static bool leads_ring(struct thread *t, int *n) {
    struct thread *at = edge_of(t).whose;
    for (*n = 1; at && at != t; ++*n) {
        if (at->tid < t->tid || *n == RING_MAX) /* maybe on its way into a ring without t */
            return false;
        at = edge_of(at).whose;
    }
    return at != NULL;
}

/* `thread 4194306 "left"` */
static const char *name_of(const struct thread *t, char *to, size_t size) {
    int n = snprintf(to, size, "thread %d", t->tid);
    if (t->name[0])
        snprintf(to + n, size - (size_t)n, " \"%.16s\"", t->name);
    return to;
}

static void say_edge(struct thread *t) {
    char who[48], whose[48] = "";
    struct edge e = edge_of(t);
    const struct waiter *w = g_waiter(t->g);
    name_of(t, who, sizeof who);
    if (e.whose)
        name_of(e.whose, whose, sizeof whose);
    if (e.mutex && e.whose)
        complain("  %s waits for mutex 0x%lx, which %s holds", who, e.mutex, whose);
    else if (e.mutex && e.owner)
        complain("  %s waits for mutex 0x%lx, which thread %d holds, and that has ended", who,
                 e.mutex, e.owner);
    else if (e.whose)
        complain("  %s waits for the end of %s", who, whose);
    else
        complain("  %s waits for %s 0x%lx", who, park_reason_name(w->reason),
                 (unsigned long)atomic_load_explicit(&w->addr, memory_order_relaxed));
}

struct count {
    int rings, threads;
};

static bool waits(struct g *g) { return atomic_load(&g_waiter(g)->addr) != 0; }

/* For g_each. */
static bool count_one(struct g *g, void *arg) {
    struct count *c = arg;
    int n;
    if (waits(g)) {
        c->threads++;
        c->rings += leads_ring(thread_of(g), &n);
    }
    return true;
}

static bool say_ring(struct g *g, void *arg) {
    int *lines = arg, n;
    struct thread *t = thread_of(g);
    if (!waits(g) || !leads_ring(t, &n))
        return true;
    for (; t && n > 0 && *lines > 0; n--, --*lines, t = edge_of(t).whose)
        say_edge(t);
    return *lines > 0;
}

static bool say_one(struct g *g, void *arg) {
    int *lines = arg;
    if (waits(g)) {
        say_edge(thread_of(g));
        --*lines;
    }
    return *lines > 0;
}

/* A handler may post a semaphore, or jump out of a wait, but no handler can give a mutex of another
 * thread's: a ring is for good. SIG_SYNC: nobody sends these to wake a thread. */
static bool has_handlers(void) {
    for (int sig = 1; sig <= NSIG_KERNEL; sig++)
        if (!(SIG_SYNC & sig_bit(sig)) && sig_has_handler(&sig_actions[sig]))
            return true;
    return false;
}

bool deadlock_report(void) {
    struct count c = {0};
    int lines = LINES;
    g_each(count_one, &c);
    if (!c.threads || (!c.rings && has_handlers()))
        return false;
    complain("deadlock: %d thread%s of process %d wait%s, and none can run any more", c.threads,
             c.threads == 1 ? "" : "s", signal_pid, c.threads == 1 ? "s" : "");
    g_each(c.rings ? say_ring : say_one, &lines);
    complain("  `gthread dump %d` shows all of them, with names and backtraces", signal_pid);
    return true;
}
