/* runq.c - run queues: a ring and a runnext slot for each P, two global lists
 *
 * As Go's (proc.go, runqput and friends). The ring has one producer, the owner of the P, and many
 * consumers. head is advanced by compare-exchange (release: the slot has been read), tail by the
 * owner's store (release: the slot has been written). runnext is the G readied last: it runs
 * before the ring, which makes a pair that wakes each other cheap.
 *
 * Unlike Go's there are two levels, so that who waits most of the time and who computes all of the
 * time do not queue behind each other (a feedback queue, as in Corbato's CTSS):
 *   1. Who is new, has been woken or has yielded: the rings and the global queue.
 *   2. Who was stopped while it computed: one list for all Ps, sched.computing.
 * A P that has no G of the first level takes one of the second. A G is stopped
 *   after TURN_MIN_NS    if one of the first level waits for its P: it goes to the front of the
 *                        list if it came from there, with what is left of its slice,
 *   after its slice      if only others of the second wait: to the end of the list. sysmon watches
 *                        slices by the clock; what a G got less of the CPU is made good by a longer
 *                        one (proc.c, slice_next).
 * So one that wakes up waits for TURN_MIN_NS at most, and less than that mostly, and the others
 * share the rest of the time in slices, each in its turn. sysmon stops them (sysmon.c); a G of the
 * second level that readies another stops itself (proc.c, woke_another). Neither level starves:
 * look_around gives the list a turn after RING_CYCLES, and who yields after each round of the ring.
 *
 * Nor do those starve who had to go to the global queue because a ring was full: after
 * GLOBAL_CYCLES a P takes its share of them in one go (look_around), and while they wait who yields
 * to half a ring goes behind them, which keeps room for the share (switch_finish).
 *
 * Why not by virtual time, as Linux's EEVDF or MuQSS's deadlines do: a clock and a sum at every
 * switch would double the cost of a yield. To be stopped at all says as much, and is seldom.
 */
#include "sched/event.h"
#include "sched/runtime.h"

/* A pair in runnext must not starve the ring: so many from it in a row, then one of the ring.
 * Each is a park or exit of the former, so about 5 us. */
#define RUNNEXT_MAX 64

static uint32_t load_acq(_Atomic uint32_t *a) {
    return atomic_load_explicit(a, memory_order_acquire);
}

/* head moves on to `to` if it is still at `from` (then updated). With one P nobody else takes from
 * the ring, and a locked instruction would be a quarter of the cost of a yield. */
