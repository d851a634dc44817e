/* event.h - what the scheduler tells others while it runs: USDT probes and the event log
 *
 * Each function here stands at one place of the scheduler and tells what happens there, twice: by a
 * probe (a nop, with a note in the library that tells perf, bpftrace, SystemTap and gdb where it is
 * and where its arguments are) and, while somebody traces (`gthread trace`), by an event of the log
 * (eventlog.h). While nobody does, that is one load and one branch that is never taken.
 *
 * Exactness is what makes a trace worth something, so each place is chosen for its order:
 * - A park is told before the waiter can be seen in its queue, and a ready before the G can be seen
 *   to be runnable (g->status): so park, ready and run of one wait are told in this order, also on
 *   different CPUs, and exactly one ready each (whoever took the waiter out).
 * - What ends or begins a P's running something is told by the P's owner.
 */
#ifndef GTHREAD_EVENT_H
#define GTHREAD_EVENT_H

#include "sched/eventlog.h"
#include "sched/runtime.h"

#include <sys/sdt.h>

/* Not 0: somebody traces. Written by another process. A byte and not atomic, so that it is compared
 * where it lies; a function that reads it once for two events is as good. */
extern uint8_t event_on __attribute__((visibility("hidden")));

/* Writes one event, with the running M; g may be NULL. Any thread, any lock. */
void event_record(enum event_type type, struct g *g, const struct p *p, uint8_t reason,
                  uint32_t arg, uint64_t other) __attribute__((cold));
/* With GTHREAD_DEBUG=trace=PID: waits until the reader is there. From sched_start. */
void event_start(void);
void event_reset_child(bool own_table);

#define EVENT(record)                                                                              \
    do {                                                                                           \
        if (unlikely(event_on))                                                                    \
            (record);                                                                              \
    } while (0)

/* ---- goroutines ---- */

/* Apart, so that what only they need costs the callers no register. */
void event_record_create(struct g *g) __attribute__((cold));
void event_record_park(struct waiter *w) __attribute__((cold));
void event_record_ready(struct g *g) __attribute__((cold));
void event_record_retake(uint64_t now, const struct p *p) __attribute__((cold));

static inline void event_create(struct g *g) {
    STAP_PROBE1(gthread, create, g->id);
    EVENT(event_record_create(g));
}
static inline void event_run(struct g *g, const struct p *p) {
    STAP_PROBE2(gthread, run, g->id, p->id);
    EVENT(event_record(EV_RUN, g, p, 0, 0, 0));
}
/* w is a G's; the bucket's lock is held. */
static inline void event_park(struct waiter *w) {
    STAP_PROBE3(gthread, park, w->g->id, w->reason, *(uintptr_t *)&w->addr);
    EVENT(event_record_park(w));
}
/* The reason and the result are the waiter's until g runs. */
static inline void event_ready(struct g *g) {
    STAP_PROBE3(gthread, ready, g->id, g->w.reason, g->w.result);
    EVENT(event_record_ready(g));
}
static inline void event_stay(struct g *g) { EVENT(event_record(EV_STAY, g, g->m->p, 0, 0, 0)); }
static inline void event_yield(struct g *g) { EVENT(event_record(EV_YIELD, g, g->m->p, 0, 0, 0)); }
static inline void event_preempt(struct g *g) {
    STAP_PROBE1(gthread, preempt, g->id);
    EVENT(event_record(EV_PREEMPT, g, g->m->p, 0, 0, 0));
}
static inline void event_exit(struct g *g) {
    STAP_PROBE1(gthread, exit, g->id);
    EVENT(event_record(EV_EXIT, g, g->m->p, 0, 0, 0));
}
/* The others: type says it all. */
static inline void event_g(enum event_type type, struct g *g, const struct p *p) {
    EVENT(event_record(type, g, p, 0, 0, 0));
}

/* ---- Ps and Ms ---- */

static inline void event_steal(const struct p *p, const struct p *victim, uint32_t n) {
    STAP_PROBE3(gthread, steal, p->id, victim->id, n);
    EVENT(event_record(EV_STEAL, NULL, p, 0, n, victim->id));
}
static inline void event_handoff(const struct p *p) {
    STAP_PROBE1(gthread, handoff, p->id);
    EVENT(event_record(EV_HANDOFF, NULL, p, 0, 0, 0));
}
/* now: arch_cycles() from before p was taken, since its goroutine may be elsewhere at once. */
static inline void event_retake(uint64_t now, const struct p *p) {
    EVENT(event_record_retake(now, p));
}
static inline void event_p(enum event_type type, const struct p *p, uint32_t n) {
    EVENT(event_record(type, NULL, p, 0, n, 0));
}
static inline void event_m(enum event_type type) { EVENT(event_record(type, NULL, NULL, 0, 0, 0)); }

#endif
