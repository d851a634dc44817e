/* turns.pml - all Ps compute: who wakes up has its turn all the same
 *
 * Mirrors sched/sysmon.c (look_at_all, look_at, watch_turn, preempt_running, sleep_until), idle.c
 * (poller_wait, poll_idle), proc.c (woke_another, stop_computing, find_with_p) and the two levels
 * of runq.c. One G waits again and again: for a deadline, for an event, or for a post by a G that
 * has its turn as a computing one and never makes another call. The others compute for ever, and
 * each P has one. Time is left out, and with it what is found after a slice or sysmon's tick of
 * 10 ms: here sysmon only wakes up for what it has been told, or has seen, that it will be soon.
 *
 * A G that is posted to by one that has not been stopped yet waits for that tick: not modelled.
 * That the ends of a deadline's break fit together (poller, (5)): see idle.c.
 *
 * holds: -DNP=1 -DWAITS=3
 * holds: -DNP=2 -DWAITS=1
 * holds: -DNP=1 -DWAITS=1 -DM_POLLS
 * fails: -DNP=1 -DWAITS=1 -DNO_POLLER | assertion violated  sysmon sleeps by the clock while all compute
 * fails: -DNP=1 -DWAITS=2 -DNO_TIMER_AGAIN | assertion violated  poller (3): timer0 is not read again
 * fails: -DNP=1 -DWAITS=2 -DNO_WOKE_ANOTHER | assertion violated  a computing G that readies one tells nobody
 * fails: -DNP=1 -DWAITS=2 -DNO_LOOK_AGAIN | assertion violated  poller (3): look_wanted is not read again
 * fails: -DNP=1 -DWAITS=2 -DLATE_LOOK_RESET | assertion violated  look_wanted is reset after the look
 * fails: -DNP=1 -DWAITS=1 -DM_POLLS -DM_STAYS | assertion violated  an M that has no P stays the poller
 * fails: -DNP=1 -DWAITS=1 -DM_POLLS -DQUIET_GLOBQ | assertion violated  who has no P and readies one tells nobody
 * fails: -DNP=2 -DWAITS=2 -DONE_LEVEL | assertion violated  a P takes computing Gs first
 * fails: -DNP=1 -DWAITS=2 -DANY_SWITCH | assertion violated  the G that has just come in is stopped for another
 * fails: -DNP=1 -DWAITS=2 -DONE_LOOK | assertion violated  sysmon does not look again after an interruption
 * fails: -DNP=1 -DWAITS=3 -DNO_LOOK_AFTER_SWITCH | assertion violated  no look soon after a new G has come in
 * fails: -DNP=1 -DWAITS=3 -DREADS_TWICE | assertion violated  its slice is read once for that look and again for all_compute
 */
#define FIRST 0  /* new, never stopped; sysmon knows that it computes once it has stood for a look */
#define SECOND 1 /* of the list of computing ones */
#define WAITER 2

/* poll_until */
#define NOBODY 0
#define CLAIMED 1
#define SLEEPS 2      /* sysmon, past any deadline */
#define SLEEPS_LESS 3 /* sysmon, no longer than to the deadline that it has seen */
#define M_SLEEPS 4    /* an M */

byte cur[NP];          /* who runs on P */
byte switches[NP];
byte asked[NP];        /* asked_switch */
bool sig[NP];          /* the interruption is on its way */
bool woken[NP];        /* the waiter is in the ring of P */
bool globq;            /* or in the global queue */
byte computing = 1;    /* how many are on the list */
bool parked, readied;  /* the waiter: off its stack; readied before it was */
byte waits = WAITS;
bool timer[NP], due;   /* its deadline; that has come */
bool in_epoll, event;  /* it waits for an event; that is there */
bool post_wanted;      /* it waits for a post */
byte poll_until;
bool broken, m_broken; /* the poller's sleep is to end */
bool look_wanted;
byte put_off = 1;      /* an interruption may come in the middle of libc, so often */

/* Whoever ends the wait: queues the waiter if it has left its stack, else its switch does that. */
#define READY(where)                                                                               \
    if                                                                                             \
    :: parked -> parked = false; where = true                                                      \
    :: else -> readied = true                                                                      \
    fi

/* poller_timer_added, for a time before the end of any sleep but SLEEPS_LESS */
inline poller_timer_added(any) {
    if
    :: poll_until == SLEEPS || (any && poll_until == SLEEPS_LESS) -> broken = true
    :: poll_until == M_SLEEPS -> m_broken = true
    :: else
    fi
}

inline want_look() {
    look_wanted = true;
    poller_timer_added(true)
}

/* The caller has readied one into the ring of p, where a computing G has its turn. */
inline woke_another() {
#ifndef NO_WOKE_ANOTHER
    want_look()
#else
    skip
#endif
}

/* The next one: of the ring, of the global queue, of the list. */
inline pick() {
    atomic {
        if
#ifndef ONE_LEVEL
        :: woken[p] -> woken[p] = false; cur[p] = WAITER
        :: !woken[p] && globq -> globq = false; cur[p] = WAITER
        :: !woken[p] && !globq -> computing--; cur[p] = SECOND
#else
        :: assert(!woken[p] && !globq); computing--; cur[p] = SECOND
#endif
        fi;
        switches[p]++
    }
}

