/* syscall.pml - the P at a system call: who has it when the call returns, and no G is left behind
 *
 * Mirrors sched/syscall.c (syscall_enter, syscall_enter_block, syscall_exit, g_get_p), sysmon.c
 * (retake_syscall), loose.c, and of wake.c and proc.c handoffp, startm, finish_without_p, stopm and
 * stop_and_recheck.
 * How many Ms spin is proc.pml's business: here wakep finds a P and an M at once.
 *
 * Gs make calls; one of them at a time may be in a call that returns only after all others have
 * ended, so its P must be taken. One that comes back without a P waits for one, or goes on without
 * (loose); it may then make calls, get a P after all (it yields, or sysmon has it so), or end. LATE: one
 * G is readied by another. Checked: nobody touches a P that is another's; all Gs end. The
 * look for an idle P in finish_without_p (LOCKED_LOOK) only saves a detour: stopm would find it.
 *
 * holds: -DNP=1 -DNG=2 -DCALLS=2
 * holds: -DNP=2 -DNG=2 -DCALLS=2
 * holds: -DNP=1 -DNG=3 -DCALLS=1
 * holds: -DNP=1 -DNG=2 -DCALLS=2 -DNO_LOCKED_LOOK
 * holds: -DNP=1 -DNG=2 -DCALLS=3 -DLATE=1
 * holds: -DNP=2 -DNG=2 -DCALLS=2 -DLATE=1
 * fails: -DNP=2 -DNG=2 -DCALLS=3 -DNO_NUMBER | assertion violated (owner[  the word repeats
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DNO_CAS | assertion violated (owner[  exit reads, then writes
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DUSE_AFTER | assertion violated (owner[  the M touches the P when its word is odd
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DNO_RETAKE | assertion violated (done==  sysmon takes no P
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DNO_RECHECK | assertion violated (done==  handoffp does not look once more
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DNO_STOPM_LOOK | assertion violated (done==  nor a M that goes to sleep
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DLOOSE_HOLDS | assertion violated (owner[  a loose G goes on with the P that it had
 * fails: -DNP=1 -DNG=2 -DCALLS=2 -DLATE=1 -DNO_LOOSE_WAKE | assertion violated (done==  a loose G that readies one wakes no M
 */
#define NM (NG + 1)
#define NONE 255
#define SYSMON 100
#define IDLE 101
#define IN_CALL 50 /* + M */

byte sysword[NP];
byte owner[NP]; /* who may touch the P: the model's own book */
byte runq[NP];
bool idle[NP];
byte glob;
bool asleep[NM]; /* on sched.midle */
byte nextp[NM];
bool blocker;
byte calls = CALLS;
byte done;
#ifndef LATE
#define LATE 0
#endif
byte late = LATE;

/* What stands under sched.lock here changes one thing that is read without it, so it is one step. */
inline idle_put(p) { atomic { owner[p] = IDLE; idle[p] = true } }
inline idle_get(p, who) {
    atomic {
        p = NONE;
        if
        :: idle[0] -> p = 0
#if NP > 1
        :: idle[1] -> p = 1
#endif
        :: else
        fi;
        if
        :: p != NONE -> idle[p] = false; assert(owner[p] == IDLE); owner[p] = who
        :: else
        fi
    }
}

#if NP > 1
#define ANY_QUEUED (glob > 0 || (idle[0] && runq[0] > 0) || (idle[1] && runq[1] > 0))
#else
#define ANY_QUEUED (glob > 0 || (idle[0] && runq[0] > 0))
#endif

/* p is the caller's. */
inline startm(p) {
    atomic {
        if
        :: asleep[0] -> m_ = 0
        :: asleep[1] -> m_ = 1
        :: asleep[2] -> m_ = 2
#if NM > 3
        :: asleep[3] -> m_ = 3
#endif
        :: else -> m_ = NONE; owner[p] = IDLE; idle[p] = true
        fi;
        if
        :: m_ != NONE -> asleep[m_] = false; owner[p] = m_; nextp[m_] = p
        :: else
        fi;
        m_ = 0; q_ = 0
    }
}

inline wakep(who) {
    idle_get(q_, who);
    if
    :: q_ != NONE -> startm(q_)
    :: else -> q_ = 0
    fi
}

inline handoffp(p, who) {
    if
    :: runq[p] > 0 || glob > 0 -> startm(p)
    :: else ->
        idle_put(p);
#ifndef NO_RECHECK
        if
        :: ANY_QUEUED -> wakep(who)
        :: else
        fi
#endif
    fi
}

#ifdef NO_NUMBER
#define NEXT(w) (1 - (w))
#else
#define NEXT(w) ((w) + 1)
#endif

inline kernel() {
    if
    :: atomic { !blocker && !late && done < NG - 1 -> blocker = true }; /* an odd one */
        done == NG - 1;
        blocker = false
    :: true
    fi
}

