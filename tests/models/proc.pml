/* proc.pml - waking Ms: no G waits in a queue while a P is idle and nobody is about to fetch it
 *
 * Mirrors sched/proc.c and wake.c: queue_on, ready_batch ("submit", 1 to 3), wakep, startm, stopm,
 * stop_and_recheck ("stop", 1 to 3), find_with_p, reset_spinning, steal_work, yield_section,
 * stop_computing; of runq.c runq_put, runq_steal, globq_get_locked and the queue of computing Gs;
 * of sysmon.c deep_sleep. One G in runnext alone wakes nobody (it may wait for sysmon here). A G may
 * compute for ever, so nothing but these steps fetches those behind it; or it is stopped (STOPS).
 * Who is stopped so that one that has woken up has its turn: turns.pml.
 *
 * Memory is TSO: what the owner of a P puts into its ring is seen by itself first (own), by others
 * (ring) at any time later, at the latest at its next locked instruction (drain).
 *
 * holds: -DNP=2 -DNM=2 -DGS=3
 * holds: -DNP=2 -DNM=3 -DGS=2 -DYIELDS=1
 * holds: -DNP=3 -DNM=3 -DGS=3 -DLOCAL
 * holds: -DNP=2 -DNM=3 -DGS=2 -DPOLLER
 * holds: -DNP=2 -DNM=3 -DGS=3 -DLOCAL -DPOLLER
 * holds: -DNP=2 -DNM=2 -DGS=2 -DSTOPS=2
 * holds: -DNP=2 -DNM=3 -DGS=2 -DLOCAL -DSTOPS=1
 * holds: -DNP=2 -DNM=2 -DGS=2 -DLOCAL -DSTOPS=1 -DYIELDS=2
 * holds: -DNP=2 -DNM=3 -DGS=1 -DSYSMON -DPOLLER
 * fails: -DNP=2 -DNM=2 -DGS=3 -DNO_SUBMIT_BARRIER | assertion violated  submit (2)
 * fails: -DNP=2 -DNM=3 -DGS=3 -DLOCAL -DPOLLER -DNO_RECHECK | assertion violated  stop (3)
 * fails: -DNP=2 -DNM=3 -DGS=3 -DLOCAL -DPOLLER -DEARLY_RECHECK | assertion violated  stop (3) before (1)
 * fails: -DNP=3 -DNM=3 -DGS=3 -DNO_CHAIN | assertion violated  reset_spinning wakes no other
 * fails: -DNP=2 -DNM=2 -DGS=2 -DNO_STOPM_LOOK | assertion violated  stopm does not look again
 * fails: -DNP=2 -DNM=2 -DGS=3 -DLATE_LOWER | assertion violated  wakep lowers nmspinning after the lock
 * fails: -DNP=2 -DNM=2 -DGS=3 -DPOP_FIRST | assertion violated  a batch is in neither queue for a moment
 * fails: -DNP=2 -DNM=2 -DGS=3 -DYIELDS=1 -DYIELD_LOCALLY | assertion violated  a yield to a fetched G wakes nobody
 * fails: -DNP=2 -DNM=2 -DGS=2 -DSTOPS=1 -DSTOP_QUIETLY | assertion violated  a G put to the computing ones wakes nobody
 * fails: -DNP=2 -DNM=2 -DGS=2 -DSTOPS=2 -DUNCOUNTED | assertion violated  stop (3) does not see the computing ones
 * fails: -DNP=2 -DNM=3 -DGS=1 -DSYSMON -DPOLLER -DNO_SYSMON_RECHECK | assertion violated  sysmon falls asleep while a P is taken
 * fails: -DNP=2 -DNM=3 -DGS=1 -DSYSMON -DPOLLER -DEARLY_SYSMON_WAKE | assertion violated  sysmon is woken before the P is taken
 */
#ifndef YIELDS
#define YIELDS 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifdef SYSMON
#define EVENTS 1
#else
#define EVENTS 0
#endif
#define NONE 255

