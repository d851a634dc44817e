/* io.c - calls that may block in the kernel, bracketed
 *
 * On a goroutine the call is libc's own, between syscall_enter and syscall_exit: the P stays and
 * sysmon takes it if the call lasts (KEEP), or it is given away at once where waiting is what the
 * call is for (GIVE). Without a goroutine it is libc's alone. libc's functions keep errno, their
 * arguments' checks, and being cancellation points.
 */
#include "shim/shim.h"

#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define KEEP(ret, name, params, args)                                                              \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return LIBC_CALL(next(name) args);                                                         \
    }

#define GIVE(ret, name, params, args)                                                              \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return LIBC_CALL_BLOCK(next(name) args);                                                   \
    }

/* A multiplexer that is only asked, not waited on, keeps the P. */
#define GIVE_UNLESS(asks, ret, name, params, args)                                                 \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return asks ? LIBC_CALL(next(name) args) : LIBC_CALL_BLOCK(next(name) args);               \
    }

/* ---- reading and writing ---- */

typedef const struct iovec *iov;

KEEP(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
KEEP(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
KEEP(ssize_t, pread, (int fd, void *b, size_t n, off_t at), (fd, b, n, at))
KEEP(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
KEEP(ssize_t, readv, (int fd, iov v, int n), (fd, v, n))
KEEP(ssize_t, writev, (int fd, iov v, int n), (fd, v, n))
KEEP(ssize_t, preadv, (int fd, iov v, int n, off_t at), (fd, v, n, at))
KEEP(ssize_t, pwritev, (int fd, iov v, int n, off_t at), (fd, v, n, at))
KEEP(ssize_t, preadv2, (int fd, iov v, int n, off_t at, int fl), (fd, v, n, at, fl))
KEEP(ssize_t, pwritev2, (int fd, iov v, int n, off_t at, int fl), (fd, v, n, at, fl))
KEEP(ssize_t, __read_chk, (int fd, void *b, size_t n, size_t size), (fd, b, n, size))
KEEP(ssize_t, __pread_chk, (int fd, void *b, size_t n, off_t at, size_t size), (fd, b, n, at, size))

/* ---- sockets ---- */

KEEP(ssize_t, recv, (int fd, void *b, size_t n, int fl), (fd, b, n, fl))
KEEP(ssize_t, __recv_chk, (int fd, void *b, size_t n, size_t size, int fl), (fd, b, n, size, fl))
KEEP(ssize_t, recvfrom, (int fd, void *b, size_t n, int fl, struct sockaddr *from, socklen_t *len),
     (fd, b, n, fl, from, len))
KEEP(ssize_t, recvmsg, (int fd, struct msghdr *m, int fl), (fd, m, fl))
KEEP(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int fl, struct timespec *t),
     (fd, m, n, fl, t))
KEEP(ssize_t, send, (int fd, const void *b, size_t n, int fl), (fd, b, n, fl))
KEEP(ssize_t, sendto,
     (int fd, const void *b, size_t n, int fl, const struct sockaddr *to, socklen_t len),
     (fd, b, n, fl, to, len))
KEEP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int fl), (fd, m, fl))
KEEP(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int fl), (fd, m, n, fl))
KEEP(int, connect, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
GIVE(int, accept, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len))
GIVE(int, accept4, (int fd, struct sockaddr *a, socklen_t *len, int fl), (fd, a, len, fl))

/* ---- multiplexers ---- */

#define IS_ZERO(t) ((t) && !(t)->tv_sec && !(t)->tv_nsec)

GIVE_UNLESS(timeout == 0, int, poll, (struct pollfd * p, nfds_t n, int timeout), (p, n, timeout))
GIVE_UNLESS(IS_ZERO(t), int, ppoll,
            (struct pollfd * p, nfds_t n, const struct timespec *t, const sigset_t *m),
            (p, n, t, m))
GIVE_UNLESS((t && !t->tv_sec && !t->tv_usec), int, select,
            (int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t), (n, r, w, e, t))
GIVE_UNLESS(IS_ZERO(t), int, pselect,
            (int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *t, const sigset_t *m),
            (n, r, w, e, t, m))
GIVE_UNLESS(timeout == 0, int, epoll_wait, (int fd, struct epoll_event *ev, int n, int timeout),
            (fd, ev, n, timeout))
