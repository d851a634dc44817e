/* timer.c - deadlines: one pairing heap for each P
 *
 * The nodes are the Gs' own (struct timer), so adding needs no memory, and a million sleepers
 * need no array. Pairing heap: M. Fredman et al., Algorithmica 1 (1986); two-pass merge without
 * recursion. A deadline goes to the heap of the P on which the G waits. Anybody may remove it,
 * under that P's timer_lock; timer.heap says which, and NULL when it fired or was removed.
 *
 * Firing is told apart from a later wait of the same G by timer.seq (park.c, lot_timeout).
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

static void root_set_locked(struct p *p, struct timer *root) {
    p->timer_root = root;
    atomic_store_explicit(&p->timer0, root ? root->when : TIME_FOREVER, memory_order_seq_cst);
}

/* Takes t out of p's heap. Owner of p->timer_lock. */
static void remove_locked(struct p *p, struct timer *t) {
    struct timer *sub = meld_siblings(t->child);
    t->child = NULL;
    if (t == p->timer_root) {
        root_set_locked(p, sub);
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        root_set_locked(p, meld(p->timer_root, sub));
    }
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
    root_set_locked(p, meld(p->timer_root, t));
    bool first = p->timer_root == t;
    lock_release(&p->timer_lock);
    if (first)
        poller_timer_added(when);
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

/* Fires what is due on p. Any M with a P, or sysmon. The waits are ended after the lock is
 * dropped: that takes bucket locks. */
bool timers_fire(struct p *p) {
    bool fired = false;
    uint64_t now = nanotime();
    if (atomic_load_explicit(&p->timer0, memory_order_relaxed) > now)
        return false;
    for (;;) {
        lock_acquire(&p->timer_lock);
        struct timer *t = p->timer_root;
        if (!t || t->when > now) {
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

uint64_t timers_next(void) {
    uint64_t min = TIME_FOREVER;
    for (uint32_t i = 0; i < sched.cfg.procs; i++) {
        uint64_t t = atomic_load_explicit(&sched.allp[i].timer0, memory_order_seq_cst);
        if (t < min)
            min = t;
    }
    return min;
}
