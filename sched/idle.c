/* idle.c - the M that sleeps until the next deadline
 *
 * When an M finds no work it gives back its P. One of the idle Ms, the poller, then sleeps until
 * the earliest deadline of all Ps; the others sleep until startm wakes them (proc.c, stopm).
 *
 * No deadline is missed:
 *   adder:  (1) puts the deadline into a heap (timer0, seq_cst), (2) reads poll_until; if a poller
 *           sleeps past the new deadline: bumps poll_seq and wakes it.
 *   poller: (1) claims poll_until, notes poll_seq, (2) stores poll_until (seq_cst), (3) reads all
 *           timer0 once more, (4) sleeps on poll_seq being what it noted.
 * Either the adder sees poll_until, or the poller sees timer0.
 *
 * poll_until: 0 nobody polls; CLAIMED a poller is about to; else the time it sleeps until.
 */
#include "sched/runtime.h"

#define CLAIMED 1

bool poller_wait(void) {
    uint64_t nobody = 0;
    if (timers_next() == TIME_FOREVER ||
        !atomic_compare_exchange_strong_explicit(&sched.poll_until, &nobody, CLAIMED,
                                                 memory_order_seq_cst, memory_order_relaxed))
        return false;
    uint32_t seq = atomic_load_explicit(&sched.poll_seq, memory_order_seq_cst);
    uint64_t until = timers_next();
    atomic_store_explicit(&sched.poll_until, until, memory_order_seq_cst);
    uint64_t again = timers_next();
    if (again < until)
        until = again;
    if (until != TIME_FOREVER)
        futex_sleep(&sched.poll_seq, seq, until);
    atomic_store_explicit(&sched.poll_until, 0, memory_order_seq_cst);
    return true;
}

void poller_break(void) {
    atomic_fetch_add_explicit(&sched.poll_seq, 1, memory_order_seq_cst);
    futex_wake(&sched.poll_seq, 1);
}

void poller_timer_added(uint64_t when) {
    uint64_t until = atomic_load_explicit(&sched.poll_until, memory_order_seq_cst);
    if (until && when < until)
        poller_break();
}
