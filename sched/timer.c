/* timer.c - deadlines: two pairing heaps for each P, one for each clock
 *
 * The nodes are the Gs' own (struct timer), so adding needs no memory, and a million sleepers
 * need no array. Pairing heap: M. Fredman et al., Algorithmica 1 (1986); two-pass merge without
 * recursion. A deadline goes to the heap of the P on which the G waits. Anybody may remove it,
 * under that P's timer_lock; timer.heap says which, and NULL when it fired or was removed.
 *
 * Firing is told apart from a later wait of the same G by timer.seq (park.c, lot_timeout).
 *
 * Deadlines of CLOCK_REALTIME move when that clock is set, those of CLOCK_MONOTONIC never. Whoever
 * sleeps until the next deadline does so by CLOCK_MONOTONIC, until timer0: for the former the time
 * then is `when` less real_offset, which is what CLOCK_REALTIME is ahead. The clock is set:
 *   back     timer0 comes too early; timers_fire, which asks the clock itself, finds nobody due and
 *            reckons it anew.
 *   forward  sysmon notices (timers_follow_clock): in a look if it is up, else, all Ps being idle,
 *            by its sleep, which is one of CLOCK_REALTIME until the first of these deadlines and
 *            thus ended by the kernel (timers_first_real). It reckons all timer0 anew.
 * Who puts in a deadline meanwhile: reads real_offset under timer_lock, as sysmon takes it after
 * it has set real_offset. So either that is the new one, or sysmon finds the deadline. sysmon says
 * that it sleeps (sysmon_asleep, seq_cst), then reads the first deadline (real0); who adds one
 * stores that first and then reads sysmon_asleep: it matters only for a G without a P, all others
 * have woken sysmon when they took theirs.
 */
#include "sched/runtime.h"

