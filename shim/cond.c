/* cond.c - condition variables on the parking lot
 *
 * A condition is an address to wait for. Of glibc's layout only __wrefs is used, as glibc uses it
 * (pthread_cond_init and _destroy stay glibc's): bit 0 process-shared, bit 1 CLOCK_MONOTONIC, from
 * bit 3 on the number of waiters, so that a signal nobody waits for is one load.
 *
 * No wake-up is lost: the waiter counts and links itself before it drops the mutex, and a waker
 * unlinks under the bucket lock; who signals after taking the mutex finds the waiter linked. The
 * waker also takes the waiter off the count, so that a woken thread does not touch the condition
 * any more and it may be destroyed at once.
 *
 * A waiter that would only wake to block on the mutex is moved to the mutex's queue instead (wait
 * morphing): all but the first of a broadcast, and any whose mutex is held by somebody else.
 */
#include "shim/shim.h"

#include <limits.h>

#define WREFS_SHARED 1u
#define WREFS_MONOTONIC 2u
#define WREFS_WAITER 8u

static _Atomic uint32_t *wrefs(pthread_cond_t *c) {
    return (_Atomic uint32_t *)((char *)c + glibc.off_cond_wrefs);
}

static bool cond_shared(pthread_cond_t *c) {
    return atomic_load_explicit(wrefs(c), memory_order_relaxed) & WREFS_SHARED;
}

/* Adds waiters to the count, or takes them off. Bucket lock, under which alone it changes, so that
 * no locked instruction is needed. */
static void count_locked(pthread_cond_t *c, uint32_t waiters) {
    uint32_t n = atomic_load_explicit(wrefs(c), memory_order_relaxed);
    atomic_store_explicit(wrefs(c), n + waiters, memory_order_relaxed);
}

/* glibc's of today for the symbols of GLIBC_2.2.5 too, which know a condition of another layout:
 * the other calls here serve both. */
SHIM_API int shim_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr) {
    return next(pthread_cond_init)(c, attr);
}

SHIM_API int shim_cond_destroy(pthread_cond_t *c) { return next(pthread_cond_destroy)(c); }

/* ---- waking ---- */

/* Moves w to the queue of its mutex, if that is locked. Bucket lock of the condition. */
static bool requeue(struct bucket *b, struct waiter *w, bool if_foreign) {
    struct __pthread_mutex_s *m = (struct __pthread_mutex_s *)w->aux;
    if (!m || (if_foreign && m->__owner == self_tid()))
        return false;
    struct bucket *mb = lot_try_lock_second(b, w->aux);
    if (!mb)
        return false;
    if (mutex_in_kernel((pthread_mutex_t *)m)) { /* since it waits (mutex_to_kernel) */
        lot_unlock_second(b, mb);
        return false;
    }
    _Atomic int *word = (_Atomic int *)&m->__lock;
    int v = atomic_load_explicit(word, memory_order_relaxed);
    /* Locked becomes "locked, somebody waits" under the mutex's bucket lock, which the unlocker
     * needs before it frees the word: so it will find w. */
    while (v == 1 && !atomic_compare_exchange_weak_explicit(word, &v, 2, memory_order_relaxed,
                                                            memory_order_relaxed))
        continue;
    if (v) {
        w->token |= TOKEN_REQUEUED;
        w->since = arch_cycles(); /* its wait for the mutex begins now */
        lot_requeue(b, w, mb, w->aux);
    }
    lot_unlock_second(b, mb);
    return v != 0;
}

/* Wakes up to n waiters. */
static void wake(pthread_cond_t *c, unsigned n, bool broadcast) {
    /* The waiter counts itself before it lets go of the mutex: who has had that since sees it. */
    if (!(atomic_load_explicit(wrefs(c), memory_order_relaxed) / WREFS_WAITER))
        return;
    uintptr_t addr = (uintptr_t)c;
    struct wake_list woken = {0};
    struct waiter *w;
    struct bucket *b = lot_lock(addr);
    for (unsigned i = 0; i < n && (w = lot_first(b, addr)); i++) {
        count_locked(c, -WREFS_WAITER);
        if (!requeue(b, w, !(broadcast && i)))
            wake_list_take(&woken, b, w);
    }
    lot_unlock(b);
    wake_list_ready(&woken);
    g_yield_if_asked();
}

