/* idle.c - the M that sleeps until the next deadline or event
 *
 * When an M finds no work it gives back its P. One of the idle Ms, the poller, then sleeps until
 * the earliest deadline of all Ps, in epoll once there is a netpoller, else on a futex; the others
 * sleep until startm wakes them (wake.c, stopm).
 *
 * No deadline is missed:
 *   adder:  (1) puts the deadline into a heap (timer0, seq_cst), (2) reads poll_until; if a poller
 *           sleeps past the new deadline: wakes it (poller_break).
 *   poller: (1) claims poll_until, notes poll_seq, (2) stores poll_until (seq_cst), (3) reads all
 *           timer0 once more, (4) sleeps: on poll_seq being what it noted, or in epoll, where the
 *           eventfd stays readable until the poller itself has read it, (5) reads it and lowers
 *           `breaking`, (6) stores 0 in poll_until.
 * Either the adder sees poll_until, or the poller sees timer0. An adder that finds `breaking`
 * raised does not write: the poller whose break that is has not come to (6), so who polls next does
 * (3) after it. With (6) before (5) the next poller could be asleep when the break was taken away.
 * A netpoller that starts while the poller sleeps on the futex breaks it like an adder.
 *
 * While all Ps compute, sysmon is the poller (sysmon.c); an M that still is one, without a P, is
 * broken by it and leaves (poll_idle). Who makes a G runnable that only sysmon can get a P for is
 * an adder too: look_wanted is its timer0 (sysmon_want_look).
 *
 * poll_until: 0 nobody polls; CLAIMED a poller is about to; else the time it sleeps until.
 */
#include "sched/runtime.h"

#define CLAIMED 1

bool poller_wait(struct net_batch *b, uint64_t cap) {
    uint64_t nobody = 0;
    b->n = 0;
    if ((cap == TIME_FOREVER && timers_next() == TIME_FOREVER && !net_running()) ||
        !atomic_compare_exchange_strong_explicit(&sched.poll_until, &nobody, CLAIMED,
                                                 memory_order_seq_cst, memory_order_relaxed))
        return false;
    uint32_t seq = atomic_load_explicit(&sched.poll_seq, memory_order_seq_cst);
    bool in_epoll = net_running();
    atomic_store_explicit(&sched.poll_on_futex, !in_epoll, memory_order_relaxed);
    uint64_t until = timers_next();
    if (cap < until)
        until = cap;
    atomic_store_explicit(&sched.poll_until, until, memory_order_seq_cst);
    uint64_t again = timers_next();
    if (again < until)
        until = again;
    if (cap != TIME_FOREVER && atomic_load_explicit(&sched.look_wanted, memory_order_seq_cst))
        until = 0;
    if (in_epoll)
        net_poll(b, until ? until : 1);
    else if (until != TIME_FOREVER)
        futex_sleep(&sched.poll_seq, seq, until);
    if (net_batch_broken(b))
        net_break_seen(); /* poller, (5) */
    atomic_store_explicit(&sched.poll_until, 0, memory_order_seq_cst);
    return true;
}

void poller_break(void) {
    atomic_fetch_add_explicit(&sched.poll_seq, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&sched.poll_on_futex, memory_order_relaxed))
        futex_wake(&sched.poll_seq, 1);
    else if (net_running())
        net_break();
}

void poller_timer_added(uint64_t when) {
    uint64_t until = atomic_load_explicit(&sched.poll_until, memory_order_seq_cst);
    if (until && when < until)
        poller_break();
}