static inline bool head_advance(struct p *p, uint32_t *from, uint32_t to) {
    if (sched.cfg.procs == 1) {
        atomic_store_explicit(&p->runqhead, to, memory_order_release);
        return true;
    }
    return atomic_compare_exchange_strong_explicit(&p->runqhead, from, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* Likewise: puts g into runnext, returns what was there. Owner. */
static inline struct g *runnext_exchange(struct p *p, struct g *g) {
    if (sched.cfg.procs == 1) {
        struct g *was = atomic_load_explicit(&p->runnext, memory_order_relaxed);
        atomic_store_explicit(&p->runnext, g, memory_order_release);
        return was;
    }
    return atomic_exchange_explicit(&p->runnext, g, memory_order_acq_rel);
}

/* Moves half of a full ring and g to the global queue. False: the ring was not full any more. */
static bool runq_put_slow(struct p *p, struct g *g, uint32_t head, uint32_t tail) {
    struct g *batch[RUNQ_SIZE / 2 + 1];
    uint32_t n = (tail - head) / 2;
    for (uint32_t i = 0; i < n; i++)
        batch[i] = atomic_load_explicit(&p->runq[(head + i) % RUNQ_SIZE], memory_order_relaxed);
    if (!head_advance(p, &head, head + n))
        return false;
    batch[n] = g;
    lock_acquire(&sched.lock);
    for (uint32_t i = 0; i <= n; i++)
        globq_put_locked(batch[i]);
    lock_release(&sched.lock);
    return true;
}

/* Owner of p only. next: into runnext, what was there goes to the ring's tail. */
void runq_put(struct p *p, struct g *g, bool next) {
    if (next && !chaos(4, "does not run it next")) {
        g = runnext_exchange(p, g);
        if (!g)
            return;
    }
    for (;;) {
        uint32_t head = load_acq(&p->runqhead);
        uint32_t tail = atomic_load_explicit(&p->runqtail, memory_order_relaxed);
        if (tail - head < RUNQ_SIZE) {
            atomic_store_explicit(&p->runq[tail % RUNQ_SIZE], g, memory_order_relaxed);
            atomic_store_explicit(&p->runqtail, tail + 1, memory_order_release);
            return;
        }
        if (runq_put_slow(p, g, head, tail))
            return;
    }
}

/* Out of its turn, as a slice of its own. */
static struct g *take_runnext(struct p *p) { return runnext_exchange(p, NULL); }

static inline struct g *get_in_order(struct p *p) {
    struct g *next = atomic_load_explicit(&p->runnext, memory_order_relaxed);
    uint32_t head = load_acq(&p->runqhead);
    uint32_t tail = atomic_load_explicit(&p->runqtail, memory_order_relaxed);
    if (next && (head == tail || p->runnext_streak < RUNNEXT_MAX) &&
        (next = runnext_exchange(p, NULL))) {
        p->runnext_streak++;
        return next;
    }
    p->runnext_streak = 0;
    for (;;) {
        if (head == tail) /* stolen empty meanwhile: then runnext is due after all */
            return next ? take_runnext(p) : NULL;
        struct g *g = atomic_load_explicit(&p->runq[head % RUNQ_SIZE], memory_order_relaxed);
        if (head_advance(p, &head, head + 1))
            return g;
    }
}

static __attribute__((noinline)) struct g *get_chaos(struct p *p) {
    struct g *g = get_in_order(p);
    for (int i = 0; i < 3 && g && chaos_draw(3, "runs another one first"); i++) {
        runq_put(p, g, false);
        g = get_in_order(p);
    }
    return g;
}

/* Owner of p only. */
struct g *runq_get(struct p *p) {
    return unlikely(chaos_on) ? get_chaos(p) : get_in_order(p);
}

/* Racy for all but the owner. runnext is read between two reads of the ring, so that a kick of
 * runnext to the ring (runq_put) cannot make a full queue look empty. */
bool runq_empty(struct p *p) {
    for (;;) {
        uint32_t head = load_acq(&p->runqhead);
        uint32_t tail = load_acq(&p->runqtail);
        struct g *next = atomic_load_explicit(&p->runnext, memory_order_acquire);
        if (tail == load_acq(&p->runqtail))
            return head == tail && !next;
    }
}

/* Copies half of victim's ring to `p`'s ring from its tail on; returns how many. */
static uint32_t runq_grab(struct p *p, struct p *victim, uint32_t tail, bool take_next) {
    for (;;) {
        uint32_t h = load_acq(&victim->runqhead);
        uint32_t t = load_acq(&victim->runqtail);
        uint32_t n = (t - h) - (t - h) / 2;
        if (n == 0) {
            struct g *next = atomic_load_explicit(&victim->runnext, memory_order_relaxed);
            if (!take_next || !next)
                return 0;
            if (!atomic_compare_exchange_strong_explicit(
                    &victim->runnext, &next, NULL, memory_order_acq_rel, memory_order_relaxed))
                continue;
            atomic_store_explicit(&p->runq[tail % RUNQ_SIZE], next, memory_order_relaxed);
            return 1;
        }
        if (n > RUNQ_SIZE / 2) /* h and t were not read together */
            continue;
        for (uint32_t i = 0; i < n; i++)
            atomic_store_explicit(
                &p->runq[(tail + i) % RUNQ_SIZE],
                atomic_load_explicit(&victim->runq[(h + i) % RUNQ_SIZE], memory_order_relaxed),
                memory_order_relaxed);
        if (atomic_compare_exchange_strong_explicit(&victim->runqhead, &h, h + n,
                                                    memory_order_acq_rel, memory_order_relaxed))
            return n;
    }
}

bool runq_has_room(struct p *p) {
    return atomic_load_explicit(&p->runqtail, memory_order_relaxed) - load_acq(&p->runqhead) <=
           RUNQ_SIZE / 2;
}

/* Steals half of victim's ring into p's (whose owner calls), which has room, and returns one. */
struct g *runq_steal(struct p *p, struct p *victim, bool take_next) {
    uint32_t tail = atomic_load_explicit(&p->runqtail, memory_order_relaxed);
    uint32_t n = runq_grab(p, victim, tail, take_next);
    if (!n)
        return NULL;
    p_count(p, CNT_STEAL);
    event_steal(p, victim, n);
    n--;
    struct g *g = atomic_load_explicit(&p->runq[(tail + n) % RUNQ_SIZE], memory_order_relaxed);
    if (n)
        atomic_store_explicit(&p->runqtail, tail + n, memory_order_release);
    return g;
}

/* ---- the global queue, and that of computing Gs: under sched.lock ---- */

static void append(struct gqueue *q, struct g *g) {
    g->schedlink = NULL;
    if (q->tail)
        q->tail->schedlink = g;
    else
        q->head = g;
    q->tail = g;
}

static void put_first(struct gqueue *q, struct g *g) {
    g->schedlink = q->head;
    q->head = g;
    if (!q->tail)
        q->tail = g;
}

static struct g *unlink_first(struct gqueue *q) {
    struct g *g = q->head;
    q->head = g->schedlink;
    if (!q->head)
        q->tail = NULL;
    return g;
}

void globq_put_locked(struct g *g) {
    append(&sched.globq, g);
    atomic_fetch_add_explicit(&sched.runqsize, 1, memory_order_seq_cst);
}

/* Takes a fair share for p, at most max (0: half a ring): returns one, the rest goes to p's
 * ring. The ring has room: p looks here only when it is empty, or takes one. */
struct g *globq_get_locked(struct p *p, uint32_t max) {
    uint32_t size = globq_size();
    if (!size)
        return NULL;
    uint32_t n = size / sched.cfg.procs + 1;
    if (n > size)
        n = size;
    if (n > RUNQ_SIZE / 2)
        n = RUNQ_SIZE / 2;
    if (max && n > max)
        n = max;
    struct g *g = unlink_first(&sched.globq);
    for (uint32_t i = 1; i < n; i++)
        runq_put(p, unlink_first(&sched.globq), false);
    if (!max) /* one at a time is not a share, and may come more often than that is due */
        p->global_at = arch_cycles();
    /* Last: an M that is about to sleep looks at runqsize first and at the rings then. */
    atomic_fetch_sub_explicit(&sched.runqsize, n, memory_order_seq_cst);
    return g;
}

/* To the front if it has some of its slice left, else behind the others. */
void computing_put_locked(struct g *g) {
    struct gqueue *q = &sched.computing;
    if (g->slice_left)
        put_first(q, g);
    else
        append(q, g);
    atomic_fetch_add_explicit(&sched.ncomputing, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sched.runqsize, 1, memory_order_seq_cst);
}

/* Where the number of Ps divides that of the Gs, each G would always come to the same P, so mostly
 * to the same CPU; and CPUs are not equally fast, nor equally free. So each fifth time the second
 * one is taken: never twice in a row, so that the first loses one place. One that goes on with its
 * slice keeps its own. */
#define SWAP_EVERY 5
static struct g *take_first_or_second(struct gqueue *q) {
    struct g *first = unlink_first(q);
    if (!q->head || first->slice_left || sched.cfg.procs == 1 ||
        ++sched.computing_taken % SWAP_EVERY)
        return first;
    struct g *second = unlink_first(q);
    put_first(q, first);
    return second;
}

struct g *computing_get_locked(void) {
    if (!sched.computing.head)
        return NULL;
    struct g *g = take_first_or_second(&sched.computing);
    atomic_fetch_sub_explicit(&sched.ncomputing, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&sched.runqsize, 1, memory_order_seq_cst);
    return g;
}
