/* netpoll.c - poll descriptors: who waits for which descriptor, and waking them
 *
 * Readiness is edge-triggered: epoll tells once that something has changed (netpoll_epoll.c), and
 * whoever moves data inside the process may tell the same without epoll (net_event).
 *
 * No event is lost. Per direction there are seq (events so far) and nwait (who wants to know):
 *   waiter: (1) notes seq, (2) tries, EAGAIN, (3) registers with epoll, if it was not yet; that
 *           reports a state that has come up since (2), (4) under the bucket lock raises nwait
 *           (seq_cst), (5) reads seq: if it differs from (1) goes back to 1; else links itself.
 *   event:  (1) bumps seq (seq_cst), (2) reads nwait; if not 0: takes the bucket lock, unlinks one.
 * Either the event sees nwait and, under the lock, finds the waiter linked, or the waiter sees seq.
 *
 * One event wakes one waiter, since each of many writers of one socket would otherwise wake for
 * every message. That is enough because a wake-up is a token: a woken waiter tries, and if that
 * gave anything but EAGAIN it wakes the next (net_pass). EAGAIN says that the readiness is used
 * up, and more of it will be another event. Hang-ups, errors and invalidation wake all.
 *
 * Descriptors close and come back as something else. Everything that was known of the number ends
 * with its birth (net_born): every call that returns a descriptor says so, since closes can hide in
 * libc (fclose) or the kernel (DANGERS N1). A close tells those who wait; while the kernel closes
 * (tag odd) nobody may queue, or he would wait for a file that is gone.
 *
 * Locks: desc.lock, then a bucket. desc.lock is held over epoll_ctl, which does not wait for
 * anything but other epoll calls: two Gs that arm the two directions of one descriptor would else
 * overwrite each other's interest.
 */
#include "sched/netpoll.h"
#include "sched/runtime.h"

#include <errno.h>
#include <string.h>

/* Two levels: a chunk of descriptors is mapped when one of its numbers is first used. Together
 * they cover the kernel's default fs.nr_open (2^20) sixteen times. */
#define CHUNK_FDS 4096
#define CHUNKS 4096
static struct net_desc *_Atomic chunks[CHUNKS];
static _Atomic uint32_t nchunks; /* one past the highest used one */

struct net_desc *net_desc_look(int fd) {
    if ((unsigned)fd >= CHUNK_FDS * CHUNKS)
        return NULL;
    struct net_desc *c = atomic_load_explicit(&chunks[fd / CHUNK_FDS], memory_order_acquire);
    return likely(c != NULL) ? &c[fd % CHUNK_FDS] : NULL;
}

static __attribute__((noinline)) struct net_desc *desc_make(int fd) {
    if ((unsigned)fd >= CHUNK_FDS * CHUNKS)
        return NULL;
    struct net_desc *fresh = mem_map(CHUNK_FDS * sizeof *fresh), *none = NULL;
    if (!fresh)
        return NULL;
    uint32_t i = (uint32_t)fd / CHUNK_FDS;
    if (!atomic_compare_exchange_strong_explicit(&chunks[i], &none, fresh, memory_order_acq_rel,
                                                 memory_order_acquire))
        mem_unmap(fresh, CHUNK_FDS * sizeof *fresh);
    uint32_t n = atomic_load_explicit(&nchunks, memory_order_relaxed);
    while (n <= i && !atomic_compare_exchange_weak_explicit(
                         &nchunks, &n, i + 1, memory_order_release, memory_order_relaxed))
        continue;
    return net_desc_look(fd);
}

struct net_desc *net_desc(int fd) {
    struct net_desc *d = net_desc_look(fd);
    return likely(d != NULL) ? d : desc_make(fd);
}

int net_desc_end(void) {
    return (int)atomic_load_explicit(&nchunks, memory_order_acquire) * CHUNK_FDS;
}

/* Calls fn for every descriptor that has a place in the table. */
void net_each(void (*fn)(int fd, struct net_desc *d)) {
    uint32_t n = atomic_load_explicit(&nchunks, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        struct net_desc *c = atomic_load_explicit(&chunks[i], memory_order_acquire);
        for (int k = 0; c && k < CHUNK_FDS; k++)
            fn((int)(i * CHUNK_FDS) + k, &c[k]);
    }
}

/* The layer above's, see net_rescue_start; NULL: all events come from epoll. */
static void (*_Atomic on_left)(int fd, struct net_desc *d);

/* ---- waking ---- */

