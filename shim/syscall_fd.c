/* syscall_fd.c - syscall() by number, for calls on descriptors
 *
 * What the wrappers of these calls do, their numbers do too; but syscall() is no cancellation
 * point.
 */
#include "shim/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* A time on the stack of the caller, which the kernel may not be able to read; *deadline 0: the
 * call only asks. False: leave it to the kernel. */
static bool mux_deadline(const struct timespec *t, uint64_t *deadline) {
    *deadline = TIME_FOREVER;
    if (!t)
        return true;
    if (deadline_rel(t, deadline))
        return false;
    if (!t->tv_sec && !t->tv_nsec)
        *deadline = 0;
    return true;
}

static uint64_t mux_deadline_ms(long ms) {
    return (int)ms < 0 ? TIME_FOREVER : ms ? nanotime() + (uint64_t)(int)ms * NSEC_PER_MSEC : 0;
}

static long syscall_pselect(long n, long r, long w, long e, struct timespec *t, const long *mask) {
    uint64_t d;
    if (!mux_deadline(t, &d))
        return IO_BRACKET;
    long ready = mux_select((int)n, (void *)r, (void *)w, (void *)e, d,
                            mask ? (const void *)mask[0] : NULL, false);
    if (ready != IO_BRACKET && t) /* Linux writes back what was left */
        *t = time_until(d);
    return ready;
}

static long syscall_select(long n, long r, long w, long e, struct timeval *tv) {
    if (tv && (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000))
        return IO_BRACKET;
    struct timespec t = {0};
    if (tv)
        t = (struct timespec){tv->tv_sec, tv->tv_usec * 1000};
    long ready = syscall_pselect(n, r, w, e, tv ? &t : NULL, NULL);
    if (tv && ready != IO_BRACKET)
        *tv = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return ready;
}

static long syscall_ppoll(long p, long n, struct timespec *t, const void *mask) {
    uint64_t d;
    if (!mux_deadline(t, &d))
        return IO_BRACKET;
    long ready = mux_poll((struct pollfd *)p, (nfds_t)n, d, mask, false);
    if (ready != IO_BRACKET && t) /* Linux writes back what was left */
        *t = time_until(d);
    return ready;
}

static long syscall_epoll2(long fd, long ev, long n, const struct timespec *t, const void *mask) {
    uint64_t d;
    if (!mux_deadline(t, &d))
        return IO_BRACKET;
    return mux_epoll((int)fd, (struct epoll_event *)ev, (int)n, d, mask, false);
}

/* Calls on descriptors that park; syscall() is not a cancellation point. IO_BRACKET: it is not one
 * of these, or has to wait in the kernel after all. */
static long descriptor_call(long nr, long a, long b, long c, long d, long e, long f) {
    int fd = (int)a;
    switch (nr) {
    case SYS_read:
        return io_read(fd, (void *)b, (size_t)c, false);
    case SYS_write:
        return io_write(fd, (void *)b, (size_t)c, false);
    case SYS_readv:
        return io_readv(fd, (void *)b, (int)c, false);
    case SYS_writev:
        return io_writev(fd, (void *)b, (int)c, false);
    case SYS_preadv2:
        return d == -1 && !f ? io_readv(fd, (void *)b, (int)c, false) : IO_BRACKET;
    case SYS_pwritev2:
        return d == -1 && !f ? io_writev(fd, (void *)b, (int)c, false) : IO_BRACKET;
    case SYS_recvfrom:
        return net_recv(fd, (void *)b, (size_t)c, (int)d, (void *)e, (void *)f, false);
    case SYS_sendto:
        return net_send(fd, (void *)b, (size_t)c, (int)d, (void *)e, (socklen_t)f, false);
    case SYS_recvmsg:
        return net_recvmsg(fd, (void *)b, (int)c, false);
    case SYS_sendmsg:
        return net_sendmsg(fd, (void *)b, (int)c, false);
    case SYS_recvmmsg:
        return net_recvmmsg(fd, (void *)b, (unsigned)c, (int)d, (void *)e, false);
    case SYS_sendmmsg:
        return net_sendmmsg(fd, (void *)b, (unsigned)c, (int)d, false);
    case SYS_accept:
        return net_accept(fd, (void *)b, (void *)c, 0, false);
    case SYS_accept4:
        return net_accept(fd, (void *)b, (void *)c, (int)d, false);
    case SYS_poll:
        return mux_poll((void *)a, (nfds_t)b, mux_deadline_ms(c), NULL, false);
    case SYS_ppoll:
        return syscall_ppoll(a, b, (void *)c, (void *)d);
    case SYS_select:
        return syscall_select(a, b, c, d, (void *)e);
    case SYS_pselect6:
        return syscall_pselect(a, b, c, d, (void *)e, (void *)f);
    case SYS_epoll_wait:
        return mux_epoll(fd, (void *)b, (int)c, mux_deadline_ms(d), NULL, false);
    case SYS_epoll_pwait:
        return mux_epoll(fd, (void *)b, (int)c, mux_deadline_ms(d), (void *)e, false);
    case SYS_epoll_pwait2:
        return syscall_epoll2(a, b, c, (void *)d, (void *)e);
    default:
        return IO_BRACKET;
    }
}