byte own[NP], ring[NP]; /* Gs in the ring: as its owner sees it, as others do */
bool nxt[NP];           /* runnext */
bool has_m[NP], idle[NP];
byte npidle, nmspinning;
byte globq, computing; /* read under the lock */
byte runqsize;         /* the length of both, read without */
bool locked;            /* sched.lock; a section that changes one word only is one step here */
bool asleep[NM];
byte nextp[NM];
byte fresh = GS; /* Gs that can still be readied */
byte yields = YIELDS, stops = STOPS;
bool polling; /* an M sleeps in epoll */
bool sysmon_asleep;

inline drain() { if :: p != NONE -> ring[p] = own[p] :: else fi }

inline pidle_get_locked(q) {
    if
    :: idle[0] -> q = 0
    :: idle[1] -> q = 1
#if NP > 2
    :: idle[2] -> q = 2
#endif
    :: else -> q = NONE
    fi;
    if
    :: q != NONE -> idle[q] = false; npidle--
    :: else
    fi
}

/* One word after the other. */
#define QUEUED(v) (ring[v] > 0 || (!has_m[v] && nxt[v]))
inline any_queued(yes) {
    if
    :: runqsize > 0 -> yes = true
    :: else ->
        if
        :: QUEUED(0) -> yes = true
        :: else ->
            if
            :: QUEUED(1) -> yes = true
            :: else ->
#if NP > 2
                yes = QUEUED(2)
#else
                yes = false
#endif
            fi
        fi
    fi
}

inline sysmon_wake() {
#ifdef SYSMON
    sysmon_asleep = false
#else
    skip
#endif
}

/* The P q is the caller's. */
inline startm() {
    atomic {
        !locked ->
        drain();
        if
        :: asleep[0] -> asleep[0] = false; has_m[q] = true; nextp[0] = q; q = NONE
        :: asleep[1] -> asleep[1] = false; has_m[q] = true; nextp[1] = q; q = NONE
#if NM > 2
        :: asleep[2] -> asleep[2] = false; has_m[q] = true; nextp[2] = q; q = NONE
#endif
        :: else -> idle[q] = true; has_m[q] = false; npidle++; locked = true
        fi
    };
    if
    :: q == NONE
    :: else ->
#ifdef LATE_LOWER
        locked = false;
        nmspinning--
#else
        atomic { nmspinning--; locked = false }
#endif
    fi;
#ifndef EARLY_SYSMON_WAKE
    sysmon_wake()
#endif
}

inline wakep() {
    if
    :: npidle == 0
    :: else ->
        atomic {
            drain();
            if
            :: nmspinning == 0 -> nmspinning++; q = 1
            :: else
            fi
        };
        if
        :: q ->
#ifdef EARLY_SYSMON_WAKE
            sysmon_wake();
#endif
            atomic {
                !locked ->
                pidle_get_locked(q);
#ifndef LATE_LOWER
                if
                :: q == NONE -> nmspinning--
                :: else
                fi
#endif
            };
            if
            :: q != NONE -> startm()
            :: else ->
#ifdef LATE_LOWER
                nmspinning--
#else
                skip
#endif
            fi
        :: else
        fi;
        q = 0
    fi
}

/* queue_on with a P: into runnext, what was there into the ring */
inline submit() {
    atomic { /* an exchange; the ring's tail is a plain store after it */
        drain();
        if
        :: nxt[p] -> own[p]++
        :: else -> nxt[p] = true
        fi
    };
#ifndef NO_SUBMIT_BARRIER
    drain();
#endif
    if
    :: own[p] > 0 -> wakep()
    :: else
    fi
}

/* without one: a P is not needed for it */
inline submit_globally() {
    atomic { !locked -> drain(); globq++; runqsize++ };
    wakep()
}

