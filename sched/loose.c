/* loose.c - a goroutine that mostly waits in the kernel, and goes on without a P in between
 *
 * A G that gave its P away for a read of the disk would after it have to wait for a P: its M goes
 * to sleep, later another one takes it up. These are two switches of the kernel's for each read.
 * But such a G has an M, the kernel has just chosen to run that, and mostly it soon reads again. So
 * it goes on as it is: loose, without a P, scheduled by the kernel beside the Ms with Ps. It comes
 * back to the others where it parks, yields, or has used LOOSE_CPU_NS since the last call that
 * lasted: so it never takes more from them than a thread of NPTL's would.
 *
 * State table of m->loose. Only this M changes it, and m->p is NULL from before it is set until
 * after it is 0:
 *
 *   value  meaning                                   left by
 *   0      the G has a P, or none for other reasons  loose_begin, when a call that lasted ends
 *   n      its G is loose, for the n-th time:        its G gets a P (g_get_p), leaves the M
 *          status G_LOOSE, or SYSCALL in a call      (sched_switch) or is wired: to 0; the next
 *                                                    call that lasted ends: to another n
 *
 * What a loose G does without a P: it parks in the parking lot as others do (its deadline goes to
 * any P's heap), what it readies goes to the global queue. Its M then is idle (stopm, which looks
 * for what it may have left undone). A section on a loose G has no P: code says `if (p)`.
 */
#include "sched/runtime.h"

/* Of CPU time, until sysmon has it wait for a P like everybody. Several of the short calls and
 * the checks that a thread makes between two reads; a tenth of a slice. */
#define LOOSE_CPU_NS (1 * NSEC_PER_MSEC)
/* How often sysmon looks: so often, or where there are tens of thousands of Ms, so that the
 * looks take a fiftieth of its time. */
#define LOOSE_LOOK_NS (1 * NSEC_PER_MSEC)
#define LOOSE_LOOK_SHARE 50

void loose_begin(struct g *g) {
    struct m *m = g->m;
    if (!++m->loose_count)
        m->loose_count = 1;
    atomic_store_explicit(&m->loose, m->loose_count, memory_order_relaxed);
    status_set(g, G_LOOSE);
}

/* Where its deadline fires: spread over all, since busy Ps look at their own. */
struct p *loose_timers(const struct m *m) {
    return &sched.allp[m->id % sched.cfg.procs];
}

void loose_end(struct m *m) {
    atomic_store_explicit(&m->loose, 0, memory_order_relaxed);
    sysmon_wake(); /* it may have thought that somebody runs (deadlock.c) */
}

/* Does m run a loose G now, outside of calls? From outside, so only for a moment. */
static bool runs_loose(struct m *m) {
    struct g *g = *(struct g *volatile *)&m->curg;
    return g && status_of(g) == G_LOOSE;
}

/* Since the last look no call of m's G has lasted. */
static bool same_as_before(struct m *m, uint32_t n) {
    bool same = m->loose_seen == n;
    m->loose_seen = n;
    if (!same)
        m->loose_cpu = 0;
    return same;
}

/* It is the second look at least: before that the clock, a system call, would mostly be asked for
 * those that are in the kernel again soon. */
static bool had_its_time(struct m *m) {
    uint64_t cpu = m_cpu_time(m), since = m->loose_cpu;
    if (!since)
        m->loose_cpu = cpu;
    return since && cpu - since >= LOOSE_CPU_NS;
}

bool loose_look(uint64_t now, bool all) {
    static uint64_t next;
    bool found = false;
    if (now < next && !all)
        return false;
    struct m *m = atomic_load_explicit(&sched.allm, memory_order_acquire);
    for (; m; m = m->alllink) {
        uint32_t n = atomic_load_explicit(&m->loose, memory_order_relaxed);
        if (!n || !runs_loose(m) || !(same_as_before(m, n) || all))
            continue;
        found = true;
        if (all || had_its_time(m))
            send_preempt(m);
    }
    uint64_t end = nanotime(), rest = (end - now) * LOOSE_LOOK_SHARE;
    next = end + (rest > LOOSE_LOOK_NS ? rest : LOOSE_LOOK_NS);
    return found;
}

bool loose_yields(struct g *g) {
    if (status_of(g) != G_LOOSE)
        return false;
    g_get_p(g);
    return true;
}