SHIM_API int shim_cond_signal(pthread_cond_t *c) {
    if (passthrough() || unlikely(cond_shared(c)))
        return next(pthread_cond_signal)(c);
    chaos_point("a signal");
    wake(c, 1, false);
    return 0;
}

SHIM_API int shim_cond_broadcast(pthread_cond_t *c) {
    if (passthrough() || unlikely(cond_shared(c)))
        return next(pthread_cond_broadcast)(c);
    chaos_point("a broadcast");
    wake(c, UINT_MAX, true);
    return 0;
}

/* ---- waiting ---- */

/* Takes the caller, whose wait on c ended without a waker, off the count. It may have been requeued
 * to the mutex before: then the waker has done it. */
static void uncount(pthread_cond_t *c, struct waiter *w) {
    if (w->token & TOKEN_REQUEUED)
        return;
    struct bucket *b = lot_lock((uintptr_t)c);
    count_locked(c, -WREFS_WAITER);
    lot_unlock(b);
}

/* What a wait has to take back. */
struct rewait {
    pthread_mutex_t *mutex;
    unsigned depth;
    uint8_t token;
};

/* A handler that has interrupted the wait is cancelled itself, or jumps out: glibc's wait takes the
 * mutex for the cleanup handlers too. */
static void rewait_unwound(void *arg) {
    struct rewait *r = arg;
    struct thread *self = thread_self();
    if (self)
        self->cancel_held = false;
    mutex_relock_after_wait(r->mutex, r->depth, r->token);
}

static int cond_wait(pthread_cond_t *c, pthread_mutex_t *mp, uint64_t deadline) {
    uintptr_t addr = (uintptr_t)c;
    int err = mutex_check_owner(mp);
    if (err)
        return err;
    cancel_test();
    chaos_point("a wait");
    struct waiter local, *w = lot_self(&local);
    /* A mutex of the kernel's has its waiters there: nobody can be moved to it. */
    w->aux = mutex_in_kernel(mp) ? 0 : (uintptr_t)&mp->__data;
    struct thread *self = thread_self();
    struct rewait back = {.mutex = mp};
    struct _pthread_cleanup_buffer unwinding;
    cancel_hold(self);
    section_begin(); /* a handler that is due runs when the wait has been undone */
    struct bucket *b = lot_lock(addr);
    count_locked(c, WREFS_WAITER);
    lot_enqueue_interruptible(b, w, addr, WAIT_COND);
    lot_unlock(b);
    mutex_unlock_for_wait(mp, &back.depth);
    enum park_result r = cancel_wait(w, deadline);
    if (r != PARK_WOKEN)
        uncount(c, w);
    /* Who was moved to the mutex has had its signal, whatever ended its wait for the mutex: it must
     * neither say ETIMEDOUT nor die of a cancellation with it. */
    if (w->token & TOKEN_REQUEUED)
        r = PARK_WOKEN;
    back.token = w->token;
    _pthread_cleanup_push(&unwinding, rewait_unwound, &back);
    section_end();
    _pthread_cleanup_pop(&unwinding, 0);
    err = mutex_relock_after_wait(mp, back.depth, back.token);
    cancel_hold_end(self);
    if (r == PARK_INTERRUPTED)
        cancel_test();
    if (err)
        return err;
    return r == PARK_TIMEOUT ? ETIMEDOUT : 0;
}

SHIM_API int shim_cond_wait(pthread_cond_t *c, pthread_mutex_t *mp) {
    if (passthrough() || unlikely(cond_shared(c))) {
        mutex_lend(mp);
        int err = LIBC_CALL_BLOCK(next(pthread_cond_wait)(c, mp));
        mutex_take_back(mp);
        return err;
    }
    return cond_wait(c, mp, TIME_FOREVER);
}

SHIM_API int shim_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *mp, clockid_t clock,
                                 const struct timespec *abs) {
    if (passthrough() || unlikely(cond_shared(c))) {
        mutex_lend(mp);
        int err = LIBC_CALL_BLOCK(next(pthread_cond_clockwait)(c, mp, clock, abs));
        mutex_take_back(mp);
        return err;
    }
    uint64_t deadline;
    int err = deadline_abs(clock, abs, &deadline);
    return err ? err : cond_wait(c, mp, deadline);
}

SHIM_API int shim_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *mp,
                                 const struct timespec *abs) {
    uint32_t flags = atomic_load_explicit(wrefs(c), memory_order_relaxed);
    return shim_cond_clockwait(c, mp, flags & WREFS_MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME,
                               abs);
}
