/* syscall.c - syscall() by number: what a wrapper above does, its number does too
 *
 * interpose/syscalls.tab says how each number is handled; those that are `ours` have their code
 * here and in syscall_fd.c. syscall() is no cancellation point, whatever the number.
 */
#include "shim/cpuclock.h"
#include "shim/fd.h"
#include "shim/futex.h"
#include "shim/inherit.h"
#include "shim/mapping.h"
#include "shim/pair.h"
#include "shim/signal.h"
#include "syscalls.h" /* generated from interpose/syscalls.tab */
#include "shim/wire.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The result of a libc function, as the kernel gives it. */
static long as_kernel(long r) { return r < 0 ? -errno : r; }

/* A timer that signals a goroutine (sigtimer.c); all others are the kernel's. */
static long timer_call(long clock, struct sigevent *ev, int *id) {
    timer_t t;
    clockid_t real = (clockid_t)clock;
    if (!cpuclock_for_timer(&real))
        return -errno;
    clock = real;
    if (!ev || ev->sigev_notify != SIGEV_THREAD_ID)
        return as_kernel(next(syscall)(SYS_timer_create, clock, ev, id));
    long r = as_kernel(timer_create((clockid_t)clock, ev, &t));
    if (!r)
        *id = (int)(intptr_t)t;
    return r;
}

static long sleep_call(long nr, long a, long b, long c, long d) {
    clockid_t clock = nr == SYS_nanosleep ? CLOCK_MONOTONIC : (clockid_t)a;
    if (clock != CLOCK_THREAD_CPUTIME_ID && cpuclock_thread(clock))
        return -cpuclock_sleep(clock, (int)b, (const struct timespec *)c, (struct timespec *)d,
                               false);
    if (!sleep_clock_ours(clock))
        return as_kernel(LIBC_CALL_BLOCK(next(syscall)(nr, a, b, c, d)));
    if (nr == SYS_nanosleep)
        return -sleep_for(clock, 0, (const struct timespec *)a, (struct timespec *)b, false);
    return -sleep_for(clock, (int)b, (const struct timespec *)c, (struct timespec *)d, false);
}

static long wait_call(long nr, long a, long b, long c, long d, long e) {
    bool asks = (nr == SYS_wait4 ? c : d) & WNOHANG;
    return as_kernel(asks ? LIBC_CALL(next(syscall)(nr, a, b, c, d, e))
                          : LIBC_CALL_BLOCK(next(syscall)(nr, a, b, c, d, e)));
}

/* About what belongs to the G and not to the M, or waits by parking. False: not one of these. */
static bool thread_call(long nr, long a, long b, long c, long d, long e, long *r) {
    sigset_t set;
    switch (nr) {
    case SYS_gettid:
        *r = thread_self()->tid;
        return true;
    case SYS_set_tid_address:
        *r = tid_address_set(thread_self(), (int32_t *)a);
        return true;
    case SYS_sched_yield:
        *r = 0;
        return g_yield();
    case SYS_exit:
        thread_end(); /* the kernel thread is an M, which serves others */
    case SYS_rt_sigprocmask:
        *r = sigmask_syscall(a, b, c, d);
        return true;
    case SYS_rt_sigaction:
        *r = sigaction_syscall(a, b, c, d);
        return true;
    case SYS_sigaltstack:
        *r = sigaltstack_syscall(a, b);
        return true;
    case SYS_kill:
        *r = as_kernel(kill((pid_t)a, (int)b));
        return true;
    case SYS_tkill:
        *r = sig_tkill(0, a, b);
        return true;
    case SYS_tgkill:
        *r = sig_tkill(a, b, c);
        return true;
    case SYS_rt_sigqueueinfo:
        *r = sig_queueinfo(0, a, b, (const siginfo_t *)c);
        return true;
    case SYS_rt_tgsigqueueinfo:
        *r = sig_queueinfo(a, b, c, (const siginfo_t *)d);
        return true;
    case SYS_pidfd_send_signal:
        *r = sig_pidfd_send(a, b, c, d);
        return true;
    case SYS_rt_sigtimedwait: /* these read the first 8 bytes of a set only */
        *r = sigtimedwait_syscall(a, b, c);
        return true;
    case SYS_rt_sigsuspend:
        *r = sigsuspend_syscall(a);
        return true;
    case SYS_pause:
        *r = pause_syscall();
        return true;
    case SYS_rt_sigpending:
        sigpending(&set);
        *(uint64_t *)a = sig_set_of(&set);
        *r = 0;
        return true;
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        *r = sleep_call(nr, a, b, c, d);
        return true;
    case SYS_clock_gettime:
    case SYS_clock_getres:
        if (!cpuclock_thread((clockid_t)a))
            return false;
        *r = as_kernel(nr == SYS_clock_gettime ? clock_gettime((clockid_t)a, (struct timespec *)b)
                                               : clock_getres((clockid_t)a, (struct timespec *)b));
        return true;
    case SYS_getrusage:
        *r = as_kernel(getrusage((__rusage_who_t)a, (struct rusage *)b));
        return true;
    case SYS_timer_create:
        *r = timer_call(a, (struct sigevent *)b, (int *)c);
        return true;
    case SYS_timer_delete:
        *r = as_kernel(timer_delete((timer_t)(intptr_t)(int)a));
        return true;
    case SYS_semtimedop: /* its time goes on when a signal of another thread's has cut it */
        *r = as_kernel(semtimedop((int)a, (struct sembuf *)b, (size_t)c, (struct timespec *)d));
        return true;
    case SYS_wait4:
    case SYS_waitid:
        *r = wait_call(nr, a, b, c, d, e);
        return true;
    case SYS_sched_setaffinity:
        *r = inherit_setaffinity_syscall(a, b, c);
        return true;
    case SYS_sched_getaffinity:
        *r = inherit_getaffinity_syscall(a, b, c);
        return true;
    default:
        return false;
    }
}

