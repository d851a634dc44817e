/* rwlock.c - read-write locks in glibc's layout, on the parking lot
 *
 * State table of __readers (free and held states look as glibc's do):
 *   0                free
 *   n * READER       held by n readers
 *   WRITER           held by the writer whose tid is __cur_writer
 *   | WAITED         somebody is parked: unlocking goes through the parking lot
 *
 * The lock is handed over, never left free for a waiter to race for: the last unlocker makes the
 * next holders under the bucket lock. Kinds: PREFER_READER (the default) and PREFER_WRITER, which
 * glibc treats as the former: readers enter whenever no writer holds it, so that a thread may
 * take it for reading twice; PREFER_WRITER_NONRECURSIVE: not past a waiting writer, and writers
 * are served first.
 */
#include "shim/shim.h"

#include <limits.h>

#define READER 8u
#define WAITED 4u
#define WRITER 3u
#define MAX_READERS (UINT32_MAX / READER / 2)

/* waiter.tag */
#define TAG_READ 0
#define TAG_WRITE 1

typedef struct __pthread_rwlock_arch_t rwlock;

static inline _Atomic uint32_t *word(rwlock *l) { return (_Atomic uint32_t *)&l->__readers; }
static inline _Atomic int *cur_writer(rwlock *l) { return (_Atomic int *)&l->__cur_writer; }

static bool rw_in_libc(pthread_rwlock_t *lp) {
    return passthrough() || unlikely(lp->__data.__shared);
}

static bool is_writer(uint32_t v) { return (v & WRITER) == WRITER; }

static bool mine(rwlock *l) {
    return atomic_load_explicit(cur_writer(l), memory_order_relaxed) == self_tid();
}

static bool prefers_writers(rwlock *l) {
    return l->__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
}

/* May a reader enter when the word is v? */
static bool read_allowed(rwlock *l, uint32_t v) {
    if (is_writer(v))
        return false;
    return !(v & WAITED) || !prefers_writers(l);
}

/* ---- handing over ---- */

/* Lets all parked readers in beside the readers that hold it. Bucket lock, which the holders need
 * to leave while WAITED is set: so it stays held for reading meanwhile. */
static void admit_readers_locked(rwlock *l, struct bucket *b, uintptr_t addr,
                                 struct wake_list *woken) {
    for (struct waiter *w = lot_first(b, addr), *after; w; w = after) {
        after = lot_next(w);
        if (w->tag == TAG_READ) {
            wake_list_take(woken, b, w);
            atomic_fetch_add_explicit(word(l), READER, memory_order_relaxed);
        }
    }
    if (!lot_first(b, addr))
        atomic_fetch_and_explicit(word(l), ~WAITED, memory_order_relaxed);
}

/* The first waiter of that kind. Bucket lock. */
static struct waiter *first_of(struct bucket *b, uintptr_t addr, uint32_t tag) {
    struct waiter *w = lot_first(b, addr);
    while (w && w->tag != tag)
        w = lot_next(w);
    return w;
}

/* The lock is free, somebody is parked, and the word says WRITER | WAITED, so that nobody can come
 * in between: makes the next holders. Bucket lock. */
static void hand_over_locked(rwlock *l, struct bucket *b, uintptr_t addr, struct wake_list *woken) {
    struct waiter *writer = first_of(b, addr, TAG_WRITE), *reader = first_of(b, addr, TAG_READ), *w;
    uint32_t v = 0;
    if (writer && (prefers_writers(l) || !reader)) {
        wake_list_take(woken, b, writer);
        v = WRITER;
    } else {
        while ((w = first_of(b, addr, TAG_READ))) {
            wake_list_take(woken, b, w);
            v += READER;
        }
    }
    if (lot_first(b, addr))
        v |= WAITED;
    atomic_store_explicit(word(l), v, memory_order_release);
}

/* A holder leaves while somebody is parked. */
static void release_slow(rwlock *l, uint32_t held) {
    uintptr_t addr = (uintptr_t)l;
    struct wake_list woken = {0};
    struct bucket *b = lot_lock(addr);
    uint32_t v = atomic_fetch_sub_explicit(word(l), held, memory_order_acq_rel) - held;
    uint32_t free = WAITED;
    if (v == WAITED) {
        if (atomic_compare_exchange_strong_explicit(word(l), &free, WAITED | WRITER,
                                                    memory_order_acq_rel, memory_order_relaxed))
            hand_over_locked(l, b, addr, &woken);
        else /* a new reader was faster, which only happens where readers are preferred */
            admit_readers_locked(l, b, addr, &woken);
    }
    lot_unlock(b);
    wake_list_ready(&woken);
}

/* A waiter gave up. Readers that only waited behind a writer that is gone may enter. */
static void give_up(rwlock *l) {
    uintptr_t addr = (uintptr_t)l;
    struct wake_list woken = {0};
    struct bucket *b = lot_lock(addr);
    uint32_t v = atomic_load_explicit(word(l), memory_order_relaxed);
    if (!lot_first(b, addr))
        atomic_fetch_and_explicit(word(l), ~WAITED, memory_order_relaxed);
    else if (!first_of(b, addr, TAG_WRITE) && !is_writer(v))
        admit_readers_locked(l, b, addr, &woken);
    lot_unlock(b);
    wake_list_ready(&woken);
}

/* ---- waiting ---- */

