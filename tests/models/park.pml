/* park.pml - parking: every wait ends once, for the reason it says, and no wake-up is lost
 *
 * Mirrors sched/park.c ("No wake-up is lost", 1 to 4): lot_enqueue, lot_wait, lot_dequeue, lot_requeue,
 * lot_end (lot_timeout, g_interrupt), lot_ready; proc.c: g_ready, claim_waiting, sched_switch and
 * switch_finish (FIN_PARK), exec_prepare; timer.c: timer_add, timers_fire, timer_del; signal.c
 * ("sender", "parker", "comer") with wake() of shim/sigsend.c; the same steps without the kernel's
 * interruption are those of cancel.c.
 *
 * One G waits WAITS times, each time perhaps with a deadline. WAKERS others each have one token for
 * it, and may first move it to another address (requeue). A sender sends it a signal. The switch away
 * from the G's stack, what the next one does for it, and the M that takes it from the queue are
 * processes of their own. Stores are in order but RUNNING, which is delayed as TSO may (comer).
 *
 * holds: -DWAITS=2 -DWAKERS=2
 * holds: -DWAITS=2 -DWAKERS=1 -DREQUEUE
 * holds: -DWAITS=1 -DWAKERS=2 -DREQUEUE
 * holds: -DWAITS=1 -DWAKERS=1 -DSIGNAL
 * fails: -DWAITS=1 -DWAKERS=1 -DNO_READIED | assertion violated saved  (3): a G is queued on its stack
 * fails: -DWAITS=1 -DWAKERS=1 -DBLIND_FINISH | assertion violated (linked||finished)  (3): FIN_PARK is no compare-exchange
 * fails: -DWAITS=1 -DWAKERS=1 -DCHECK_UNLOCKED | (linked&&(tokens>0))  (1), (2): it looks before it has the lock
 * fails: -DWAITS=2 -DWAKERS=1 -DNO_SEQ | assertion violated (tseq  (4): a late timer is not recognised
 * fails: -DWAITS=1 -DWAKERS=0 -DEARLY_TIMER | (linked&&timed)  (4): armed before the waiter is linked
 * fails: -DWAITS=1 -DWAKERS=1 -DREQUEUE -DNO_ADDR_CHECK | ((linked==b)&&held[b])  lot_end does not look again under the lock
 * fails: -DWAITS=1 -DWAKERS=0 -DSIGNAL -DNO_PARKER_LOOK | (linked&&pending)  signal.c, parker (2)
 * fails: -DWAITS=1 -DWAKERS=1 -DSIGNAL -DNO_COMER_LOOK | (finished&&pending)  comer (2)
 * fails: -DWAITS=1 -DWAKERS=1 -DSIGNAL -DNO_BARRIER_ALL | (finished&&pending)  sender (2)
 */
mtype = { G_RUNNING, G_PARKING, G_READIED, G_WAITING, G_RUNNABLE };
mtype = { R_NONE, R_WOKEN, R_TIMEOUT, R_INTERRUPTED };

mtype status = G_RUNNING;
bool late_running; /* RUNNING is still in the store buffer of its M */
bool saved, out, queued, resumed;
byte linked; /* w->addr: 0 none, else bucket 1 or 2; owned by the bucket's lock */
bool held[3];
byte seq, wseq;
mtype result = R_NONE;
byte tokens; /* state of the object at address 1 */
byte got, timeouts, wakes;
bool armed; /* the timer; under its own lock, one step each */
byte tseq;
bool late; /* a timer has been taken out of the heap and is about to fire */
bool pending, kicked, attention;
bool timed, finished; /* the waiter: has its wait a deadline; is it through with all */

inline drain() { atomic { if :: late_running -> late_running = false; status = G_RUNNING :: else fi } }
inline bucket_lock(b) { atomic { !held[b] -> held[b] = true } }
inline bucket_unlock(b) { held[b] = false }

/* lot_ready: g_ready, claim_waiting */
inline ready() {
    atomic {
        assert(status == G_WAITING || status == G_PARKING);
        if
        :: status == G_WAITING -> status = G_RUNNABLE; queued = true
        :: status == G_PARKING ->
#ifdef NO_READIED
            status = G_RUNNABLE; queued = true
#else
            status = G_READIED
#endif
        fi
    }
}

/* b: its bucket, locked by the caller */
inline dequeue(b, why) {
    assert(linked == b && held[b]);
    atomic { linked = 0; result = why }
}

/* lot_end; want 0: any wait */
inline lot_end(want, why, ended) {
    ended = false;
    do
    :: linked == 0 -> break
    :: linked != 0 ->
        b = linked;
        if
        :: b == 0 -> break
        :: else
        fi;
        bucket_lock(b);
#ifdef NO_ADDR_CHECK
        if
        :: (want == 0 || wseq == want) -> dequeue(b, why); ended = true
#else
        if
        :: linked == b && (want == 0 || wseq == want) -> dequeue(b, why); ended = true
        :: linked == b && !(want == 0 || wseq == want) -> bucket_unlock(b); b = 0; break
#endif
        :: else
        fi;
        bucket_unlock(b);
        b = 0;
        if
        :: ended -> ready(); break
        :: else
        fi
    od
}