static void watched_locked(struct net_desc *d, struct wake_list *woken, uint8_t dirs) {
    for (struct net_watch *w = d->watches; w; w = w->next) {
        if (!(w->dirs & dirs))
            continue;
        uintptr_t addr = (uintptr_t)w->fired;
        struct bucket *b = lot_lock(addr);
        atomic_store_explicit(w->fired, 1, memory_order_relaxed);
        wake_list_take_all(woken, b, addr);
        lot_unlock(b);
    }
}

/* Unlinks who is to wake up for an event of that direction. seq has been bumped. */
static void collect(struct net_desc *d, enum net_dir dir, bool all, struct wake_list *woken) {
    chaos_late("net event");
    if (!atomic_load_explicit(&d->side[dir].nwait, memory_order_seq_cst))
        return;
    uintptr_t addr = (uintptr_t)&d->side[dir];
    struct bucket *b = lot_lock(addr);
    struct waiter *w = lot_first(b, addr);
    if (all)
        wake_list_take_all(woken, b, addr);
    else if (w)
        wake_list_take(woken, b, w);
    lot_unlock(b);
    if (!__atomic_load_n(&d->watches,
                         __ATOMIC_RELAXED)) /* one that is being added sees seq, under the lock */
        return;
    lock_acquire(&d->lock);
    watched_locked(d, woken, (uint8_t)(1 << dir));
    lock_release(&d->lock);
}

void net_wake_slow(struct net_desc *d, enum net_dir dir, bool all) {
    struct wake_list woken = {0};
    collect(d, dir, all, &woken);
    wake_list_ready(&woken);
}

static void bump(struct net_desc *d, enum net_dir dir) {
    atomic_fetch_add_explicit(&d->side[dir].seq, 1, memory_order_seq_cst);
}

void net_event_all(struct net_desc *d) {
    bump(d, NET_IN);
    bump(d, NET_OUT);
    net_wake_slow(d, NET_IN, true);
    net_wake_slow(d, NET_OUT, true);
}

/* The one event that net_arm_once asked for. True if somebody is still queued: then whoever caused
 * it is not one of those who tell, or is just about to. */
static bool rescued(struct net_desc *d, uint8_t dirs) {
    bool waits = false;
    lock_acquire(&d->lock);
    dirs &= d->net_once;
    d->net_once = 0;
    waits = d->watches != NULL;
    lock_release(&d->lock);
    for (int dir = NET_IN; dir <= NET_OUT; dir++) {
        uintptr_t addr = (uintptr_t)&d->side[dir];
        struct bucket *b = lot_lock(addr);
        waits |= (dirs & (1 << dir)) && lot_first(b, addr);
        lot_unlock(b);
    }
    return waits;
}

/* What epoll said about fd, in its life number tag (netpoll_epoll.c). */
void net_deliver(int fd, uint32_t tag, uint8_t dirs, bool hup, struct wake_list *woken) {
    struct net_desc *d = net_desc_look(fd);
    if (!d || net_tag(d) != tag)
        return; /* of an earlier life of the number */
    if (hup)
        atomic_store_explicit(&d->hup, 1, memory_order_relaxed);
    bool missed = unlikely(d->net_once != 0) && rescued(d, dirs);
    for (int dir = NET_IN; dir <= NET_OUT; dir++)
        if (dirs & (1 << dir)) {
            bump(d, (enum net_dir)dir);
            collect(d, (enum net_dir)dir, hup, woken);
        }
    if (missed)
        atomic_load_explicit(&on_left, memory_order_acquire)(fd, d);
}

/* ---- waiting ---- */

struct waiter *net_enqueue(struct net_desc *d, enum net_dir dir, uint32_t seq) {
    chaos_late("net_enqueue");
    uintptr_t addr = (uintptr_t)&d->side[dir];
    struct waiter *w = lot_self(NULL);
    struct bucket *b = lot_lock(addr);
    atomic_fetch_add_explicit(&d->side[dir].nwait, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&d->side[dir].seq, memory_order_seq_cst) != seq) {
        net_leave(d, dir);
        lot_unlock(b);
        return NULL;
    }
    lot_enqueue_interruptible(b, w, addr, dir == NET_IN ? WAIT_NET_IN : WAIT_NET_OUT);
    lot_unlock(b);
    return w;
}