/* What is shared between processes has to be known at any time (mapping.c). */
static bool mapping_call(long nr, long a, long b, long c, long d, long e, long f, long *r) {
    bool shared;
    switch (nr) {
    case SYS_mmap:
        /* Not by the next mmap: that may be an allocator's, which calls the kernel by number. */
        *r = next(syscall)(SYS_mmap, a, b, c, d, e, f);
        mapping_note_mmap((void *)*r, (size_t)b, (int)d);
        return true;
    case SYS_mremap:
        shared = mapping_is_shared((uintptr_t)a);
        *r = next(syscall)(SYS_mremap, a, b, c, d, e);
        mapping_note_mremap(shared, (void *)*r, (size_t)c);
        return true;
    case SYS_shmat:
        *r = (long)shim_shmat((int)a, (const void *)b, (int)c);
        return true;
    default:
        return false;
    }
}

/* Which two descriptors does it move data between? */
static void moves_end_pairs(long nr, long a, long b, long c) {
    pair_end_fd((int)a);
    if (nr == SYS_splice)
        pair_end_fd((int)c);
    else if (nr != SYS_vmsplice)
        pair_end_fd((int)b);
}

/* The kernel's own call, from a goroutine: -1 with errno. */
static long kernel_call(long nr, long a, long b, long c, long d, long e, long f) {
    long r;
    bool known = (unsigned long)nr < sizeof call_classes;
    switch (known ? call_classes[nr] : CALL_WAITS) {
    case CALL_WAITS:
        return LIBC_CALL(next(syscall)(nr, a, b, c, d, e, f));
    case CALL_BORN:
        return fd_born((int)LIBC_CALL(next(syscall)(nr, a, b, c, d, e, f)));
    case CALL_MOVES:
        moves_end_pairs(nr, a, b, c);
        return LIBC_CALL(next(syscall)(nr, a, b, c, d, e, f));
    case CALL_REFUSED:
        errno = ENOSYS;
        return -1;
    default:
        r = next(syscall)(nr, a, b, c, d, e, f);
        if (r == 0 && process_is_fork(nr, a))
            shim_reset_child();
        return r;
    }
}

/* Calls about what the kernel keeps for one thread. False: not one of these. */
static bool kernel_state_call(long nr, long a, long b, long c, long d, long e, long f, long *r) {
    bool ours;
    if (!wire_thread())
        return false;
    *r = policy_syscall(nr, a, b, c, d, &ours);
    if (ours)
        return true;
    switch (nr) {
    case SYS_setpriority:
        *r = as_kernel(setpriority((__priority_which_t)a, (id_t)b, (int)c));
        return true;
    case SYS_getpriority: /* the kernel's own range, 1 to 40, needs no errno */
        errno = 0;
        *r = getpriority((__priority_which_t)a, (id_t)b);
        *r = errno ? -errno : 20 - *r;
        return true;
    case SYS_prctl:
        if (a == PR_SET_NAME || a == PR_GET_NAME || a == PR_SET_TIMERSLACK ||
            a == PR_GET_TIMERSLACK) {
            *r = as_kernel(prctl((int)a, b, c, d, e));
            return true;
        }
        break;
    case SYS_unshare:
        *r = as_kernel(shim_unshare((int)a));
        return true;
    case SYS_capset:
    case SYS_capget:
        *r = as_kernel(nr == SYS_capset ? capset((cap_user_header_t)a, (cap_user_data_t)b)
                                        : capget((cap_user_header_t)a, (cap_user_data_t)b));
        return true;
    default:
        break;
    }
    long id = a, other = b;
    if ((*r = wire_ids(nr, &id, &other)) < 0)
        return true;
    if (wire_is_for(nr, a, b, c)) {
        *r = as_kernel(WIRED_CALL(next(syscall)(nr, id, other, c, d, e, f)));
        return true;
    }
    *r = id != a || other != b ? as_kernel(next(syscall)(nr, id, other, c, d, e, f)) : 0;
    return id != a || other != b;
}

SHIM_API long shim_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    long r;
    struct thread *t = thread_self();
    if (t && unlikely(t->vforked))
        return next(syscall)(nr, a, b, c, d, e, f);
    if (nr == SYS_futex)
        r = futex_call(a, b, c, d, e, f);
    else if (nr == SYS_futex_waitv && !passthrough())
        r = -ENOSYS; /* one waiter cannot be in several places of the parking lot */
    else if (mapping_call(nr, a, b, c, d, e, f, &r))
        return r;
    else if (futex2_call(nr, a, b, c, d, e, f, &r) ||
             (t && (syscall_fd(nr, a, b, c, d, e, f, &r) || thread_call(nr, a, b, c, d, e, &r) ||
                    kernel_state_call(nr, a, b, c, d, e, f, &r))))
        ;
    else if (!t)
        return next(syscall)(nr, a, b, c, d, e, f);
    else if (nr == SYS_execve)
        return execve((const char *)a, (char *const *)b, (char *const *)c);
    else if (nr == SYS_execveat)
        return execveat((int)a, (const char *)b, (char *const *)c, (char *const *)d, (int)e);
    else
        return kernel_call(nr, a, b, c, d, e, f);
    if (r < 0 && r > -4096) {
        errno = (int)-r;
        return -1;
    }
    return r;
}