static struct timer *meld(struct timer *a, struct timer *b) {
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->when < a->when) {
        struct timer *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    b->prev = a;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Melds a list of siblings into one tree: pairs from left to right, then back. */
static struct timer *meld_siblings(struct timer *list) {
    struct timer *pairs = NULL;
    while (list) {
        struct timer *a = list, *b = a->next;
        list = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs; /* singly linked, newest first */
        pairs = a;
    }
    struct timer *root = NULL;
    while (pairs) {
        struct timer *t = pairs;
        pairs = t->next;
        t->next = NULL;
        root = meld(root, t);
    }
    if (root)
        root->next = root->prev = NULL;
    return root;
}

/* A difference that is a clock set, and not the time between reading one clock and the other. */
#define CLOCK_STEP_NS (20 * NSEC_PER_USEC)
#define CLOCK_READ_NS (1 * NSEC_PER_USEC) /* reading three clocks, undisturbed */
#define CLOCK_READS 5                     /* tries until one is undisturbed */

/* CLOCK_REALTIME less CLOCK_MONOTONIC. 0: nobody has asked yet. */
static _Atomic uint64_t real_offset;

static uint64_t measure_offset(void) {
    uint64_t best = UINT64_MAX, offset = 0;
    for (int i = 0; i < CLOCK_READS && best > CLOCK_READ_NS; i++) {
        uint64_t before = nanotime(), real = realtime(), after = nanotime();
        if (after - before < best) {
            best = after - before;
            offset = real - before;
        }
    }
    return offset;
}

static uint64_t offset_now(void) {
    uint64_t offset = measure_offset();
    atomic_store_explicit(&real_offset, offset, memory_order_relaxed);
    return offset;
}

/* By CLOCK_MONOTONIC, as far as is known. */
static uint64_t due_at(const struct timer *t) {
    if (!deadline_is_real(t->when))
        return t->when;
    uint64_t real = t->when & ~DEADLINE_REAL;
    uint64_t offset = atomic_load_explicit(&real_offset, memory_order_relaxed);
    if (unlikely(!offset))
        offset = offset_now();
    int64_t due = (int64_t)(real - offset);
    return due < 0 ? 0 : (uint64_t)due;
}

static struct timer **root_of(struct p *p, const struct timer *t) {
    return deadline_is_real(t->when) ? &p->real_root : &p->timer_root;
}

/* Says when the first is due. True if that is earlier than it was. */
static bool first_set_locked(struct p *p) {
    struct timer *mono = p->timer_root, *real = p->real_root;
    uint64_t first = mono ? mono->when : TIME_FOREVER;
    if (unlikely(real) && due_at(real) < first)
        first = due_at(real);
    bool earlier = first < atomic_load_explicit(&p->timer0, memory_order_relaxed);
    uint64_t real0 = real ? real->when : TIME_FOREVER;
    /* A seq_cst store is a locked instruction: most deadlines are not of CLOCK_REALTIME. */
    if (unlikely(real0 != atomic_load_explicit(&p->real0, memory_order_relaxed)))
        atomic_store_explicit(&p->real0, real0, memory_order_seq_cst);
    atomic_store_explicit(&p->timer0, first, memory_order_seq_cst);
    return earlier;
}

/* Takes t out of p's heap. Owner of p->timer_lock. */
static void remove_locked(struct p *p, struct timer *t) {
    struct timer *sub = meld_siblings(t->child);
    t->child = NULL;
    struct timer **root = root_of(p, t);
    if (t == *root) {
        *root = sub;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        *root = meld(*root, sub);
    }
    first_set_locked(p);
    t->next = t->prev = NULL;
    atomic_store_explicit(&t->heap, NULL, memory_order_release);
}

/* g's wait number seq ends at `when`. Called by g itself, already queued for what it waits for,
 * so that a deadline that fires at once finds it (NETPOLL 4.2). */
void timer_add(struct p *p, struct g *g, uint64_t when, uint32_t seq) {
    struct timer *t = &g->timer;
    t->when = when;
    t->seq = seq;
    lock_acquire(&p->timer_lock);
    atomic_store_explicit(&t->heap, p, memory_order_relaxed);
    struct timer **root = root_of(p, t);
    *root = meld(*root, t);
    bool earlier = first_set_locked(p);
    uint64_t first = atomic_load_explicit(&p->timer0, memory_order_relaxed);
    lock_release(&p->timer_lock);
    if (earlier)
        poller_timer_added(first);
    if (unlikely(deadline_is_real(when)))
        sysmon_wake();
}

/* Removes g's deadline if it has not fired. Called by g itself. */
void timer_del(struct g *g) {
    struct p *p = atomic_load_explicit(&g->timer.heap, memory_order_acquire);
    if (!p)
        return;
    lock_acquire(&p->timer_lock);
    if (atomic_load_explicit(&g->timer.heap, memory_order_relaxed) == p)
        remove_locked(p, &g->timer);
    lock_release(&p->timer_lock);
}

/* One that is due. NULL: none. CLOCK_REALTIME may have been set since timer0 was reckoned. */
static struct timer *due_locked(struct p *p, uint64_t now) {
    if (p->timer_root && p->timer_root->when <= now)
        return p->timer_root;
    if (likely(!p->real_root) || due_at(p->real_root) > now)
        return NULL;
    if (p->real_root->when <= (realtime() | DEADLINE_REAL))
        return p->real_root;
    offset_now();
    first_set_locked(p);
    return NULL;
}

/* Fires what is due on p. Any M with a P, or sysmon. The waits are ended after the lock is
 * dropped: that takes bucket locks. */
bool timers_fire(struct p *p) {
    bool fired = false;
    uint64_t now = nanotime();
    if (atomic_load_explicit(&p->timer0, memory_order_relaxed) > now)
        return false;
    for (;;) {
        lock_acquire(&p->timer_lock);
        struct timer *t = due_locked(p, now);
        if (!t) {
            lock_release(&p->timer_lock);
            return fired;
        }
        struct g *g = (struct g *)((char *)t - offsetof(struct g, timer));
        uint32_t seq = t->seq;
        remove_locked(p, t);
        lock_release(&p->timer_lock);
        fired = true;
        lot_timeout(g, seq);
    }
}

static inline uint64_t earlier_of(_Atomic uint64_t *when, uint64_t than) {
    uint64_t t = atomic_load_explicit(when, memory_order_seq_cst);
    return t < than ? t : than;
}

uint64_t timers_next(void) {
    uint64_t first = TIME_FOREVER;
    for (uint32_t i = 0; i < sched.cfg.procs; i++)
        first = earlier_of(&sched.allp[i].timer0, first);
    return first;
}

uint64_t timers_first_real(void) {
    uint64_t first = TIME_FOREVER;
    for (uint32_t i = 0; i < sched.cfg.procs; i++)
        first = earlier_of(&sched.allp[i].real0, first);
    return first;
}

void timers_follow_clock(void) {
    uint64_t old = atomic_load_explicit(&real_offset, memory_order_relaxed);
    int64_t moved = (int64_t)(measure_offset() - old);
    if (moved < (int64_t)CLOCK_STEP_NS && -moved < (int64_t)CLOCK_STEP_NS)
        return;
    offset_now();
    for (uint32_t i = 0; i < sched.cfg.procs; i++) {
        struct p *p = &sched.allp[i];
        lock_acquire(&p->timer_lock);
        bool earlier = first_set_locked(p);
        uint64_t first = atomic_load_explicit(&p->timer0, memory_order_relaxed);
        lock_release(&p->timer_lock);
        if (earlier)
            poller_timer_added(first);
    }
}
