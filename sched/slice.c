/* slice.c - the end of a computing G's turn
 *
 * Who finds that it is over (sysmon, or the G itself) asks the G to yield (ask_to_yield). It does
 * so at the next of its calls that looks, or where a signal interrupts it (preempt.c in shim). What
 * it may have next time is worked out here; where it queues stands at the head of runq.c.
 */
#include "sched/event.h"
#include "sched/runtime.h"

/* The next slice of a G whose turn is over. Slices are watched by the clock, but meant is CPU time:
 * what the kernel has given to others meanwhile, or sysmon was late, is made good once it is worth
 * a slice of its own length. So shares are even in the long run, and no turn takes more than two
 * slices, however little of them the G computes. */
static uint32_t slice_next(struct g *g) {
    int32_t due = g->owed_us;
    if (due > -SLICE_US / 4 && due < SLICE_US / 4)
        return SLICE_US;
    due = due > SLICE_US ? SLICE_US : due < -SLICE_US / 2 ? -SLICE_US / 2 : due;
    g->owed_us = 0;
    return (uint32_t)(SLICE_US + due);
}

static void owe(struct g *g, int64_t us) {
    us += g->owed_us;
    g->owed_us = (int32_t)(us > SLICE_US ? SLICE_US : us < -SLICE_US ? -SLICE_US : us);
}

/* The running G is stopped: with what is left of its slice it goes to the front, else behind the
 * others. A turn that began otherwise is over, and so is one that sysmon may end (SLICE_EARLY) or
 * with less than the next is given in any case. */
static void slice_note(struct p *p, struct g *g) {
    int64_t slice = atomic_load_explicit(&p->slice_us, memory_order_relaxed);
    uint64_t turn_at = atomic_load_explicit(&p->turn_at, memory_order_relaxed);
    int64_t used = (int64_t)((nanotime() - turn_at) / NSEC_PER_USEC), cpu = used;
    if (slice && p->turn_cpu) /* of this M, or it makes no sense */
        cpu = (int64_t)((m_cpu_time(g->m) - p->turn_cpu) / NSEC_PER_USEC);
    if (cpu < 0 || cpu > used)
        cpu = used;
    int64_t least = TURN_MIN_NS / NSEC_PER_USEC, early = SLICE_EARLY(slice);
    g->slice_left = used + (early > least ? early : least) < slice;
    if (slice)
        owe(g, (g->slice_left ? used : slice) - cpu);
    g->slice_us = g->slice_left ? (uint32_t)(slice - used) : slice_next(g);
}

/* The G is stopped for a deadline that is not quite there: sysmon was quicker than it thinks. */
static void await_deadline(struct p *p) {
    uint64_t when = atomic_load_explicit(&p->timer0, memory_order_relaxed);
    for (uint64_t now = nanotime(); now < when && when - now < TIMER_LEAD_NS; now = nanotime())
        arch_pause();
}

/* Stops the running G, which has a P and has told why, if it is still the one that is meant. In a
 * section. */
static void stop_computing(struct g *g) {
    struct p *p = g->m->p;
    atomic_store_explicit(&p->preempt, false, memory_order_relaxed);
    if (!sched.cfg.preempt_us &&
        atomic_load_explicit(&p->asked_switch, memory_order_relaxed) != switches_of(p)) {
        event_stay(g);
        return;
    }
    slice_note(p, g);
    await_deadline(p);
    sched_switch(g, FIN_COMPUTES);
}

void slice_ends(struct g *g) {
    event_yield(g);
    stop_computing(g);
}

void g_yield_if_asked(void) {
    chaos_point("a call that programs repeat");
    struct p *p = p_self();
    if (!p || likely(!atomic_load_explicit(&p->preempt, memory_order_relaxed)))
        return;
    struct g *g = getg();
    if (status_of(g) != G_RUNNING || g->is_g0)
        return;
    if (unlikely(LOCKS_HELD(g->locks)))
        throw("g_yield_if_asked: a runtime lock is held");
    section_enter(g);
    yield_if_asked(g);
    section_leave(g);
}

void m_preempt_arrived(void) {
    atomic_store_explicit(&getg()->m->preempt_sent, false, memory_order_relaxed);
}

void sched_preempted(void) {
    struct g *g = getg();
    section_enter(g);
    if (g->m->p) { /* not wired meanwhile */
        p_count(g->m->p, CNT_PREEMPT);
        event_preempt(g);
        stop_computing(g);
    } else {
        loose_yields(g);
    }
    section_leave(g);
}