static bool try_read(rwlock *l, int *err) {
    uint32_t v = atomic_load_explicit(word(l), memory_order_relaxed);
    *err = 0;
    while (read_allowed(l, v)) {
        if (v / READER >= MAX_READERS) {
            *err = EAGAIN;
            return true;
        }
        if (atomic_compare_exchange_weak_explicit(word(l), &v, v + READER, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    }
    return false;
}

static bool try_write(rwlock *l) {
    uint32_t v = 0;
    return atomic_compare_exchange_strong_explicit(word(l), &v, WRITER, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Sets WAITED unless the lock can be had after all. Bucket lock. */
static bool must_wait_locked(rwlock *l, uint32_t tag) {
    uint32_t v = atomic_load_explicit(word(l), memory_order_relaxed);
    do {
        if (tag == TAG_READ ? read_allowed(l, v) : (v & ~WAITED) == 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(word(l), &v, v | WAITED, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static int lock_slow(rwlock *l, uint32_t tag, uint64_t deadline) {
    uintptr_t addr = (uintptr_t)l;
    int err;
    while (tag == TAG_READ ? !try_read(l, &err) : !try_write(l)) {
        struct waiter local, *w = lot_self(&local);
        w->tag = tag;
        section_begin(); /* a handler may jump away: not before give_up */
        struct bucket *b = lot_lock(addr);
        if (!must_wait_locked(l, tag)) {
            lot_unlock(b);
            section_end();
            continue;
        }
        lot_enqueue(b, w, addr, WAIT_RWLOCK);
        lot_unlock(b);
        enum park_result r = lot_wait(w, deadline);
        if (r != PARK_WOKEN)
            give_up(l);
        section_end();
        if (r == PARK_WOKEN)
            return 0; /* it was handed to us */
        if (r == PARK_TIMEOUT)
            return ETIMEDOUT;
    }
    return tag == TAG_READ ? err : 0;
}

static void own_write(rwlock *l) {
    l->__wrphase_futex = 1;
    atomic_store_explicit(cur_writer(l), self_tid(), memory_order_relaxed);
}

static int rw_lock(rwlock *l, uint32_t tag, clockid_t clock, const struct timespec *abs) {
    int err = 0;
    chaos_point("a rwlock");
    if (tag == TAG_READ ? try_read(l, &err) : try_write(l)) {
        if (tag == TAG_WRITE)
            own_write(l);
        return err;
    }
    if (mine(l))
        return EDEADLK;
    uint64_t deadline;
    err = deadline_abs(clock, abs, &deadline);
    if (!err)
        err = lock_slow(l, tag, deadline);
    if (!err && tag == TAG_WRITE)
        own_write(l);
    return err;
}

/* ---- the interface ---- */

SHIM_API int shim_rwlock_rdlock(pthread_rwlock_t *lp) {
    if (rw_in_libc(lp))
        return LIBC_CALL(next(pthread_rwlock_rdlock)(lp));
    return rw_lock(&lp->__data, TAG_READ, CLOCK_MONOTONIC, NULL);
}

SHIM_API int shim_rwlock_wrlock(pthread_rwlock_t *lp) {
    if (rw_in_libc(lp))
        return LIBC_CALL(next(pthread_rwlock_wrlock)(lp));
    return rw_lock(&lp->__data, TAG_WRITE, CLOCK_MONOTONIC, NULL);
}

SHIM_API int shim_rwlock_clockrdlock(pthread_rwlock_t *lp, clockid_t clock,
                                     const struct timespec *abs) {
    if (rw_in_libc(lp))
        return LIBC_CALL(next(pthread_rwlock_clockrdlock)(lp, clock, abs));
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    return rw_lock(&lp->__data, TAG_READ, clock, abs);
}

SHIM_API int shim_rwlock_clockwrlock(pthread_rwlock_t *lp, clockid_t clock,
                                     const struct timespec *abs) {
    if (rw_in_libc(lp))
        return LIBC_CALL(next(pthread_rwlock_clockwrlock)(lp, clock, abs));
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    return rw_lock(&lp->__data, TAG_WRITE, clock, abs);
}

SHIM_API int shim_rwlock_timedrdlock(pthread_rwlock_t *lp, const struct timespec *abs) {
    return shim_rwlock_clockrdlock(lp, CLOCK_REALTIME, abs);
}

SHIM_API int shim_rwlock_timedwrlock(pthread_rwlock_t *lp, const struct timespec *abs) {
    return shim_rwlock_clockwrlock(lp, CLOCK_REALTIME, abs);
}

SHIM_API int shim_rwlock_tryrdlock(pthread_rwlock_t *lp) {
    if (rw_in_libc(lp))
        return next(pthread_rwlock_tryrdlock)(lp);
    int err;
    if (try_read(&lp->__data, &err))
        return err;
    g_yield_if_asked();
    return EBUSY;
}

SHIM_API int shim_rwlock_trywrlock(pthread_rwlock_t *lp) {
    if (rw_in_libc(lp))
        return next(pthread_rwlock_trywrlock)(lp);
    rwlock *l = &lp->__data;
    if (!try_write(l)) {
        g_yield_if_asked();
        return EBUSY;
    }
    own_write(l);
    return 0;
}

SHIM_API int shim_rwlock_unlock(pthread_rwlock_t *lp) {
    if (rw_in_libc(lp))
        return next(pthread_rwlock_unlock)(lp);
    chaos_point("a rwlock's unlock");
    rwlock *l = &lp->__data;
    uint32_t held = READER, v = atomic_load_explicit(word(l), memory_order_relaxed);
    if (is_writer(v)) {
        held = WRITER;
        l->__wrphase_futex = 0;
        atomic_store_explicit(cur_writer(l), 0, memory_order_relaxed);
    }
    while (!(v & WAITED))
        if (atomic_compare_exchange_weak_explicit(word(l), &v, v - held, memory_order_release,
                                                  memory_order_relaxed))
            return 0;
    release_slow(l, held);
    g_yield_if_asked();
    return 0;
}
