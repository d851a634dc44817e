/* netpoll.pml - waiting for descriptors: no event is lost, one wakes one, a close is seen by all
 *
 * Mirrors sched/netpoll.c ("No event is lost": waiter 1 to 5, event 1 and 2): net_enqueue, collect,
 * net_event, net_deliver, net_pass, net_close_begin, net_close_end; netpoll_epoll.c: arm_slow;
 * shim/fd.c: io_park, after_wait, io_end. One direction of one descriptor.
 *
 * READERS Gs take one unit each; with -DGIVES_UP a woken one may be interrupted before. WRITES units
 * come, each by a write whose kernel part and event are separate steps: by epoll (edge-triggered: one
 * event for any number of changes, told by whoever polls; with -DNEXT for one event after each
 * net_arm_next), or with -DPAIR by the writer itself. The count of waiters and seq are changed by
 * locked instructions, so the model's memory is in order. That net_close_end tells (QUIET_END) is
 * for polls that have begun to watch in between.
 *
 * holds: -DREADERS=2 -DWRITES=2
 * holds: -DREADERS=3 -DWRITES=1 -DPAIR
 * holds: -DREADERS=2 -DWRITES=2 -DPAIR
 * holds: -DREADERS=3 -DWRITES=1 -DPAIR -DGIVES_UP
 * holds: -DREADERS=2 -DWRITES=1 -DCLOSE
 * holds: -DREADERS=2 -DWRITES=1 -DCLOSE -DQUIET_END
 * holds: -DREADERS=2 -DWRITES=2 -DNEXT
 * holds: -DREADERS=2 -DWRITES=1 -DNEXT -DCLOSE
 * fails: -DREADERS=2 -DWRITES=2 -DNEXT -DNO_PASS | (readable&&  one event stands for two units
 * fails: -DREADERS=1 -DWRITES=1 -DNEXT -DARM_BLIND | (readable&&  the next event only, and no look at what is there
 * fails: -DREADERS=2 -DWRITES=2 -DNEXT -DARM_KEPT | (readable&&  not asked for again before the next wait
 * fails: -DREADERS=1 -DWRITES=1 -DNO_SEQ | (readable&&  waiter (5) left out
 * fails: -DREADERS=1 -DWRITES=1 -DPAIR -DNOTE_LATE | (readable&&  waiter (1) after (2)
 * fails: -DREADERS=1 -DWRITES=1 -DARM_BLIND | (readable&&  (3): a state that has come up since (2) is not told
 * fails: -DREADERS=1 -DWRITES=1 -DPAIR -DLATE_BUMP | (readable&&  event (2) before (1)
 * fails: -DREADERS=1 -DWRITES=1 -DPAIR -DLATE_NWAIT | (readable&&  waiter (5) before (4)
 * fails: -DREADERS=2 -DWRITES=2 -DNO_PASS | (readable&&  a token is not passed on
 * fails: -DREADERS=2 -DWRITES=1 -DPAIR -DGIVES_UP -DNO_PASS | (readable&&  nor by one that gives up
 * fails: -DREADERS=1 -DWRITES=0 -DCLOSE -DQUIET_END -DQUIET_CLOSE | (closed&&  nor does net_close_begin tell anybody
 * fails: -DREADERS=1 -DWRITES=0 -DCLOSE -DQUIET_END -DNO_ODD | (closed&&  one may queue while the kernel closes
 * fails: -DREADERS=1 -DWRITES=0 -DPAIR -DCLOSE -DQUIET_END -DNO_TAG | (closed&&  one queues without a look at the tag
 */
byte readable;         /* units in the kernel's buffer */
bool armed, in_epoll;  /* what we think that epoll knows; what it does */
bool edge;             /* epoll has an event to tell */
byte seq, nwait, tag;
bool held;
byte queue[READERS]; /* FIFO: reader + 1 */
bool woken[READERS];
bool closed;
byte done, refused, written;

/* under the bucket lock */
inline enqueue_locked(r) {
    atomic {
        if
        :: queue[0] == 0 -> queue[0] = r + 1
#if READERS > 1
        :: queue[0] && queue[1] == 0 -> queue[1] = r + 1
#endif
#if READERS > 2
        :: queue[0] && queue[1] -> queue[2] = r + 1
#endif
        fi
    }
}
inline dequeue_locked(r) {
    atomic {
        r = queue[0];
        queue[0] = 0;
#if READERS > 1
        queue[0] = queue[1]; queue[1] = 0;
#endif
#if READERS > 2
        queue[1] = queue[2]; queue[2] = 0;
#endif
    }
}

