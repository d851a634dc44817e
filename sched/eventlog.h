/* eventlog.h - the log of scheduler events that `gthread trace` reads: its layout in memory
 *
 * The runtime makes the log as a memfd when somebody asks for it (event.c) and writes into it; a
 * reader opens the same file through /proc/PID/fd, so that what was written outlives the process.
 * Included by the library and the command: another layout or meaning takes another EVENTLOG_MAGIC.
 *
 * There is a ring (lane) of `slots` events for each P and one more for events without a P. Writing
 * number i of a lane: (1) raise head from i to i + 1 (full barrier), (2) fill slot i % slots,
 * (3) store stamp = i + 1 (release). Reading: a slot whose stamp is i + 1 was whole when that was
 * read; it is still if, after it has been copied, head is at most i + slots. A slot without the
 * stamp is being written, or its writer was late by a whole round: then it is lost.
 *
 * Two orders hold whatever the clocks of the CPUs say: events of a P in its lane, and those that
 * have a goroutine by `seq`, which counts what has happened to that one.
 *
 * The clock is read before step 1. So no time in a lane is later than the moment its event took its
 * place, and a reader who lets none be earlier than the one before it makes none later than that
 * moment either: what a G did on one P still ends before what it did next on another begins, though
 * a third thread's event (sysmon's, of a P it takes) was held up between the two. Read after step
 * 1, such a thread's late time would push all that follows in its lane forward. */
#ifndef GTHREAD_EVENTLOG_H
#define GTHREAD_EVENTLOG_H

#include <stdatomic.h>
#include <stdint.h>

#define EVENTLOG_MAGIC "gthread-events-1"

/* What ends, begins or happens. "g": whose seq counts it; "-": none. */
enum event_type {
    EV_NONE,
    EV_CREATE,    /* g by other */
    EV_RUN,       /* g on p, from a queue */
    EV_PARK,      /* g for `reason` at other (an address): it is about to wait */
    EV_READY,     /* g by other: its wait for `reason` ends, `arg` says how (enum park_result) */
    EV_STAY,      /* g goes on before it had left: it was readied, or nobody is to take its place */
    EV_YIELD,     /* g goes behind the others, by a call or in one, since it was asked to */
    EV_PREEMPT,   /* g the same, stopped in the middle of its code */
    EV_EXIT,      /* g ends */
    EV_CALL,      /* g begins a system call that may block, with p if it has one */
    EV_CALL_END,  /* g comes back from it, and still has p, or goes on without one */
    EV_GOT_P,     /* g had lost its P, and goes on with p */
    EV_NO_P,      /* g had lost its P, and queues for one */
    EV_WIRE,      /* g gives its P up: from now on it has a kernel thread of its own */
    EV_MOVE,      /* g goes to another kernel thread, to be wired there */
    EV_RUN_WIRED, /* g runs on the kernel thread to which it is wired */
    EV_STEAL,     /* - p takes arg Gs from P number other */
    EV_HANDOFF,   /* - p is given away by whoever had it */
    EV_RETAKE,    /* - sysmon takes p from a goroutine in a system call */
    EV_UNSEEN,    /* - sysmon takes p from one that sleeps in the kernel without a word */
    EV_NETPOLL,   /* - a look for events by p has readied arg Gs */
    EV_M_START,   /* - a kernel thread of the runtime's begins */
    EV_M_END,     /* - ..ends */
    EV_M_SLEEP,   /* - ..has nothing to do */
    EV_M_WAKE,    /* - ..has been woken */
    EVENT_TYPES
};

#define EVENT_NO_P UINT16_MAX

struct event {
    uint64_t when; /* arch_cycles() */
    uint64_t g;    /* id; 0: none */
    uint64_t other;
    _Atomic uint32_t stamp; /* low half of its number in the lane + 1 */
    uint32_t seq;
    int32_t tid; /* the kernel's, of the M; 0: none of ours */
    uint16_t p;  /* EVENT_NO_P: none */
    uint8_t type, reason;
    uint32_t arg, unused;
};

struct event_lane {
    _Alignas(64) _Atomic uint64_t head; /* events ever written */
};

struct event_log {
    char magic[16];
    uint32_t lanes, slots; /* slots: a power of two */
    uint64_t size;         /* bytes of the file */
    uint64_t events_at;    /* where the events begin, lane after lane */
    struct event_lane lane[];
};

#endif