/* Those of them that wait in the kernel where they cannot park. */
static bool descriptor_waits(long nr) {
    static const short numbers[] = {
        SYS_read,    SYS_write,      SYS_readv,       SYS_writev,      SYS_recvfrom, SYS_sendto,
        SYS_recvmsg, SYS_sendmsg,    SYS_recvmmsg,    SYS_sendmmsg,    SYS_accept,   SYS_accept4,
        SYS_poll,    SYS_ppoll,      SYS_select,      SYS_pselect6,    SYS_preadv2,  SYS_pwritev2,
        SYS_connect, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] == nr)
            return true;
    return false;
}

static long descriptor_waiting(long nr, long a, long b, long c, long d, long e, long f) {
    long r = descriptor_call(nr, a, b, c, d, e, f);
    if (r != IO_BRACKET)
        return r;
    r = LIBC_CALL(next(syscall)(nr, a, b, c, d, e, f));
    if (r < 0)
        return -errno;
    if (nr == SYS_accept || nr == SYS_accept4)
        fd_born((int)r);
    else if (nr == SYS_connect)
        net_connected();
    else if (nr == SYS_recvmsg)
        net_control_born((struct msghdr *)b);
    for (long i = 0; nr == SYS_recvmmsg && i < r; i++)
        net_control_born(&((struct mmsghdr *)b)[i].msg_hdr);
    return r;
}

/* Calls that return, end or change descriptors do so by name too. */
static bool changes_descriptor(long nr, long a, long b, long c, long d, long e, long *r) {
    switch (nr) {
    case SYS_close:
        *r = fd_close((int)a, false);
        return true;
    case SYS_close_range:
        *r = shim_close_range((unsigned)a, (unsigned)b, (int)c);
        return true;
    case SYS_dup:
        *r = shim_dup((int)a);
        return true;
    case SYS_dup2:
        *r = shim_dup2((int)a, (int)b);
        return true;
    case SYS_dup3:
        *r = shim_dup3((int)a, (int)b, (int)c);
        return true;
    case SYS_fcntl:
        if (b == F_SETLKW || b == F_OFD_SETLKW) /* libc's function is a cancellation point then */
            *r = LIBC_CALL(next(syscall)(nr, a, b, c));
        else
            *r = shim_fcntl((int)a, (int)b, c);
        return true;
    case SYS_ioctl:
        *r = shim_ioctl((int)a, (unsigned long)b, c);
        return true;
    case SYS_signalfd:
        *r = shim_signalfd((int)a, (const sigset_t *)b, 0);
        return true;
    case SYS_signalfd4:
        *r = shim_signalfd((int)a, (const sigset_t *)b, (int)d);
        return true;
    case SYS_socket:
        *r = shim_socket((int)a, (int)b, (int)c);
        return true;
    case SYS_socketpair:
        *r = shim_socketpair((int)a, (int)b, (int)c, (int *)d);
        return true;
    case SYS_pipe:
        *r = shim_pipe2((int *)a, 0);
        return true;
    case SYS_pipe2:
        *r = shim_pipe2((int *)a, (int)b);
        return true;
    case SYS_shutdown:
        *r = shim_shutdown((int)a, (int)b);
        return true;
    case SYS_setsockopt:
        *r = shim_setsockopt((int)a, (int)b, (int)c, (const void *)d, (socklen_t)e);
        return true;
    default:
        return false;
    }
}

/* If nr is a call on descriptors, makes it: *r is the kernel's result, -errno. On a goroutine. */
bool syscall_fd(long nr, long a, long b, long c, long d, long e, long f, long *r) {
    if (descriptor_waits(nr)) {
        *r = descriptor_waiting(nr, a, b, c, d, e, f);
        return true;
    }
    bool ours = changes_descriptor(nr, a, b, c, d, e, r);
    if (ours && *r == -1)
        *r = -errno;
    return ours;
}