/* g_get_p; and if there is no idle P, the G goes to the global queue and the M on as g0. */
inline get_p() {
    idle_get(p, me);
    if
    :: p == NONE -> /* finish_without_p: both under one lock */
        g = false;
#ifdef NO_LOCKED_LOOK
        glob++
#else
        atomic { glob++; idle_get(p, me) }
#endif
    :: else
    fi
}

/* exit_without_p */
inline back() {
    if
    :: loose = true
    :: get_p(); loose = false
    fi
}

/* syscall_enter .. syscall_exit of the G that M `me` runs with p */
inline call() {
    assert(owner[p] == me);
    atomic {
        seq = NEXT(sysword[p]);
        owner[p] = IN_CALL + me;
        sysword[p] = seq
    }
#ifdef USE_AFTER
    assert(owner[p] == IN_CALL + me);
#endif
    kernel();
#ifdef NO_CAS
    bool same = sysword[p] == seq;
    if
    :: same -> sysword[p] = NEXT(seq); assert(owner[p] == IN_CALL + me); owner[p] = me
    :: else -> p = NONE
    fi;
#else
    atomic {
        if
        :: sysword[p] == seq ->
            sysword[p] = NEXT(seq); assert(owner[p] == IN_CALL + me); owner[p] = me
#ifdef LOOSE_HOLDS
        :: else
#else
        :: else -> p = NONE
#endif
        fi
    }
#endif
    seq = 0;
    if
    :: p == NONE -> back()
    :: else
    fi
}

/* syscall_enter_block */
inline call_block() {
    assert(owner[p] == me);
    handoffp(p, me);
    p = NONE;
    kernel();
    back()
}

/* The late G becomes runnable: queue_on. With a P it is next there; if it stays alone, that is no
 * reason to wake an M. */
inline ready() {
    if
    :: p != NONE -> assert(owner[p] == me); runq[p]++
    :: else ->
        glob++;
#ifndef NO_LOOSE_WAKE
        wakep(me)
#endif
    fi
}

inline stopm() {
    atomic { asleep[me] = true };
#ifndef NO_STOPM_LOOK
    if
    :: ANY_QUEUED -> wakep(me)
    :: else
    fi;
#endif
    atomic { nextp[me] != NONE -> p = nextp[me]; nextp[me] = NONE }
}

/* with p, without a G */
inline find() {
    assert(owner[p] == me);
    atomic {
        if
        :: runq[p] > 0 -> runq[p]--; g = true
        :: else ->
            if
            :: glob > 0 -> glob--; g = true
            :: else
            fi
        fi
    };
    if
    :: g
    :: else -> /* stop_and_recheck */
        atomic {
            if
            :: glob > 0
            :: else -> owner[p] = IDLE; idle[p] = true; p = NONE
            fi
        };
        if
        :: p == NONE && ANY_QUEUED -> idle_get(p, me)
        :: else
        fi
    fi
}

proctype M(byte me, p; bool g) {
    byte seq, m_, q_;
    bool loose;
    do
    :: !g && p == NONE -> stopm()
    :: !g && p != NONE -> find()
    :: g && !loose ->
        if
        :: atomic { calls > 0 -> calls-- };
            if
            :: call()
            :: call_block()
            fi
        :: atomic { late > 0 -> late-- }; ready()
        :: !late -> assert(owner[p] == me); atomic { g = false; done++ }
        fi
    :: g && loose ->
        if
        :: atomic { calls > 0 -> calls-- }; kernel(); back()
        :: atomic { late > 0 -> late-- }; ready()
        :: get_p(); loose = false
        :: atomic { !late -> g = false; loose = false; done++ } /* or it parks: M without a P */
        fi
    od
}

inline retake() {
    atomic {
        if
        :: sysword[p] == w -> sysword[p] = NEXT(w); assert(owner[p] >= IN_CALL && owner[p] < SYSMON); owner[p] = SYSMON
        :: else -> w = 0
        fi
    };
    if
    :: w -> w = 0; handoffp(p, SYSMON)
    :: else
    fi
}

proctype sysmon() {
    byte w, p, m_, q_;
    do
#ifdef NO_RETAKE
    :: false
#else
    :: atomic { sysword[0] & 1 -> p = 0; w = sysword[0] }; retake()
#if NP > 1
    :: atomic { sysword[1] & 1 -> p = 1; w = sysword[1] }; retake()
#endif
#endif
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. NM - 1) { nextp[i] = NONE };
        for (i : 0 .. NP - 1) { owner[i] = IDLE; idle[i] = true };
        owner[0] = 0; idle[0] = false;
        runq[0] = NG - 1 - LATE; /* the other Gs wait behind the one that runs */
        run M(0, 0, true);
        for (i : 1 .. NM - 1) { run M(i, NONE, false) };
        run sysmon();
        i = 0
    }
    timeout -> assert(done == NG)
}
