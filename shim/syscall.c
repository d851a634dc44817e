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
static bool may_block(long nr) {
    switch (nr) {
    case SYS_read: case SYS_write: case SYS_readv: case SYS_writev:
    case SYS_pread64: case SYS_pwrite64: case SYS_preadv: case SYS_pwritev:
    case SYS_recvfrom: case SYS_recvmsg: case SYS_recvmmsg:
    case SYS_sendto: case SYS_sendmsg: case SYS_sendmmsg:
    case SYS_accept: case SYS_accept4: case SYS_connect:
    case SYS_poll: case SYS_ppoll: case SYS_select: case SYS_pselect6:
    case SYS_epoll_wait: case SYS_epoll_pwait: case SYS_epoll_pwait2:
    case SYS_wait4: case SYS_waitid: case SYS_pause:
    case SYS_rt_sigtimedwait: case SYS_rt_sigsuspend:
    case SYS_nanosleep: case SYS_clock_nanosleep:
    case SYS_fsync: case SYS_fdatasync: case SYS_flock: case SYS_msync:
    case SYS_open: case SYS_openat: case SYS_sendfile: case SYS_splice:
    case SYS_msgrcv: case SYS_msgsnd: case SYS_semop: case SYS_semtimedop:
    case SYS_mq_timedreceive: case SYS_mq_timedsend:
    case SYS_io_uring_enter: case SYS_io_getevents: case SYS_getrandom:
        return true;
    default:
        return false;
    }
}

SHIM_API long shim_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    long r;
    struct thread *t = thread_self();
    if (nr == SYS_futex)
        r = futex_call(a, b, c, d, e, f);
    else if (nr == SYS_gettid && t)
        r = t->tid;
    else if (nr == SYS_sched_yield && g_yield())
        r = 0;
    else if (nr == SYS_rseq && t)
        r = -ENOSYS; /* registered areas would move between kernel threads (DANGERS X3) */
    else if (t && may_block(nr))
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