/* One G of the own queue, with a locked instruction */
inline runq_get() {
    atomic {
        if
        :: nxt[p] -> nxt[p] = false; g = true; drain()
        :: own[p] > 0 -> own[p]--; g = true; drain()
        :: else
        fi
    }
}

/* One to run, another into the ring. */
inline take_global() {
    if
    :: runqsize == 0
    :: else ->
        atomic {
            !locked -> drain(); locked = true;
            n = (globq > 1 -> 2 : globq);
            globq = globq - n;
            g = n > 0;
#ifdef POP_FIRST
            runqsize = runqsize - n;
#else
            if
            :: n > 1 -> own[p]++
            :: else
            fi
#endif
        };
        atomic {
#ifdef POP_FIRST
            if
            :: n > 1 -> own[p]++
            :: else
            fi;
#else
            drain();
            runqsize = runqsize - n;
#endif
            n = 0;
            locked = false
        }
    fi
}

inline take_computing() {
    atomic {
        if
        :: computing > 0 && !locked ->
            drain();
            computing--;
#ifndef UNCOUNTED
            runqsize--;
#endif
            g = true
        :: computing == 0
        fi
    }
}

/* FIN_COMPUTES */
inline put_computing() {
    atomic {
        !locked -> drain();
        computing++;
#ifndef UNCOUNTED
        runqsize++
#endif
    };
#ifndef STOP_QUIETLY
    wakep()
#endif
}

/* Half of another's ring: the compare-exchange, then one to run, the rest into the own ring. */
inline steal(v) {
    atomic {
        if
        :: !g && v != p && ring[v] > 0 ->
            drain();
            n = ring[v] - ring[v] / 2;
            ring[v] = ring[v] - n;
            own[v] = own[v] - n;
            n--;
            g = true
        :: else
        fi
    };
    if
    :: n > 0 -> own[p] = own[p] + n; n = 0
    :: else
    fi
}

inline steal_work() {
    steal(0);
    steal(1);
#if NP > 2
    steal(2)
#endif
}

inline take_idle_p() {
#ifdef EARLY_SYSMON_WAKE
    sysmon_wake();
#endif
    atomic {
        !locked ->
        pidle_get_locked(p);
        if
        :: p != NONE -> has_m[p] = true
        :: else
        fi
    };
#ifndef EARLY_SYSMON_WAKE
    if
    :: p != NONE -> sysmon_wake()
    :: else
    fi
#endif
}

/* poll_idle: an event may come for one G, which the poller runs, or leaves to who has the Ps. */
inline poll_idle() {
    atomic { EVENTS && fresh > 0 -> fresh-- };
    polling = false;
    take_idle_p();
    if
    :: p != NONE -> own[p]++; drain()
    :: else -> submit_globally()
    fi
}

inline stop_and_recheck() {
    atomic {
        !locked ->
        drain();
        if
        :: runqsize > 0 -> q = 1
        :: else -> idle[p] = true; has_m[p] = false; npidle++; p = NONE
        fi
    };
    if
    :: q -> q = 0
    :: else ->
#ifdef EARLY_RECHECK
        any_queued(yes);
#endif
        if
        :: spinning -> spinning = false; nmspinning--
        :: else
        fi;
#if !defined(NO_RECHECK) && !defined(EARLY_RECHECK)
        any_queued(yes);
#endif
        if
        :: yes ->
            yes = false;
            take_idle_p();
            if
            :: p != NONE -> spinning = true; nmspinning++
            :: else
            fi
        :: else
#ifdef POLLER
            if
            :: atomic { !polling -> polling = true }; poll_idle()
            :: polling
            fi
#endif
        fi
    fi
}

inline stopm() {
    atomic { !locked -> asleep[me] = true };
#ifndef NO_STOPM_LOOK
    any_queued(yes);
    if
    :: yes -> yes = false; wakep()
    :: else
    fi;
#endif
    atomic { nextp[me] != NONE -> p = nextp[me]; nextp[me] = NONE; spinning = true }
}