proctype waiter() {
    byte i, b;
    bool ended, must_wait, away;
    do
    :: i == WAITS -> break
    :: else ->
        i++;
again:
        if
        :: timed = true
        :: timed = false
        fi;
#ifdef CHECK_UNLOCKED
        must_wait = tokens == 0;
#endif
        atomic { seq++; wseq = seq };
#ifdef EARLY_TIMER
        if
        :: timed -> atomic { armed = true; tseq = seq }
        :: else
        fi;
#endif
        drain();
        bucket_lock(1);
#ifndef CHECK_UNLOCKED
        must_wait = tokens == 0;
#endif
        if
        :: !must_wait ->
            atomic { tokens--; got++; armed = false };
            bucket_unlock(1)
        :: else ->
            atomic { status = G_PARKING; result = R_NONE; linked = 1 };
            bucket_unlock(1);
#ifndef EARLY_TIMER
            if
            :: timed -> atomic { armed = true; tseq = seq }
            :: else
            fi;
#endif
#ifndef NO_PARKER_LOOK
            if
            :: pending -> lot_end(0, R_INTERRUPTED, ended)
            :: else
            fi;
#endif
            atomic {
                if
                :: status == G_READIED -> status = G_RUNNING
                :: else -> saved = true; out = true; away = true /* arch_switch */
                fi
            };
            if
            :: away -> atomic { resumed -> resumed = false; away = false }
            :: !away && pending -> attention = true /* lot_wait, which the comer does otherwise */
            :: else
            fi;
            armed = false; /* timer_del */
            if
            :: result == R_WOKEN -> got++
            :: result == R_TIMEOUT -> timeouts++
            :: result == R_INTERRUPTED -> skip
            fi;
            if
            :: attention || kicked -> /* section_attend */
                atomic { attention = false; kicked = false; pending = false }
            :: else
            fi;
            if
            :: result == R_INTERRUPTED -> goto again
            :: else
            fi
        fi
    od;
    /* From here on it computes: only an interruption or what its M found when it came in tells it. */
    finished = true
}

/* The incoming side of the switch: switch_finish */
proctype finisher() {
    do
    :: atomic { out -> out = false };
#ifdef BLIND_FINISH
        if
        :: status == G_PARKING -> status = G_WAITING
        :: else -> status = G_RUNNABLE; queued = true
        fi
#else
        atomic {
            if
            :: status == G_PARKING -> status = G_WAITING
            :: status == G_READIED -> status = G_RUNNABLE; queued = true
            :: else -> assert(false)
            fi
        }
#endif
    od
}

/* An M that takes it from a queue: exec_prepare, arch_switch, m_signals_follow */
proctype M() {
    do
    :: atomic { queued -> queued = false; assert(saved); saved = false; late_running = true };
#ifndef NO_COMER_LOOK
        if
        :: pending -> attention = true
        :: else
        fi;
#endif
        resumed = true;
        !late_running /* the G's next locked instruction, or time, makes it seen */
    od
}

proctype memory() {
    do
    :: atomic { late_running -> late_running = false; status = G_RUNNING }
    od
}

proctype timers() {
    byte b, mine;
    bool ended;
    do
    :: atomic { armed -> armed = false; mine = tseq };
#ifdef NO_SEQ
        lot_end(0, R_TIMEOUT, ended);
        if
        :: ended -> assert(tseq == mine)
        :: else
        fi;
#else
        lot_end(mine, R_TIMEOUT, ended);
#endif
        mine = 0; ended = false
    od
}

proctype waker() {
    bool found;
    bucket_lock(1);
    if
    :: linked == 1 ->
        if
        :: dequeue(1, R_WOKEN); found = true
#ifdef REQUEUE
        :: atomic { !held[2] -> held[2] = true };
            linked = 2;
            bucket_unlock(2)
#endif
        fi
    :: else -> tokens++; found = false
    fi;
    bucket_unlock(1);
    wakes++;
    if
    :: found -> ready()
    :: else
    fi;
#ifdef REQUEUE
    /* It has moved the waiter if it neither found it nor left a token. */
    if
    :: !found -> bucket_lock(2);
        if
        :: linked == 2 -> dequeue(2, R_WOKEN); found = true
        :: else
        fi;
        bucket_unlock(2);
        if
        :: found -> ready()
        :: else
        fi
    :: else
    fi
#endif
}

/* sigsend.c, wake(): two rounds, the second behind the barrier on all CPUs */
proctype sender() {
    byte b, round;
    bool ended;
    pending = true;
    do
    :: round == 2 -> break
    :: else ->
#ifndef NO_BARRIER_ALL
        if
        :: round == 1 -> !late_running
        :: else
        fi;
#endif
        lot_end(0, R_INTERRUPTED, ended);
        if
        :: ended -> break
        :: status == G_RUNNING -> kicked = true; break
        :: else -> round++
        fi
    od
}

init {
    byte i;
    atomic {
        run waiter(); run finisher(); run M(); run memory(); run timers();
#if WAKERS
        for (i : 1 .. WAKERS) { run waker() };
#endif
#ifdef SIGNAL
        run sender()
#endif
    }
    timeout ->
    assert(linked || finished);             /* who sleeps can be found */
    assert(!(linked && tokens > 0));        /* not beside a token */
    assert(!(linked && timed));             /* nor over its time */
    assert(!(linked && pending));           /* nor while it has a signal */
    assert(!(finished && pending) || kicked || attention); /* which it hears of if it runs, too */
#ifndef REQUEUE
    assert(tokens + got == wakes)
#endif
}
