/* syscall.c - syscall() by number: what a wrapper above does, its number does too
 *
 * Numbers that the runtime gives a meaning of its own, or that wait, are listed; all others go to
 * the kernel as they are.
 */
#include "shim/fd.h"
#include "shim/futex.h"
#include "shim/inherit.h"
#include "shim/mapping.h"
#include "shim/signal.h"
#include "shim/wire.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Other calls that may block: the bracket with the P kept. */
static const bool may_block[512] = {
    [SYS_pread64] = true,        [SYS_pwrite64] = true,        [SYS_preadv] = true,
    [SYS_pwritev] = true,        [SYS_connect] = true,         [SYS_wait4] = true,
    [SYS_waitid] = true,         [SYS_nanosleep] = true,       [SYS_clock_nanosleep] = true,
    [SYS_fsync] = true,          [SYS_fdatasync] = true,       [SYS_flock] = true,
    [SYS_msync] = true,          [SYS_sendfile] = true,        [SYS_splice] = true,
    [SYS_msgrcv] = true,         [SYS_msgsnd] = true,          [SYS_semop] = true,
    [SYS_semtimedop] = true,     [SYS_mq_timedreceive] = true, [SYS_mq_timedsend] = true,
    [SYS_io_uring_enter] = true, [SYS_io_getevents] = true,    [SYS_getrandom] = true,
};

/* Calls about what belongs to the G and not to the M. */
static bool is_thread_call(long nr) {
    switch (nr) {
    case SYS_rt_sigprocmask:
    case SYS_rt_sigaction:
    case SYS_sigaltstack:
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_pidfd_send_signal:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigpending:
    case SYS_pause:
    case SYS_sched_setaffinity:
    case SYS_sched_getaffinity:
        return true;
    default:
        return false;
    }
}

/* The result of a libc function, as the kernel gives it. */
static long as_kernel(long r) { return r < 0 ? -errno : r; }

static long thread_call(long nr, long a, long b, long c, long d) {
    sigset_t set;
    switch (nr) {
    case SYS_rt_sigprocmask:
        return sigmask_syscall(a, b, c, d);
    case SYS_rt_sigaction:
        return sigaction_syscall(a, b, c, d);
    case SYS_sigaltstack:
        return sigaltstack_syscall(a, b);
    case SYS_kill:
        return as_kernel(kill((pid_t)a, (int)b));
    case SYS_tkill:
        return sig_tkill(0, a, b);
    case SYS_tgkill:
        return sig_tkill(a, b, c);
    case SYS_rt_sigqueueinfo:
        return sig_queueinfo(0, a, b, (const siginfo_t *)c);
    case SYS_rt_tgsigqueueinfo:
        return sig_queueinfo(a, b, c, (const siginfo_t *)d);
    case SYS_pidfd_send_signal:
        return sig_pidfd_send(a, b, c, d);
    case SYS_rt_sigtimedwait: /* these read the first 8 bytes of a set only */
        return as_kernel(
            sigtimedwait((const sigset_t *)a, (siginfo_t *)b, (const struct timespec *)c));
    case SYS_rt_sigsuspend:
        return as_kernel(sigsuspend((const sigset_t *)a));
    case SYS_sched_setaffinity:
        return inherit_setaffinity_syscall(a, b, c);
    case SYS_sched_getaffinity:
        return inherit_getaffinity_syscall(a, b, c);
    case SYS_rt_sigpending:
        sigpending(&set);
        *(uint64_t *)a = sig_set_of(&set);
        return 0;
    default:
        return as_kernel(pause());
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
    if (nr == SYS_futex)
        r = futex_call(a, b, c, d, e, f);
    else if (t && syscall_fd(nr, a, b, c, d, e, f, &r))
        ;
    else if (nr == SYS_gettid && t)
        r = t->tid;
    else if (nr == SYS_sched_yield && g_yield())
        r = 0;
    else if (nr == SYS_exit && t)
        thread_end(); /* the kernel thread is an M, which serves others */
    else if (t && is_thread_call(nr))
        r = thread_call(nr, a, b, c, d);
    else if (t && kernel_state_call(nr, a, b, c, d, e, f, &r))
        ;
    else if (nr == SYS_rseq && t)
        r = -ENOSYS; /* registered areas would move between kernel threads (DANGERS X3) */
    else if (t && nr == SYS_execve)
        return execve((const char *)a, (char *const *)b, (char *const *)c);
    else if (t && nr == SYS_execveat)
        return execveat((int)a, (const char *)b, (char *const *)c, (char *const *)d, (int)e);
    else if (t && (unsigned long)nr < sizeof may_block && may_block[nr])
        return LIBC_CALL(next(syscall)(nr, a, b, c, d, e, f));
    else if (nr == SYS_mmap)
        return (long)shim_mmap((void *)a, (size_t)b, (int)c, (int)d, (int)e, f);
    else if (t && process_is_fork(nr, a)) {
        if ((r = next(syscall)(nr, a, b, c, d, e, f)) == 0)
            shim_reset_child();
        return r;
    } else
        return next(syscall)(nr, a, b, c, d, e, f);
    if (r < 0 && r > -4096) {
        errno = (int)-r;
        return -1;
    }
    return r;
}