void net_watch_add(struct net_watch *w) {
    struct net_desc *d = w->desc;
    lock_acquire(&d->lock);
    w->next = d->watches;
    w->link = &d->watches;
    if (w->next)
        w->next->link = &w->next;
    d->watches = w;
    for (int dir = NET_IN; dir <= NET_OUT; dir++)
        if (w->dirs & (1 << dir)) {
            atomic_fetch_add_explicit(&d->side[dir].nwait, 1, memory_order_seq_cst);
            if (atomic_load_explicit(&d->side[dir].seq, memory_order_seq_cst) != w->seq[dir])
                atomic_store_explicit(w->fired, 1, memory_order_relaxed);
        }
    lock_release(&d->lock);
}

void net_watch_remove(struct net_watch *w) {
    struct net_desc *d = w->desc;
    lock_acquire(&d->lock);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    for (int dir = NET_IN; dir <= NET_OUT; dir++)
        if (w->dirs & (1 << dir))
            net_leave(d, dir);
    lock_release(&d->lock);
}

/* ---- births and closes ---- */

/* Nothing is registered for the number any more, as far as we know. Lock held. */
static void forget_locked(struct net_desc *d, uint32_t tag) {
    d->armed = d->net_once = 0;
    atomic_store_explicit(&d->hup, 0, memory_order_relaxed);
    atomic_store_explicit(&d->tag, tag, memory_order_release);
}

void net_born(struct net_desc *d) {
    lock_acquire(&d->lock);
    forget_locked(d, (atomic_load_explicit(&d->tag, memory_order_relaxed) | 1) + 1);
    memset(d->ext, 0, sizeof d->ext);
    lock_release(&d->lock);
    net_event_all(d);
}

uint32_t net_close_begin(struct net_desc *d) {
    lock_acquire(&d->lock);
    uint32_t tag = (atomic_load_explicit(&d->tag, memory_order_relaxed) + 1) | 1;
    forget_locked(d, tag);
    lock_release(&d->lock);
    net_event_all(d);
    return tag;
}

void net_close_end(struct net_desc *d, uint32_t tag) {
    lock_acquire(&d->lock);
    bool ours = net_tag(d) == tag;
    if (ours) { /* nothing has been born meanwhile; a birth inside libc may be unseen */
        atomic_store_explicit(&d->tag, tag + 1, memory_order_seq_cst);
        memset(d->ext, 0, sizeof d->ext);
    }
    lock_release(&d->lock);
    if (ours)
        net_event_all(d); /* a poll may have begun to watch meanwhile */
}

/* ---- those whom nobody tells ---- */

void net_rescue_start(void (*left)(int fd, struct net_desc *d)) {
    atomic_store_explicit(&on_left, left, memory_order_release);
}

static bool found_missing;

/* Someone waits for d without epoll, and did so, with no event since, at the last look. */
static void rescue_one(int fd, struct net_desc *d) {
    uint8_t waits = 0;
    for (int dir = NET_IN; dir <= NET_OUT; dir++)
        if (atomic_load_explicit(&d->side[dir].nwait, memory_order_relaxed) &&
            !(d->armed & (1 << dir)))
            waits |= (uint8_t)(1 << dir);
    if (!waits || d->armed & NET_NEXT)
        return;
    uint8_t seen = (uint8_t)(net_seq(d, NET_IN) * 16 + net_seq(d, NET_OUT) % 16);
    if (d->net_once == waits)
        return;
    found_missing = true;
    int err = d->rescue_seen == seen ? net_arm_once(d, fd, waits) : 0;
    d->rescue_seen = seen;
    /* The number is free, or a file's, which nobody has to wait for. */
    if (err == EBADF || err == EPERM) {
        atomic_load_explicit(&on_left, memory_order_acquire)(fd, d);
        net_event_all(d);
    }
}

bool net_rescues(void) { return atomic_load_explicit(&on_left, memory_order_acquire) != NULL; }

bool net_rescue(void) {
    found_missing = false;
    if (net_rescues())
        net_each(rescue_one);
    return found_missing;
}

/* The parent's waiters are gone; its registrations are its own. */
void net_reset_child(bool own_table) {
    uint32_t n = atomic_load_explicit(&nchunks, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        struct net_desc *c = atomic_load_explicit(&chunks[i], memory_order_relaxed);
        if (c)
            mem_unmap(c, CHUNK_FDS * sizeof *c);
        atomic_store_explicit(&chunks[i], NULL, memory_order_relaxed);
    }
    atomic_store_explicit(&nchunks, 0, memory_order_relaxed);
    atomic_store_explicit(&on_left, NULL, memory_order_relaxed);
    net_epoll_reset_child(own_table);
}
