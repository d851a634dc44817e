/* cpuclock.c - CPU clocks of threads, and what getrusage(RUSAGE_THREAD) says
 *
 * The kernel's are those of Ms. What a goroutine has used the scheduler knows (sched/cputime.c);
 * here are the ways to ask. A clock's id is made of the thread's as clock_getcpuclockid(3) does, so
 * ids that programs make themselves of gettid() mean the same. Ids of goroutines are up to 2^30, of
 * which the 29 bits that have place there mostly tell one thread.
 *
 * A timer on such a clock is the kernel's, on that of a kernel thread that the goroutine gets for
 * itself.
 */
#include "shim/cpuclock.h"
#include "shim/wire.h"

#include <sys/resource.h>
#include <sys/syscall.h>

/* include/linux/posix-timers_types.h */
#define CLOCK_KIND 3 /* PROF, VIRT, SCHED */
#define CLOCK_VIRT 1 /* user time only */
#define CLOCK_SCHED 2
#define CLOCK_OF_THREAD 4
#define MAX_CLOCKS 16
#define TID_BITS 29

clockid_t cpuclock_of(int32_t tid) {
    return (clockid_t)((~(uint32_t)tid << 3) | CLOCK_OF_THREAD | CLOCK_SCHED);
}

struct thread *cpuclock_thread(clockid_t clock) {
    struct thread *self = thread_self();
    if (likely(clock >= 0 && clock < MAX_CLOCKS && clock != CLOCK_THREAD_CPUTIME_ID))
        return NULL;
    if (!sched_running() || (self && self->vforked))
        return NULL;
    if (clock == CLOCK_THREAD_CPUTIME_ID)
        return self;
    uint32_t bits = ~((uint32_t)clock >> 3) & ((1U << TID_BITS) - 1);
    if (!(clock & CLOCK_OF_THREAD) || (clock & CLOCK_KIND) == CLOCK_KIND)
        return NULL;
    if (!bits)
        return self;
    struct thread *t = thread_of_tid((int32_t)bits);
    return t ? t : thread_of_tid((int32_t)(bits | 1U << TID_BITS));
}

/* ---- how much ---- */

static uint64_t timeval_ns(struct timeval t) {
    return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_usec * NSEC_PER_USEC;
}

static struct timeval ns_timeval(uint64_t ns) {
    return (struct timeval){(time_t)(ns / NSEC_PER_SEC),
                            (suseconds_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}

/* The part of `used` that t spent in the kernel: as much as of the process's time. Neither it nor
 * the rest is ever less than it was, as the kernel's cputime_adjust sees to. */
static uint64_t kernel_part(struct thread *t, uint64_t used) {
    struct rusage all;
    next(getrusage)(RUSAGE_SELF, &all);
    double user = (double)timeval_ns(all.ru_utime), kernel = (double)timeval_ns(all.ru_stime);
    uint64_t part = user + kernel > 0 ? (uint64_t)((double)used * kernel / (user + kernel)) : 0;
    if (part < t->cpu_told_kernel)
        part = t->cpu_told_kernel;
    if (used > t->cpu_told && part > t->cpu_told_kernel + (used - t->cpu_told))
        part = t->cpu_told_kernel + (used - t->cpu_told);
    t->cpu_told = used;
    t->cpu_told_kernel = part;
    return part;
}

static uint64_t cpuclock_ns(struct thread *t, clockid_t clock) {
    uint64_t used = g_cpu_time(t->g);
    bool user_only = clock != CLOCK_THREAD_CPUTIME_ID && (clock & CLOCK_KIND) == CLOCK_VIRT;
    return user_only ? used - kernel_part(t, used) : used;
}

SHIM_API int shim_clock_gettime(clockid_t clock, struct timespec *ts) {
    struct thread *t = cpuclock_thread(clock);
    if (likely(!t))
        return next(clock_gettime)(clock, ts);
    uint64_t ns = cpuclock_ns(t, clock);
    *ts = (struct timespec){(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
    return 0;
}

SHIM_API int shim_clock_getres(clockid_t clock, struct timespec *ts) {
    return next(clock_getres)(cpuclock_thread(clock) ? CLOCK_THREAD_CPUTIME_ID : clock, ts);
}

SHIM_API int shim_getrusage(int who, struct rusage *r) {
    struct thread *t = who == RUSAGE_THREAD ? cpuclock_thread(CLOCK_THREAD_CPUTIME_ID) : NULL;
    int result = next(getrusage)((__rusage_who_t)who, r);
    /* One that was born with its kernel thread has all of it from the kernel. */
    if (result || !t || t->wire & WIRE_BORN)
        return result;
    uint64_t used = g_cpu_time(t->g), kernel = kernel_part(t, used);
    r->ru_utime = ns_timeval(used - kernel);
    r->ru_stime = ns_timeval(kernel);
    return 0;
}

/* ---- waiting for one ---- */

/* A thread uses at most a second in a second: so one waits for what is left, and looks again. For
 * one that does not run that would be ever the same little: then more rarely. */
#define LOOK_MIN_NS NSEC_PER_MSEC
#define LOOK_MAX_NS (10 * NSEC_PER_MSEC)

static struct timespec ns_timespec(uint64_t ns) {
    return (struct timespec){(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
}

int cpuclock_sleep(clockid_t clock, int flags, const struct timespec *req, struct timespec *rem,
                   bool cancels) {
    struct thread *t = cpuclock_thread(clock);
    uint64_t mark = signal_mark(), pause = LOOK_MIN_NS;
    if (t == thread_self() || req->tv_sec < 0 || req->tv_nsec < 0 ||
        req->tv_nsec >= (long)NSEC_PER_SEC)
        return EINVAL;
    uint64_t now = cpuclock_ns(t, clock),
             until = (uint64_t)req->tv_sec * NSEC_PER_SEC + (uint64_t)req->tv_nsec;
    if (!(flags & TIMER_ABSTIME))
        until += now;
    while (now < until) {
        uint64_t left = until - now;
        struct timespec part = ns_timespec(left > pause ? left : pause);
        if (sleep_for(CLOCK_MONOTONIC, 0, &part, NULL, cancels) || signal_ends(mark, false)) {
            if (rem && !(flags & TIMER_ABSTIME))
                *rem = ns_timespec(left);
            return EINTR;
        }
        if (cpuclock_thread(clock) != t)
            return EINVAL; /* it has ended: never */
        uint64_t before = now;
        now = cpuclock_ns(t, clock);
        pause = now > before || pause >= LOOK_MAX_NS ? pause : 2 * pause;
    }
    return 0;
}

/* ---- timers ---- */

bool cpuclock_for_timer(clockid_t *clock) {
    struct thread *t = cpuclock_thread(*clock);
    if (!t)
        return true;
    int32_t tid = wire_other(t, WIRE_CLOCK);
    if (!tid) {
        errno = EAGAIN;
        return false;
    }
    if (*clock != CLOCK_THREAD_CPUTIME_ID)
        *clock = (clockid_t)(((uint32_t)cpuclock_of(tid) & ~(uint32_t)CLOCK_KIND) |
                             ((uint32_t)*clock & CLOCK_KIND));
    return true;
}
