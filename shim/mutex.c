/* mutex.c - pthread mutexes in glibc's layout, on the parking lot
 *
 * State table of __lock (the values glibc uses, so that tools and a switch to libc understand it):
 *   0  free
 *   1  locked, nobody waits
 *   2  locked, somebody may wait in the parking lot
 *
 * unlock from 2 goes through the parking lot: it wakes the first waiter and either leaves the
 * mutex free, so that a running thread may take it first (barging; a hand-over to a thread that
 * is not running would make a convoy), or, when that waiter has waited for 1 ms, hands it over
 * still locked, and runs it next in the unlocker's slice. As Go's sync.Mutex.
 *
 * A waiter that was woken locks with 2, since others may still be parked: so while somebody is
 * parked, the word is 2, or a woken thread is on its way to make it 2.
 *
 * __owner, __count and __nusers are kept as glibc keeps them.
 *
 * A process-shared condition is libc's, and its wait unlocks the mutex inside libc, which wakes
 * waiters in the kernel only. So a private mutex that is used with one becomes a shared one, for
 * good (mutex_to_kernel): its owner sets the bit under the bucket lock and sends all who are parked
 * on to the kernel; who comes later looks at the bit under the same lock before it parks.
 */
#include "shim/mutex.h"

#include <limits.h>

#define MOVED (-1)                /* lock_slow: the mutex is the kernel's now */
#define STARVING_NS NSEC_PER_MSEC /* as Go's sync.Mutex: starvationThresholdNs */
#define SPINS 4                   /* tries before parking, as Go: active_spin.. */
#define SPIN_PAUSES 30            /* ..of active_spin_cnt pauses each */

/* What KIND_ANY leaves of a mutex that lock and unlock treat at once. A value that no mutex has
 * sends all through the long way, where chaos has its points; so the short way need not ask. */
static int fast_kind = PTHREAD_MUTEX_TIMED_NP;
void mutex_start(void) { fast_kind = chaos_on ? -1 : PTHREAD_MUTEX_TIMED_NP; }

static inline _Atomic int *lock_word(mutex *m) { return (_Atomic int *)&m->__lock; }

