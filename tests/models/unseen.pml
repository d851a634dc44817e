/* unseen.pml - the P of an M that sleeps unannounced (DANGERS U2)
 *
 * Mirrors sched/unseen.c: take ("sysmon", 1 to 3), outside, section_await_decision,
 * section_without_p; runtime.h: section_open ("M", 1 and 2), section_close; of proc.c the switches
 * (switch_to, exec_prepare, switch_finish), also to a G that comes from the other M.
 *
 * sysmon looks at the first of two Ms, which run two Gs. Memory is TSO: what an M writes and sysmon
 * reads goes through the M's buffer, a FIFO; membarrier waits until each has been empty once.
 * Checked: who uses a P in a section is its only user.
 *
 * holds: -DROUNDS=2
 * fails: -DROUNDS=1 -DNO_MEMBARRIER | assertion violated (user[  sysmon (2)
 * fails: -DROUNDS=1 -DNO_AWAIT | assertion violated (user[  M (2): it does not wait for the decision
 * fails: -DROUNDS=1 -DNO_LOOK | assertion violated (user[  M (2) left out
 * fails: -DROUNDS=1 -DNO_COUNT | assertion violated (user[  the G went away and came back meanwhile
 * fails: -DROUNDS=1 -DLATE_COUNT | assertion violated (user[  exec_prepare counts after it has said who runs
 */
#define NONE 9
#define IDLE 7
#define SYSMON 8
mtype = { NOT_TAKEN, ASKED, TAKEN };
mtype = { CURG, M_P, SWITCHES, LOCKS, G_M, RUNNING, P_TAKEN }; /* what is written */

/* As memory has it: of the first M (c_*), of the Gs, of the Ps. */
byte curg = 0, m_p = 0;
mtype taken = NOT_TAKEN;
byte locks[2], g_m[2];
bool running[2];
byte switches[2];

chan buffer[2] = [8] of { mtype, byte, byte }; /* of each M */
byte user[2]; /* of the Ps: who may use them. The model's own book */
byte counted[2]; /* switches, as the owner of the P knows it */
bool queued[2]; /* the G is runnable: anybody may take it */

inline drain() { empty(buffer[me]) }

proctype memory(byte i) {
    mtype what;
    byte whose, value;
    do
    :: atomic {
        buffer[i]?what, whose, value;
        if
        :: what == CURG && i == 0 -> curg = value
        :: what == M_P && i == 0 -> m_p = value
        :: what == P_TAKEN -> taken = NOT_TAKEN
        :: what == SWITCHES -> switches[whose] = value
        :: what == LOCKS -> locks[whose] = value
        :: what == G_M -> g_m[whose] = value
        :: what == RUNNING -> running[whose] = value
        :: else
        fi;
        what = 0; whose = 0; value = 0
    }
    od
}

inline count() {
    counted[p]++;
    buffer[me]!SWITCHES, p, counted[p]
}

/* next goes on with this M and its P */
inline exec_prepare() {
    atomic {
#ifndef LATE_COUNT
        count();
#endif
        buffer[me]!G_M, next, me;
        buffer[me]!CURG, 0, next;
        buffer[me]!RUNNING, next, 1;
#ifdef LATE_COUNT
        count();
#endif
        g = next; next = NONE
    }
}

/* A locked instruction: takes a G out of a queue, a P from the idle ones. */
inline take_g() {
    atomic {
        drain();
        if
        :: queued[0] -> queued[0] = false; next = 0
        :: queued[1] -> queued[1] = false; next = 1
        fi
    }
}
inline take_p() {
    atomic {
        drain();
        if
        :: user[0] == IDLE -> p = 0; user[0] = me
        :: user[1] == IDLE -> p = 1; user[1] = me
        fi
    };
    buffer[me]!M_P, 0, p
}

/* M (1), (2); and what follows if the P is gone */
inline section_open() { /* (1) is done */
#ifndef NO_LOOK
    if
    :: me == 0 && taken == ASKED ->
#ifndef NO_AWAIT
        taken != ASKED
#else
        skip
#endif
    :: me != 0 || taken != ASKED
    fi;
    if
    :: me == 0 && taken == TAKEN ->
        buffer[me]!P_TAKEN, 0, 0;
        take_p()
    :: me != 0 || taken != TAKEN
    fi
#else
    skip
#endif
}

/* In a section, to g0 and from there to whoever is runnable, maybe itself. */
inline switch_away() {
    atomic {
        out = g; g = NONE;
        buffer[me]!CURG, 0, NONE;
        buffer[me]!RUNNING, out, 0 /* switch_finish */
    };
    atomic { drain(); queued[out] = true; out = NONE };
    take_g();
    assert(user[p] == me);
    exec_prepare()
}

proctype M(byte me; byte g; byte p) {
    byte rounds = (me == 0 -> ROUNDS : 2), next = NONE, out = NONE;
    do
    :: atomic { rounds > 0 -> rounds--; buffer[me]!LOCKS, g, 1 };
        section_open();
        if
        :: assert(user[p] == me); switch_away()
        :: skip
        fi;
        assert(user[p] == me);
        buffer[me]!LOCKS, g, 0
    :: rounds == 0 -> break
    od
}

active proctype sysmon() {
    byte c, g;
    taken = ASKED; /* and a full barrier */
#ifndef NO_MEMBARRIER
    empty(buffer[0]);
    empty(buffer[1]);
#endif
    c = switches[0];
    g = curg;
    if
    :: g == NONE || m_p != 0 -> goto no
    :: else
    fi;
    if
    :: locks[g] -> goto no
    :: else
    fi;
    if
    :: !running[g] -> goto no
    :: else
    fi;
    if
    :: g_m[g] != 0 -> goto no
    :: else
    fi;
    if
    :: curg != g -> goto no
    :: else
    fi;
#ifndef NO_COUNT
    if
    :: switches[0] != c -> goto no
    :: else
    fi;
#endif
    atomic { m_p = NONE; user[0] = SYSMON };
    taken = TAKEN;
    user[0] = IDLE; /* handoffp */
    goto end;
no:
    taken = NOT_TAKEN;
end:
    skip
}

init {
    atomic {
        running[0] = true; running[1] = true;
        g_m[1] = 1;
        user[0] = 0; user[1] = 1;
        run M(0, 0, 0);
        run M(1, 1, 1);
        run memory(0);
        run memory(1)
    }
    timeout -> assert(taken != ASKED && empty(buffer[0]) && empty(buffer[1]))
}
