/* io.c - calls that may block in the kernel, bracketed
 *
 * On a goroutine the call is libc's own, between syscall_enter and syscall_exit: the P stays and
 * sysmon takes it if the call lasts (KEEP), or it is given away at once where waiting is what the
 * call is for (GIVE). Without a goroutine it is libc's alone. libc's functions keep errno, their
 * arguments' checks, and being cancellation points.
 */
#include "shim/pair.h"

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

/* A call that is only asked, not waited on, keeps the P. */
#define GIVE_UNLESS(asks, ret, name, params, args)                                                 \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return asks ? LIBC_CALL(next(name) args) : LIBC_CALL_BLOCK(next(name) args);               \
    }

/* ---- reading and writing at a place ---- */

typedef const struct iovec *iov;

KEEP(ssize_t, pread, (int fd, void *b, size_t n, off_t at), (fd, b, n, at))
KEEP(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
KEEP(ssize_t, preadv, (int fd, iov v, int n, off_t at), (fd, v, n, at))
KEEP(ssize_t, pwritev, (int fd, iov v, int n, off_t at), (fd, v, n, at))
KEEP(ssize_t, __pread_chk, (int fd, void *b, size_t n, off_t at, size_t size), (fd, b, n, at, size))

#define IS_ZERO(t) ((t) && !(t)->tv_sec && !(t)->tv_nsec)

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
KEEP(ssize_t, copy_file_range, (int in, off64_t *ai, int out, off64_t *ao, size_t n, unsigned fl),
     (in, ai, out, ao, n, fl))
KEEP(int, tcdrain, (int fd), (fd))

/* These move data between descriptors, in the kernel, untold (pair.c). */
#define MOVES(name, from, to, params, args)                                                        \
    SHIM_API ssize_t shim_##name params {                                                          \
        pair_end_fd(from);                                                                         \
        pair_end_fd(to);                                                                           \
        return LIBC_CALL(next(name) args);                                                         \
    }

MOVES(sendfile, from, to, (int to, int from, off_t *at, size_t n), (to, from, at, n))
MOVES(splice, in, out, (int in, off64_t *ai, int out, off64_t *ao, size_t n, unsigned fl),
      (in, ai, out, ao, n, fl))
MOVES(tee, in, out, (int in, int out, size_t n, unsigned fl), (in, out, n, fl))
MOVES(vmsplice, fd, fd, (int fd, const struct iovec *v, size_t n, unsigned fl), (fd, v, n, fl))

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
