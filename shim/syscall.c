/* syscall.c - syscall() by number: what a wrapper above does, its number does too
 *
 * Numbers that the runtime gives a meaning of its own, or that wait, are listed; all others go to
 * the kernel as they are.
 */
#include "shim/futex.h"
#include "shim/mapping.h"
#include "shim/shim.h"

#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls that may block: the bracket with the P kept. */
static const bool may_block[512] = {
    [SYS_read] = true,
    [SYS_write] = true,
    [SYS_readv] = true,
    [SYS_writev] = true,
    [SYS_pread64] = true,
    [SYS_pwrite64] = true,
    [SYS_preadv] = true,
    [SYS_pwritev] = true,
    [SYS_recvfrom] = true,
    [SYS_recvmsg] = true,
    [SYS_recvmmsg] = true,
    [SYS_sendto] = true,
    [SYS_sendmsg] = true,
    [SYS_sendmmsg] = true,
    [SYS_accept] = true,
    [SYS_accept4] = true,
    [SYS_connect] = true,
    [SYS_poll] = true,
    [SYS_ppoll] = true,
    [SYS_select] = true,
    [SYS_pselect6] = true,
    [SYS_epoll_wait] = true,
    [SYS_epoll_pwait] = true,
    [SYS_epoll_pwait2] = true,
    [SYS_wait4] = true,
    [SYS_waitid] = true,
    [SYS_pause] = true,
    [SYS_rt_sigtimedwait] = true,
    [SYS_rt_sigsuspend] = true,
    [SYS_nanosleep] = true,
    [SYS_clock_nanosleep] = true,
    [SYS_fsync] = true,
    [SYS_fdatasync] = true,
    [SYS_flock] = true,
    [SYS_msync] = true,
    [SYS_open] = true,
    [SYS_openat] = true,
    [SYS_sendfile] = true,
    [SYS_splice] = true,
    [SYS_msgrcv] = true,
    [SYS_msgsnd] = true,
    [SYS_semop] = true,
    [SYS_semtimedop] = true,
    [SYS_mq_timedreceive] = true,
    [SYS_mq_timedsend] = true,
    [SYS_io_uring_enter] = true,
    [SYS_io_getevents] = true,
    [SYS_getrandom] = true,
};

SHIM_API long shim_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    long r;
    struct thread *t = thread_self();
    if (nr == SYS_futex)
        r = futex_call(a, b, c, d, e, f);
    else if (nr == SYS_gettid && t)
        r = t->tid;
    else if (nr == SYS_sched_yield && g_yield())
        r = 0;
    else if (nr == SYS_exit && t)
        thread_end(); /* the kernel thread is an M, which serves others */
    else if (nr == SYS_rt_sigprocmask && t && b)
        r = sigmask_syscall(a, b, c, d);
    else if (nr == SYS_rseq && t)
        r = -ENOSYS; /* registered areas would move between kernel threads (DANGERS X3) */
    else if (t && (unsigned long)nr < sizeof may_block && may_block[nr])
        r = LIBC_CALL(arch_syscall(nr, a, b, c, d, e, f));
    else if (nr == SYS_mmap)
        return (long)shim_mmap((void *)a, (size_t)b, (int)c, (int)d, (int)e, f);
    else
        return next(syscall)(nr, a, b, c, d, e, f);
    if (r < 0 && r > -4096) {
        errno = (int)-r;
        return -1;
    }
    return r;
}