GIVE_UNLESS(timeout == 0, int, epoll_pwait,
            (int fd, struct epoll_event *ev, int n, int timeout, const sigset_t *m),
            (fd, ev, n, timeout, m))
GIVE_UNLESS(IS_ZERO(t), int, epoll_pwait2,
            (int fd, struct epoll_event *ev, int n, const struct timespec *t, const sigset_t *m),
            (fd, ev, n, t, m))

/* ---- processes ---- */

GIVE(pid_t, wait, (int *status), (status))
GIVE_UNLESS((options & WNOHANG), pid_t, waitpid, (pid_t pid, int *status, int options),
            (pid, status, options))
GIVE_UNLESS((options & WNOHANG), pid_t, wait3, (int *status, int options, struct rusage *ru),
            (status, options, ru))
GIVE_UNLESS((options & WNOHANG), pid_t, wait4,
            (pid_t pid, int *status, int options, struct rusage *ru), (pid, status, options, ru))
GIVE_UNLESS((options & WNOHANG), int, waitid,
            (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options))

/* ---- files ---- */

KEEP(int, fsync, (int fd), (fd))
KEEP(int, fdatasync, (int fd), (fd))
KEEP(int, msync, (void *at, size_t n, int fl), (at, n, fl))
KEEP(int, flock, (int fd, int op), (fd, op))
KEEP(int, lockf, (int fd, int cmd, off_t len), (fd, cmd, len))
KEEP(ssize_t, sendfile, (int to, int from, off_t *at, size_t n), (to, from, at, n))
KEEP(ssize_t, splice, (int in, off64_t *ai, int out, off64_t *ao, size_t n, unsigned fl),
     (in, ai, out, ao, n, fl))
KEEP(ssize_t, copy_file_range, (int in, off64_t *ai, int out, off64_t *ao, size_t n, unsigned fl),
     (in, ai, out, ao, n, fl))
KEEP(int, tcdrain, (int fd), (fd))

/* open and fcntl take one more argument for some commands; libc's own versions read it from the
 * same register whether it was given or not. */
static long third_argument(va_list ap) { return va_arg(ap, long); }

#define OPEN(name, params, args, last)                                                             \
    SHIM_API int shim_##name params {                                                              \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        long arg = third_argument(ap);                                                             \
        va_end(ap);                                                                                \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return LIBC_CALL(next(name) args);                                                         \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, arg), flags)
OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, arg), flags)

SHIM_API int shim_fcntl(int fd, int cmd, ...) {
    va_list ap;
    va_start(ap, cmd);
    long arg = third_argument(ap);
    va_end(ap);
    if (!getg() || (cmd != F_SETLKW && cmd != F_OFD_SETLKW))
        return next(fcntl)(fd, cmd, arg);
    return LIBC_CALL(next(fcntl)(fd, cmd, arg));
}

/* ---- queues and semaphores between processes ---- */

GIVE(ssize_t, msgrcv, (int id, void *m, size_t n, long type, int fl), (id, m, n, type, fl))
KEEP(int, msgsnd, (int id, const void *m, size_t n, int fl), (id, m, n, fl))
KEEP(int, semop, (int id, struct sembuf *ops, size_t n), (id, ops, n))
KEEP(int, semtimedop, (int id, struct sembuf *ops, size_t n, const struct timespec *t),
     (id, ops, n, t))
KEEP(ssize_t, mq_receive, (mqd_t q, char *m, size_t n, unsigned *prio), (q, m, n, prio))
KEEP(ssize_t, mq_timedreceive,
     (mqd_t q, char *m, size_t n, unsigned *prio, const struct timespec *t), (q, m, n, prio, t))
KEEP(int, mq_send, (mqd_t q, const char *m, size_t n, unsigned prio), (q, m, n, prio))
KEEP(int, mq_timedsend, (mqd_t q, const char *m, size_t n, unsigned prio, const struct timespec *t),
     (q, m, n, prio, t))

/* ---- names ---- */

KEEP(int, getaddrinfo,
     (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res),
     (node, service, hints, res))
KEEP(int, getnameinfo,
     (const struct sockaddr *a, socklen_t len, char *host, socklen_t hl, char *serv, socklen_t sl,
      int fl),
     (a, len, host, hl, serv, sl, fl))
KEEP(struct hostent *, gethostbyname, (const char *name), (name))
