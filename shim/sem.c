/* sem.c - POSIX semaphores in glibc's layout, on the parking lot
 *
 * glibc's struct new_sem: a 64-bit word with the value in the low half and the number of waiters
 * in the high half, then `private` (0, or 128 for a process-shared one). sem_init, sem_getvalue
 * and sem_open stay glibc's. Shared ones are left to libc and the kernel.
 *
 *   waiter: (1) under the bucket lock adds itself to the high half, (2) looks at the value again;
 *           zero: links itself.
 *   poster: (1) adds one to the value, (2) if the old word had waiters: under the bucket lock
 *           takes the first one out.
 * Both (1) are read-modify-writes of one word, so either the waiter sees the value or the poster
 * sees the waiter. The woken one competes for the value like anybody (barging).
 */
#include "shim/shim.h"

#include <limits.h>
#include <semaphore.h>

struct new_sem {
    _Atomic uint64_t data;
    int shared;
    int pad;
};
_Static_assert(sizeof(struct new_sem) <= sizeof(sem_t), "sem_t");

#define VALUE(data) ((uint32_t)(data))
#define WAITERS(data) ((data) >> 32)
#define ONE_WAITER (1ULL << 32)

static struct new_sem *sem_of(sem_t *s) { return (struct new_sem *)s; }

static bool sem_in_libc(sem_t *s) { return passthrough() || unlikely(sem_of(s)->shared); }

static bool take(struct new_sem *s) {
    uint64_t d = atomic_load_explicit(&s->data, memory_order_relaxed);
    while (VALUE(d))
        if (atomic_compare_exchange_weak_explicit(&s->data, &d, d - 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static int fail(int err) {
    errno = err;
    return -1;
}

/* Links the caller and sleeps once. */
static enum park_result sem_sleep(struct new_sem *s, uint64_t deadline) {
    uintptr_t addr = (uintptr_t)s;
    struct waiter local, *w = lot_self(&local);
    section_begin(); /* a handler may jump away, or be a cancellation: not while we are counted */
    struct bucket *b = lot_lock(addr);
    uint64_t d = atomic_fetch_add_explicit(&s->data, ONE_WAITER, memory_order_seq_cst);
    enum park_result r = PARK_WOKEN;
    if (VALUE(d)) {
        lot_unlock(b);
    } else {
        lot_enqueue_interruptible(b, w, addr, WAIT_SEM);
        lot_unlock(b);
        r = cancel_wait(w, deadline);
    }
    atomic_fetch_sub_explicit(&s->data, ONE_WAITER, memory_order_relaxed);
    section_end();
    return r;
}

static int sem_wait_until(struct new_sem *s, clockid_t clock, const struct timespec *abs) {
    cancel_test();
    chaos_point("sem_wait");
    if (take(s))
        return 0;
    uint64_t mark = signal_mark();
    uint64_t deadline;
    int err = deadline_abs(clock, abs, &deadline);
    if (err)
        return fail(err);
    do {
        enum park_result r = sem_sleep(s, deadline);
        if (r == PARK_TIMEOUT)
            return take(s) ? 0 : fail(ETIMEDOUT);
        if (r == PARK_INTERRUPTED) {
            cancel_test();
            if (signal_ends(mark, deadline == TIME_FOREVER)) /* as the kernel's wait with one */
                return fail(EINTR);
        }
    } while (!take(s));
    return 0;
}

/* A shared one, named ones among them: the P is given away only if there is something to wait for;
 * the word is the same. */
static bool take_now(sem_t *s) {
    if (!getg())
        return false;
    cancel_test();
    return take(sem_of(s));
}

SHIM_API int shim_sem_wait(sem_t *s) {
    if (sem_in_libc(s))
        return take_now(s) ? 0 : LIBC_CALL_BLOCK(next(sem_wait)(s));
    return sem_wait_until(sem_of(s), CLOCK_MONOTONIC, NULL);
}

SHIM_API int shim_sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *abs) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return fail(EINVAL);
    if (sem_in_libc(s))
        return take_now(s) ? 0 : LIBC_CALL_BLOCK(next(sem_clockwait)(s, clock, abs));
    return sem_wait_until(sem_of(s), clock, abs);
}

SHIM_API int shim_sem_timedwait(sem_t *s, const struct timespec *abs) {
    return shim_sem_clockwait(s, CLOCK_REALTIME, abs);
}

SHIM_API int shim_sem_trywait(sem_t *s) {
    if (sem_in_libc(s))
        return next(sem_trywait)(s);
    if (take(sem_of(s)))
        return 0;
    g_yield_if_asked();
    return fail(EAGAIN);
}

/* Somebody may wait. 0 or EOVERFLOW. */
static int post_slow(struct new_sem *s) {
    uint64_t d = atomic_load_explicit(&s->data, memory_order_relaxed);
    do {
        if (VALUE(d) == SEM_VALUE_MAX)
            return EOVERFLOW;
    } while (!atomic_compare_exchange_weak_explicit(&s->data, &d, d + 1, memory_order_seq_cst,
                                                    memory_order_relaxed));
    if (!WAITERS(d))
        return 0;
    chaos_point("sem_post, the value is there");
    /* From here on s is an address only: the waiter may have destroyed it, and somebody may wait
     * for something else there by now. */
    uintptr_t addr = (uintptr_t)s;
    struct bucket *b = lot_lock(addr);
    struct waiter *w = lot_first(b, addr);
    while (w && w->reason != WAIT_SEM)
        w = lot_next(w);
    if (w)
        lot_dequeue(b, w);
    lot_unlock(b);
    if (w) {
        lot_ready(w);
        g_yield_if_asked();
    }
    return 0;
}

SHIM_API int shim_sem_post(sem_t *sp) {
    if (sem_in_libc(sp))
        return next(sem_post)(sp);
    struct new_sem *s = sem_of(sp);
    chaos_point("sem_post");
    uint64_t d = atomic_load_explicit(&s->data, memory_order_relaxed);
    while (!WAITERS(d) && VALUE(d) != SEM_VALUE_MAX)
        if (atomic_compare_exchange_weak_explicit(&s->data, &d, d + 1, memory_order_seq_cst,
                                                  memory_order_relaxed))
            return 0;
    /* A handler that comes between the two steps and jumps out would lose the wake-up. */
    section_begin();
    int err = post_slow(s);
    section_end();
    return err ? fail(err) : 0;
}