static inline bool take_free(mutex *m, int as) {
    int free = 0;
    return atomic_compare_exchange_strong_explicit(lock_word(m), &free, as, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void own(mutex *m) {
    m->__owner = self_tid();
    m->__nusers++;
}

bool mutex_in_kernel(const pthread_mutex_t *mp) {
    /* A private PRIO_INHERIT mutex is an ordinary one here: goroutines have no priorities of
     * their own that it could lend. */
    return kind_of(&mp->__data) & (KIND_ROBUST | KIND_PP | KIND_SHARED);
}

/* ---- contention ---- */

/* The holder probably runs on another P and is done soon. */
static bool spin_for(mutex *m) {
    if (sched_procs() < 2)
        return false;
    for (int i = 0; i < SPINS; i++) {
        for (int k = 0; k < SPIN_PAUSES; k++)
            arch_pause();
        if (atomic_load_explicit(lock_word(m), memory_order_relaxed) == 0 && take_free(m, 1))
            return true;
    }
    return false;
}

/* Waits until the mutex is ours. contended: the caller was woken from its queue. 0, ETIMEDOUT or
 * MOVED. */
static int lock_slow(mutex *m, uint64_t deadline, bool contended) {
    if (!contended && spin_for(m))
        return 0;
    uint64_t since = 0;
    while (atomic_exchange_explicit(lock_word(m), 2, memory_order_acquire) != 0) {
        uintptr_t addr = (uintptr_t)m;
        struct waiter local, *w = lot_self(&local);
        if (since)
            w->since = since; /* one wait, however often it loses */
        since = w->since;
        struct bucket *b = lot_lock(addr);
        bool moved = kind_of(m) & KIND_SHARED;
        if (moved || atomic_load_explicit(lock_word(m), memory_order_relaxed) != 2) {
            lot_unlock(b);
            if (moved)
                return MOVED;
            continue;
        }
        lot_enqueue(b, w, addr, WAIT_MUTEX);
        lot_unlock(b);
        enum park_result r = lot_wait(w, deadline);
        if (r == PARK_WOKEN && w->token & TOKEN_OWNER)
            return 0;
        if (r == PARK_TIMEOUT)
            return ETIMEDOUT;
    }
    return 0;
}

/* The mutex was 2. After the word is free or the waiter owns it, m may be gone. */
static __attribute__((noinline)) int unlock_slow(mutex *m) {
    uintptr_t addr = (uintptr_t)m;
    if (passthrough()) {
        atomic_store_explicit(lock_word(m), 0, memory_order_release);
        futex_wake((_Atomic uint32_t *)lock_word(m), 1);
        return 0;
    }
    struct bucket *b = lot_lock(addr);
    struct waiter *w = lot_first(b, addr);
    bool handoff = w && lot_waited(w, STARVING_NS);
    if (w) {
        lot_dequeue(b, w);
        if (handoff)
            w->token |= TOKEN_OWNER;
    }
    if (!handoff)
        atomic_store_explicit(lock_word(m), 0, memory_order_release);
    lot_unlock(b);
    if (w)
        lot_ready(w);
    if (handoff)
        g_yield(); /* the waiter is next on this P: it gets the rest of our slice */
    else if (w)
        g_yield_if_asked();
    return 0;
}

/* Always 0, so that the slow case can be a jump. */
static inline int release(mutex *m) {
    m->__owner = 0;
    m->__nusers--;
    int locked = 1;
    if (unlikely(!atomic_compare_exchange_strong_explicit(
            lock_word(m), &locked, 0, memory_order_release, memory_order_relaxed)))
        return unlock_slow(m);
    return 0;
}

/* ---- lock ---- */

/* libc's. The holder may be waiting for our P: who has to wait gives it away at once. */
static int lock_in_kernel(pthread_mutex_t *mp, clockid_t clock, const struct timespec *abs) {
    if (robust_is_ours(mp))
        return robust_lock(mp, clock, abs);
    if (!kernel_owner_begin(mp))
        return EAGAIN;
    int err = next(pthread_mutex_trylock)(mp);
    if (err == EBUSY)
        err = LIBC_CALL_BLOCK(clock < 0 ? next(pthread_mutex_lock)(mp)
                                        : next(pthread_mutex_clocklock)(mp, clock, abs));
    kernel_owner_end();
    return err;
}

/* Everything but a free normal mutex. How the caller wants to wait: for ever (clock < 0), or
 * until abs on clock. */
static __attribute__((noinline)) int lock_full(pthread_mutex_t *mp, clockid_t clock,
                                               const struct timespec *abs) {
    mutex *m = &mp->__data;
    chaos_point("a lock");
    if (passthrough() || mutex_in_kernel(mp))
        return lock_in_kernel(mp, clock, abs);
    int type = kind_of(m) & KIND_TYPE;
    if (type == PTHREAD_MUTEX_RECURSIVE_NP || type == PTHREAD_MUTEX_ERRORCHECK_NP) {
        if (m->__owner == self_tid()) {
            if (type == PTHREAD_MUTEX_ERRORCHECK_NP)
                return EDEADLK;
            if (m->__count + 1 == 0)
                return EAGAIN;
            m->__count++;
            return 0;
        }
    }
    if (chaos(8, "fails to take a free mutex") || !take_free(m, 1)) {
        uint64_t deadline = TIME_FOREVER;
        int err = clock < 0 ? 0 : deadline_abs(clock, abs, &deadline);
        if (!err)
            err = lock_slow(m, deadline, false);
        if (err == MOVED)
            return lock_full(mp, clock, abs);
        if (err)
            return err;
    }
    if (type == PTHREAD_MUTEX_RECURSIVE_NP)
        m->__count = 1;
    own(m);
    return 0;
}

SHIM_API int shim_mutex_lock(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    if (likely((kind_of(m) & KIND_ANY) == fast_kind) && likely(take_free(m, 1))) {
        own(m);
        return 0;
    }
    return lock_full(mp, -1, NULL);
}

static int trylock_in_kernel(pthread_mutex_t *mp) {
    if (robust_is_ours(mp))
        return robust_trylock(mp);
    if (!kernel_owner_begin(mp))
        return EAGAIN;
    int err = next(pthread_mutex_trylock)(mp);
    kernel_owner_end();
    return err;
}

SHIM_API int shim_mutex_trylock(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    if (mutex_in_kernel(mp) || passthrough())
        return trylock_in_kernel(mp);
    int type = kind_of(m) & KIND_TYPE;
    if (type == PTHREAD_MUTEX_RECURSIVE_NP && m->__owner == self_tid()) {
        if (m->__count + 1 == 0)
            return EAGAIN;
        m->__count++;
        return 0;
    }
    if (!take_free(m, 1)) {
        g_yield_if_asked();
        return EBUSY;
    }
    if (type == PTHREAD_MUTEX_RECURSIVE_NP)
        m->__count = 1;
    own(m);
    return 0;
}

SHIM_API int shim_mutex_clocklock(pthread_mutex_t *mp, clockid_t clock,
                                  const struct timespec *abs) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    return lock_full(mp, clock, abs);
}

SHIM_API int shim_mutex_timedlock(pthread_mutex_t *mp, const struct timespec *abs) {
    return lock_full(mp, CLOCK_REALTIME, abs);
}

/* ---- unlock ---- */

static int unlock_in_kernel(pthread_mutex_t *mp) {
    if (robust_is_ours(mp))
        return robust_unlock(mp);
    if (!kernel_owner_begin(mp))
        return EAGAIN;
    int err = next(pthread_mutex_unlock)(mp);
    kernel_owner_end();
    return err;
}

/* Everything but a normal mutex. */
static __attribute__((noinline)) int unlock_full(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    chaos_point("an unlock");
    if (mutex_in_kernel(mp) || passthrough())
        return unlock_in_kernel(mp);
    int type = kind_of(m) & KIND_TYPE;
    if (type == PTHREAD_MUTEX_RECURSIVE_NP || type == PTHREAD_MUTEX_ERRORCHECK_NP) {
        if (m->__owner != self_tid() || !atomic_load_explicit(lock_word(m), memory_order_relaxed))
            return EPERM;
        if (type == PTHREAD_MUTEX_RECURSIVE_NP && --m->__count)
            return 0;
    }
    release(m);
    return 0;
}

SHIM_API int shim_mutex_unlock(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    if (likely((kind_of(m) & KIND_ANY) == fast_kind))
        return release(m);
    return unlock_full(mp);
}

static void mutex_to_kernel(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    if (mutex_in_kernel(mp) || !m->__lock || m->__owner != self_tid())
        return;
    uintptr_t addr = (uintptr_t)m;
    struct wake_list woken = {0};
    struct bucket *b = lot_lock(addr);
    /* To libc it must not be one of priority inheritance either, which it was not to us. */
    __atomic_store_n(&m->__kind, (m->__kind & ~KIND_PI) | KIND_SHARED, __ATOMIC_RELAXED);
    wake_list_take_all(&woken, b, addr);
    lot_unlock(b);
    wake_list_ready(&woken);
    /* libc's unlock wakes one in the kernel. */
    atomic_store_explicit(lock_word(m), 2, memory_order_relaxed);
}

void mutex_lend(pthread_mutex_t *mp) {
    if (passthrough() || !getg())
        return;
    mutex_to_kernel(mp);
    robust_lend(mp);
    kernel_owner_begin(mp);
}

void mutex_take_back(pthread_mutex_t *mp) {
    kernel_owner_end();
    robust_take_back(mp);
}

/* ---- for conditions ----
 * A wait releases a recursive mutex whole and takes it back as deep as it was. __nusers keeps
 * counting the waiter, as in glibc, so that destroying the mutex meanwhile is EBUSY. */

#define IN_KERNEL UINT_MAX /* as depth: libc has unlocked it, and counts */

int mutex_check_owner(const pthread_mutex_t *mp) {
    const mutex *m = &mp->__data;
    if (robust_is_ours(mp))
        return robust_is_mine(mp) ? 0 : EPERM;
    bool checks = (mutex_in_kernel(mp) && kind_of(m) & (KIND_ROBUST | KIND_PI | KIND_PP)) ||
                  (kind_of(m) & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE_NP ||
                  (kind_of(m) & KIND_TYPE) == PTHREAD_MUTEX_ERRORCHECK_NP;
    return checks ? kernel_owner_check(mp) : 0;
}

int mutex_unlock_for_wait(pthread_mutex_t *mp, unsigned *depth) {
    mutex *m = &mp->__data;
    *depth = IN_KERNEL;
    if (mutex_in_kernel(mp))
        return unlock_in_kernel(mp);
    *depth = 0;
    if ((kind_of(m) & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE_NP) {
        *depth = m->__count;
        m->__count = 0;
    }
    m->__nusers++; /* release takes it off again */
    release(m);
    return 0;
}

/* Takes it as a goroutine. False: it has become the kernel's meanwhile. */
static bool relock_here(mutex *m, uint8_t token) {
    bool requeued = token & TOKEN_REQUEUED;
    if (token & TOKEN_OWNER)
        return true;
    if (mutex_in_kernel((pthread_mutex_t *)m))
        return false;
    return (!requeued && take_free(m, 1)) || lock_slow(m, TIME_FOREVER, requeued) != MOVED;
}

int mutex_relock_after_wait(pthread_mutex_t *mp, unsigned depth, uint8_t token) {
    mutex *m = &mp->__data;
    if (relock_here(m, token)) {
        m->__owner = self_tid();
        m->__count = depth;
        return 0;
    }
    int err = lock_in_kernel(mp, -1, NULL);
    if (depth != IN_KERNEL) { /* mutex_to_kernel came in between: no robust one, so no error */
        m->__nusers--;
        m->__count = depth;
    }
    return err;
}