inline find_runnable() {
    runq_get();
    if
    :: !g -> take_global()
    :: else
    fi;
#if STOPS
    if
    :: !g -> take_computing()
    :: else
    fi;
#endif
    atomic {
        if
        :: !g && !spinning && 2 * nmspinning < NP - npidle -> spinning = true; nmspinning++; drain()
        :: else
        fi
    };
    if
    :: !g && spinning -> steal_work()
    :: else
    fi;
    if
    :: g && spinning -> /* reset_spinning */
        atomic { spinning = false; nmspinning--; drain() };
#ifndef NO_CHAIN
        wakep()
#endif
    :: g && !spinning
    :: !g -> stop_and_recheck()
    fi
}

/* g_yield, where its own queue is empty: to a G from elsewhere, itself to the global queue; or to
 * one that computes, itself behind these, or to the ring if they have only yielded too */
inline yield() {
    take_global();
#if STOPS
    if
    :: !g ->
        take_computing();
        yes = g
    :: else
    fi;
#endif
    if
    :: !g -> steal_work()
    :: else
    fi;
    if
    :: !g -> g = true
#if STOPS
    :: yes -> yes = false; put_computing()
    :: yes -> yes = false; own[p]++; drain(); wakep() /* yielded_waits */
#endif
    :: else ->
#ifdef YIELD_LOCALLY
        own[p]++
#else
        atomic { !locked -> drain(); globq++; runqsize++ };
        wakep()
#endif
    fi
}

/* A G that has been interrupted: the next of the own queue runs, or g0 looks for one. */
inline stop_computing() {
    runq_get();
    put_computing()
}

proctype M(byte me, p; bool g) {
    bool spinning, yes;
    byte q, n;
    do
    :: !g && p == NONE -> stopm()
    :: !g && p != NONE -> find_runnable()
    :: g ->
        if
        :: atomic { fresh > 0 -> fresh-- }; submit()
#ifndef LOCAL
        :: atomic { fresh > 0 -> fresh-- }; submit_globally()
#endif
        :: g = false /* ends, or parks */
        :: atomic { yields > 0 && !nxt[p] && own[p] == 0 -> yields--; g = false }; yield()
        :: atomic { stops > 0 -> stops--; g = false }; stop_computing()
        :: break /* computes for ever */
        fi
    od
}

/* The store buffers */
proctype memory() {
    do
    :: atomic { ring[0] != own[0] -> ring[0]++ }
    :: atomic { ring[1] != own[1] -> ring[1]++ }
#if NP > 2
    :: atomic { ring[2] != own[2] -> ring[2]++ }
#endif
    od
}

#ifdef SYSMON
/* deep_sleep: (1) asleep, (2) looks at npidle once more. Who takes the last idle P lowers npidle
 * and reads sysmon_asleep then. */
proctype sysmon() {
    do
    :: npidle == NP ->
        sysmon_asleep = true;
#ifndef NO_SYSMON_RECHECK
        if
        :: npidle == NP -> !sysmon_asleep
        :: npidle != NP
        fi;
#else
        !sysmon_asleep;
#endif
        sysmon_asleep = false
    od
}
#endif

init {
    byte i;
    atomic {
        for (i : 0 .. NM - 1) { nextp[i] = NONE };
        for (i : 1 .. NP - 1) { idle[i] = true };
        npidle = NP - 1;
        has_m[0] = true;
        run M(0, 0, true);
        for (i : 1 .. NM - 1) { run M(i, NONE, false) };
        run memory();
#ifdef SYSMON
        run sysmon();
#endif
        i = 0
    }
    timeout -> assert(nmspinning == 0);
#if NP > 2
    assert(npidle == 0 || !(globq || computing || own[0] || own[1] || own[2]));
#else
    assert(npidle == 0 || !(globq || computing || own[0] || own[1]));
#endif
    assert(npidle == NP || !sysmon_asleep)
}