/* collect, without the look at nwait: wakes one, or all */
inline wake(all) {
    atomic { !held -> held = true };
    dequeue_locked(who);
    if
    :: who -> woken[who - 1] = true
    :: else
    fi;
    do
    :: all && queue[0] -> dequeue_locked(who); woken[who - 1] = true
    :: !(all && queue[0]) -> break
    od;
    atomic { who = 0; held = false }
}

inline event(all) {
#ifdef LATE_BUMP
    who = nwait;
    seq++;
    if
    :: who -> wake(all)
    :: else
    fi
#else
    seq++;
    if
    :: nwait -> wake(all)
    :: else
    fi
#endif
}

proctype reader(byte me) {
    byte noted, life, who;
    bool token, tell, again;
    life = tag;
retry:
#ifndef NOTE_LATE
    noted = seq;
#endif
    /* the try */
    atomic {
        again = false;
        if
        :: closed -> goto fails
        :: !closed && readable -> readable--; done++; goto succeeds
        :: else
        fi
    };
#ifdef NOTE_LATE
    noted = seq;
#endif
    token = false;
#ifndef NO_TAG
    if
    :: tag != life -> goto fails
    :: else
    fi;
#endif
#ifndef NO_ODD
    if
    :: life & 1 -> tag != life; life = tag; goto retry
    :: else
    fi;
#endif
#ifndef PAIR
    /* net_arm, arm_slow: desc.lock is held over epoll_ctl */
    if
    :: armed
    :: else ->
        atomic {
            if
            :: tag != life || closed -> again = true
            :: else ->
#if !defined NEXT || defined ARM_KEPT
                armed = true;
#endif
                in_epoll = true;
#ifndef ARM_BLIND
                edge = edge || readable
#endif
            fi
        };
        if
        :: again -> goto retry
        :: else
        fi
    fi;
#endif
    /* net_enqueue */
    atomic { !held -> held = true };
#ifdef LATE_NWAIT
    again = seq != noted;
    nwait++;
#else
    nwait++;
    again = seq != noted;
#endif
#ifdef NO_SEQ
    again = false;
#endif
    if
    :: again -> nwait--; held = false; goto retry
    :: else -> enqueue_locked(me); held = false
    fi;
    atomic { woken[me] -> woken[me] = false };
    nwait--;
    token = true;
    if
    :: tag != life -> goto fails
    :: else
    fi;
#ifdef GIVES_UP
    if
    :: atomic { refused == 0 && READERS > WRITES -> refused++ }; goto succeeds /* EINTR: not a try */
    :: goto retry
    fi;
#else
    goto retry;
#endif
fails:
    refused++;
succeeds:
#ifndef NO_PASS
    if
    :: token && nwait -> wake(false) /* io_end, net_pass */
    :: else
    fi;
#endif
    atomic { noted = 0; life = 0; token = false; again = false }
}

proctype writer() {
    byte who;
    if
    :: atomic { !closed -> readable++; written++; edge = edge || in_epoll };
#ifdef PAIR
        event(false)
#endif
    :: closed
    fi
}

/* Whoever polls: the poller, an M that looks in between, sysmon */
proctype poller() {
    byte who;
    do
    :: atomic { edge -> edge = false
#ifdef NEXT
            ; in_epoll = false
#endif
        };
        event(false)
    od
}

proctype closer() {
    byte who;
    atomic { tag = (tag + 1) | 1; armed = false }; /* under desc.lock */
#ifndef QUIET_CLOSE
    event(true);
#endif
    atomic { closed = true; in_epoll = false; edge = false };
    tag++;
#ifndef QUIET_END
    event(true)
#endif
}

init {
    byte i;
    atomic {
        for (i : 0 .. READERS - 1) { run reader(i) };
#if WRITES
        for (i : 1 .. WRITES) { run writer() };
#endif
#ifndef PAIR
        run poller();
#endif
#ifdef CLOSE
        run closer()
#endif
    }
    timeout ->
    assert(!(readable && queue[0])); /* nobody waits for what is there */
    assert(!(closed && queue[0]));   /* nor for what is closed */
    assert(!held && nwait == (queue[0] != 0)
#if READERS > 1
        + (queue[1] != 0)
#endif
#if READERS > 2
        + (queue[2] != 0)
#endif
    );
    assert(done + readable == written)
}
