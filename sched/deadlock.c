/* deadlock.c - is there nobody left who could go on? sysmon asks once, 1 s after all went idle
 *
 * A G is stuck if it waits in the parking lot, without a deadline and with no signal to take, for
 * something that only a thread of this process can give: a lock, a condition, a thread's end. If
 * all Gs are, and the process has no kernel threads but the runtime's (one of libc's making could
 * wake a G), then no G runs ever again unless a handler of the program's wakes one, which the layer
 * above judges: host->deadlocked.
 *
 * Waits for descriptors, signals, deadlines and the kernel (children, other processes, what blocks
 * unannounced) are not of that kind: one of them is reason enough not to say anything. The G that
 * was the reason at the last look is mostly the reason at the next (`sched.goes_on`), so that a
 * server that is idle for seconds is not looked at each time.
 *
 * The states stand still while all are read: who leaves one needs a P, and takes sysmon out of its
 * sleep first (deep_sleep's pair), which is looked at once more afterwards. A loose G that leaves
 * its M does so too (loose_end). A wired G needs none, but no other thread is there to wake it.
 * Waits of wired Gs that begin while sysmon sleeps for good are missed.
 */
#include "sched/runtime.h"

#define STUCK_REASONS                                                                              \
    (1U << WAIT_MUTEX | 1U << WAIT_COND | 1U << WAIT_RWLOCK | 1U << WAIT_SEM |                     \
     1U << WAIT_BARRIER | 1U << WAIT_ONCE | 1U << WAIT_JOIN | 1U << WAIT_FUTEX)
#define RUNTIME_THREADS 2 /* sysmon, the template thread */

static bool has_deadline(struct g *g) {
    if (status_of(g) == G_WIRED_WAITING)
        return g->m->wired_until != TIME_FOREVER;
    return atomic_load_explicit(&g->timer.heap, memory_order_acquire) != NULL;
}

static bool stuck(struct g *g) {
    uint32_t s = status_of(g);
    if (s != G_WAITING && s != G_WIRED_WAITING)
        return false;
    return STUCK_REASONS >> g->w.reason & 1 &&
           atomic_load_explicit(&g->w.addr, memory_order_relaxed) && !has_deadline(g) &&
           !g_has_signals(g);
}

static bool gone(struct g *g) { return status_of(g) == G_FREE || status_of(g) == G_DEAD; }

/* For g_each: stops at one that goes on. */
static bool look_at(struct g *g, void *goes_on) {
    if (gone(g) || stuck(g))
        return true;
    *(struct g **)goes_on = g;
    return false;
}

static uint32_t ms_alive(void) {
    uint32_t n = 0;
    for (struct m *m = atomic_load_explicit(&sched.allm, memory_order_acquire); m; m = m->alllink)
        n += m->tid != 0;
    return n;
}

bool deadlock_look_due(void) {
    if (sched.cfg.no_deadlock || sched.deadlock_told)
        return false;
    return !sched.goes_on || gone(sched.goes_on) || stuck(sched.goes_on);
}

void deadlock_look(void) {
    struct g *goes_on = NULL;
    g_each(look_at, &goes_on);
    sched.goes_on = goes_on;
    if (goes_on || kernel_threads() != ms_alive() + RUNTIME_THREADS ||
        !atomic_load_explicit(&sched.sysmon_asleep, memory_order_seq_cst))
        return;
    sched.deadlock_told = sched.host->deadlocked();
}