inline stop_computing() {
    atomic {
        assert(cur[p] != WAITER);
        computing++ /* FIN_COMPUTES; in the end by whoever comes in */
    };
    pick()
}

/* The waiter queues for what it waits for, and switches away. */
inline wait() {
    if
    :: timer[p] = true; poller_timer_added(false)
    :: in_epoll = true
    :: post_wanted = true
    fi;
    atomic { computing > 0 && !woken[p]; computing--; cur[p] = SECOND; switches[p]++ };
    atomic { /* switch_finish, FIN_PARK */
        parked = true;
        if
        :: readied -> readied = false; parked = false; woken[p] = true
        :: else
        fi
    };
    if
    :: woken[p] -> woke_another()
    :: else
    fi
}

/* The M of p, with whichever G */
proctype P(byte p) {
    do
    :: atomic { cur[p] == WAITER && waits > 0 -> waits-- }; wait()
    :: atomic { cur[p] == SECOND && post_wanted -> post_wanted = false; READY(woken[p]) };
        if
        :: woke_another()
        :: woken[p] -> stop_computing() /* its time is over, and so is its call */
        fi
    :: atomic { sig[p] && put_off > 0 -> put_off--; sig[p] = false }
    :: atomic { sig[p] -> sig[p] = false };
        if
#ifdef ANY_SWITCH
        :: true -> stop_computing()
#else
        :: asked[p] == switches[p] -> stop_computing()
        :: else
#endif
        fi
    od
}

/* The clock and the other processes */
proctype world() {
    do
    :: atomic { (timer[0] || timer[NP - 1]) && !due -> due = true }
    :: atomic { in_epoll -> in_epoll = false; event = true }
    od
}

inline fire() {
    atomic {
        if
        :: due && (timer[0] || timer[NP - 1]) ->
            timer[0] = false;
            timer[NP - 1] = false;
            due = false;
            READY(globq)
        :: else
        fi
    }
}

inline look_at(p) {
    now = switches[p];
    stands = now == seen[p];
    second = cur[p] == SECOND;
    if
#ifndef NO_LOOK_AFTER_SWITCH
    :: !stands -> seen[p] = now; soon = soon || !second
#else
    :: !stands -> seen[p] = now
#endif
    :: else
    fi;
#ifdef READS_TWICE
    second = cur[p] == SECOND;
#endif
    all_compute = all_compute && (stands || second);
    if
    :: woken[p] || (timer[p] && due) || woken_in_globq ->
        if
        :: soon = true /* it has not had TURN_MIN_NS yet */
        :: stands ->
            woken_in_globq = woken_in_globq && (woken[p] || (timer[p] && due));
            asked[p] = now;
            sig[p] = true;
#ifndef ONE_LOOK
            soon = true
#endif
        fi
    :: else
    fi
}

/* Sleeps until it has to look again, here for a reason only. */
inline sleep() {
    if
#ifndef NO_POLLER
    :: all_compute ->
        atomic {
            if
            :: poll_until == NOBODY -> poll_until = CLAIMED; polls = true
            :: else -> polls = false
            fi
        };
        if
        :: polls ->
            sees = timer[0] || timer[NP - 1];
            poll_until = (sees -> SLEEPS_LESS : SLEEPS);
#ifndef NO_TIMER_AGAIN
            sees = timer[0] || timer[NP - 1];
#endif
#ifndef NO_LOOK_AGAIN
            soon = soon || look_wanted;
#endif
            event || broken || soon || (sees && due);
            broken = false;
            poll_until = NOBODY;
            atomic {
                if
                :: event -> event = false; READY(globq)
                :: else
                fi
            }
        :: !polls ->
#ifndef M_STAYS
            m_broken = true
#else
            soon
#endif
        fi
    :: else -> soon
#else
    :: soon
#endif
    fi
}

proctype sysmon() {
    bool all_compute, soon, stands, second, polls, sees, woken_in_globq;
    byte now, seen[NP];
    do
    :: true ->
#ifndef LATE_LOOK_RESET
        look_wanted = false;
#endif
        if
        :: all_compute -> fire()
        :: !all_compute && due -> soon = true /* OVERDUE_NS */
        :: else
        fi;
        woken_in_globq = globq;
        soon = false;
        all_compute = true;
        look_at(0);
#if NP > 1
        look_at(1);
#endif
#ifdef LATE_LOOK_RESET
        look_wanted = false;
#endif
        sleep()
    od
}

/* An M that has become the poller before all Ps had an M. Its own P is gone. */
proctype poller_m() {
    do
    :: event || m_broken || due ->
        m_broken = false;
        poll_until = NOBODY;
        atomic {
            if
            :: event -> event = false; READY(globq)
            :: else
            fi
        };
#ifndef QUIET_GLOBQ
        want_look();
#endif
        break
    od
}

init {
    atomic {
        cur[0] = WAITER;
#if NP > 1
        if
        :: cur[1] = FIRST
        :: cur[1] = SECOND
        fi;
        run P(1);
#endif
#ifdef M_POLLS
        poll_until = M_SLEEPS;
        run poller_m();
#endif
        run P(0);
        run world();
        run sysmon()
    };
    timeout -> assert(!globq && !woken[0] && !woken[NP - 1] && !due && !event)
}
