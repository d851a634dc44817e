/* time.c - deadlines from POSIX times, and the sleeps */
#include "shim/cpuclock.h"

#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

static bool nsec_valid(const struct timespec *t) {
    return t->tv_nsec >= 0 && t->tv_nsec < (long)NSEC_PER_SEC;
}

/* Nanoseconds, saturating below "for ever". Negative times are long past: 0. */
static uint64_t to_ns(const struct timespec *t) {
    const time_t max = (time_t)(DEADLINE_MAX / NSEC_PER_SEC - 1);
    if (t->tv_sec < 0)
        return 0;
    if (t->tv_sec > max)
        return DEADLINE_MAX;
    return (uint64_t)t->tv_sec * NSEC_PER_SEC + (uint64_t)t->tv_nsec;
}

static uint64_t add_saturating(uint64_t a, uint64_t b) {
    return a > DEADLINE_MAX - b ? DEADLINE_MAX : a + b;
}

int deadline_abs(clockid_t clock, const struct timespec *abs, uint64_t *deadline) {
    *deadline = TIME_FOREVER;
    if (!abs)
        return 0;
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
        return EINVAL;
    if (!nsec_valid(abs))
        return EINVAL;
    *deadline = to_ns(abs) | (clock == CLOCK_REALTIME ? DEADLINE_REAL : 0);
    return 0;
}

int deadline_rel(const struct timespec *rel, uint64_t *deadline) {
    if (!nsec_valid(rel) || rel->tv_sec < 0)
        return EINVAL;
    *deadline = add_saturating(nanotime(), to_ns(rel));
    return 0;
}

/* ---- sleeping ---- */

/* Sleeps on a goroutine. 0 or EINTR; *left: what was left. */
static int sleep_until(uint64_t deadline, struct timespec *left, bool cancels) {
    uint64_t mark = signal_mark();
    if (cancels)
        cancel_test();
    for (;;) {
        struct waiter local, *w = lot_self(&local);
        uintptr_t addr = (uintptr_t)w;
        struct bucket *b = lot_lock(addr);
        lot_enqueue_interruptible(b, w, addr, WAIT_SLEEP);
        lot_unlock(b);
        enum park_result r = cancels ? cancel_wait(w, deadline) : lot_wait(w, deadline);
        *left = time_until(deadline);
        if (r == PARK_TIMEOUT || (!left->tv_sec && !left->tv_nsec))
            return 0;
        if (cancels)
            cancel_test();
        if (signal_ends(mark, false))
            return EINTR;
    }
}

int sleep_for(clockid_t clock, int flags, const struct timespec *req, struct timespec *rem,
              bool cancels) {
    struct timespec left;
    uint64_t deadline;
    int err;
    if (flags & TIMER_ABSTIME)
        err = req->tv_sec < 0 ? EINVAL : deadline_abs(clock, req, &deadline);
    else
        err = deadline_rel(req, &deadline);
    if (err)
        return err;
    err = sleep_until(deadline, &left, cancels);
    if (err && rem && !(flags & TIMER_ABSTIME))
        *rem = left;
    return err;
}

/* CPU clocks, CLOCK_BOOTTIME, CLOCK_TAI are the kernel's business. It tells what is left, with
 * which a sleep goes on that nothing of the caller's has ended. */
static int sleep_in_kernel(clockid_t clock, int flags, const struct timespec *req,
                           struct timespec *rem) {
    uint64_t mark = signal_mark();
    struct timespec left;
    int err;
    while ((err = LIBC_CALL_BLOCK(next(clock_nanosleep)(clock, flags, req, &left))) == EINTR &&
           !signal_ends(mark, false))
        if (!(flags & TIMER_ABSTIME))
            req = &left;
    if (err == EINTR && rem && !(flags & TIMER_ABSTIME))
        *rem = left;
    return err;
}

SHIM_API int shim_clock_nanosleep(clockid_t clock, int flags, const struct timespec *req,
                                  struct timespec *rem) {
    if (!getg())
        return next(clock_nanosleep)(clock, flags, req, rem);
    if (sleep_clock_ours(clock))
        return sleep_for(clock, flags, req, rem, true);
    return cpuclock_thread(clock) ? cpuclock_sleep(clock, flags, req, rem, true)
                                  : sleep_in_kernel(clock, flags, req, rem);
}

SHIM_API int shim_nanosleep(const struct timespec *req, struct timespec *rem) {
    if (!getg())
        return next(nanosleep)(req, rem);
    int err = shim_clock_nanosleep(CLOCK_MONOTONIC, 0, req, rem);
    if (err) {
        errno = err;
        return -1;
    }
    return 0;
}

SHIM_API unsigned shim_sleep(unsigned seconds) {
    if (!getg())
        return next(sleep)(seconds);
    struct timespec t = {.tv_sec = (time_t)seconds}, left = {0};
    if (shim_nanosleep(&t, &left) == 0)
        return 0;
    return (unsigned)left.tv_sec + (left.tv_nsec >= (long)(NSEC_PER_SEC / 2));
}

SHIM_API int shim_usleep(useconds_t us) {
    struct timespec t = {.tv_sec = (time_t)(us / 1000000),
                         .tv_nsec = (long)(us % 1000000 * NSEC_PER_USEC)};
    return shim_nanosleep(&t, NULL);
}

SHIM_API int shim_thrd_sleep(const struct timespec *req, struct timespec *rem) {
    int err = shim_clock_nanosleep(CLOCK_REALTIME, 0, req, rem);
    return err == EINTR ? -1 : err ? -2 : 0; /* C11 7.26.5.7: -1 for a signal, else negative */
}
