/* birth.c - calls that return or end descriptors
 *
 * What is known of a number ends when a call returns it anew (DANGERS N1): it may have been closed
 * where we do not look. Closing tells those who wait (EBADF). The runtime's own descriptors are not
 * there for the program (N4).
 */
#include "shim/fd.h"
#include "shim/pair.h"
#include "shim/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <mqueue.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utmp.h>

/* ---- one number ---- */

/* open and its kin take a mode only with some flags; libc's read it from the same register whether
 * it was given or not. A FIFO's open waits for its other end. */
#define OPEN(name, params, args, last)                                                             \
    SHIM_API int shim_##name params {                                                              \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        long arg = va_arg(ap, long);                                                               \
        va_end(ap);                                                                                \
        return fd_born((int)LIBC_CALL(next(name) args));                                           \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, arg), flags)
OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, arg), flags)

#define OPENS(name, params, args)                                                                  \
    SHIM_API int shim_##name params { return fd_born((int)LIBC_CALL(next(name) args)); }

OPENS(creat, (const char *path, mode_t mode), (path, mode))
OPENS(__open_2, (const char *path, int flags), (path, flags))
OPENS(__openat_2, (int dir, const char *path, int flags), (dir, path, flags))

#define BIRTH(name, params, args)                                                                  \
    SHIM_API int shim_##name params { return fd_born(next(name) args); }

OPENS(open_by_handle_at, (int dir, struct file_handle *h, int flags), (dir, h, flags))
OPENS(shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode))
OPENS(fsopen, (const char *type, unsigned flags), (type, flags))
OPENS(fsmount, (int fd, unsigned flags, unsigned attributes), (fd, flags, attributes))
OPENS(fspick, (int dir, const char *path, unsigned flags), (dir, path, flags))
OPENS(open_tree, (int dir, const char *path, unsigned flags), (dir, path, flags))
OPENS(__mq_open_2, (const char *name, int flags), (name, flags))

/* A queue of messages is a descriptor too (mq_overview(7)). */
SHIM_API mqd_t shim_mq_open(const char *name, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    long mode = va_arg(ap, long);
    long attributes = va_arg(ap, long);
    va_end(ap);
    return fd_born((int)LIBC_CALL(next(mq_open)(name, flags, mode, attributes)));
}

SHIM_API int shim_mq_close(mqd_t q) {
    fd_forget(q);
    return next(mq_close)(q);
}

BIRTH(epoll_create, (int n), (n))
BIRTH(epoll_create1, (int flags), (flags))
BIRTH(eventfd, (unsigned n, int flags), (n, flags))
BIRTH(timerfd_create, (int clock, int flags), (clock, flags))
BIRTH(inotify_init, (void), ())
BIRTH(inotify_init1, (int flags), (flags))
BIRTH(memfd_create, (const char *name, unsigned flags), (name, flags))
BIRTH(fanotify_init, (unsigned flags, unsigned event_flags), (flags, event_flags))
BIRTH(pidfd_open, (pid_t pid, unsigned flags), (pid, flags))
BIRTH(pidfd_getfd, (int pidfd, int fd, unsigned flags), (pidfd, fd, flags))
BIRTH(posix_openpt, (int flags), (flags))
BIRTH(getpt, (void), ())
BIRTH(mkstemp, (char *path), (path))
BIRTH(mkostemp, (char *path, int flags), (path, flags))
BIRTH(mkstemps, (char *path, int suffix), (path, suffix))
BIRTH(mkostemps, (char *path, int suffix, int flags), (path, suffix, flags))

SHIM_API int shim_socket(int domain, int type, int protocol) {
    return fd_born_as(next(socket)(domain, type, protocol), fd_socket_kind(domain, type, protocol),
                      type & SOCK_NONBLOCK);
}

SHIM_API int shim_socketpair(int domain, int type, int protocol, int fd[2]) {
    int r = next(socketpair)(domain, type, protocol, fd);
    if (r == 0)
        pair_sockets(fd, fd_socket_kind(domain, type, protocol), type & SOCK_NONBLOCK);
    return r;
}

SHIM_API int shim_pipe2(int fd[2], int flags) {
    int r = next(pipe2)(fd, flags);
    if (r == 0)
        pair_pipe(fd, flags);
    return r;
}

SHIM_API int shim_pipe(int fd[2]) {
    int r = next(pipe)(fd);
    if (r == 0)
        pair_pipe(fd, 0);
    return r;
}

SHIM_API int shim_openpty(int *master, int *slave, char *name, const struct termios *t,
                          const struct winsize *w) {
    int r = next(openpty)(master, slave, name, t, w);
    if (r == 0) {
        fd_born(*master);
        fd_born(*slave);
    }
    return r;
}

SHIM_API pid_t shim_forkpty(int *master, char *name, const struct termios *t,
                            const struct winsize *w) {
    pid_t pid = next(forkpty)(master, name, t, w);
    if (pid > 0)
        fd_born(*master);
    return pid;
}

/* The terminal becomes 0, 1 and 2. */
SHIM_API int shim_login_tty(int fd) {
    fd_forget(fd);
    int r = next(login_tty)(fd);
    for (int i = 0; r == 0 && i <= 2; i++)
        fd_born(i);
    return r;
}

/* ---- streams ---- */

FILE *stream_born(FILE *f) {
    int err = errno;
    if (f)
        fd_born(fileno(f));
    errno = err;
    return f;
}

SHIM_API FILE *shim_fopen(const char *path, const char *mode) {
    return stream_born(LIBC_CALL(next(fopen)(path, mode)));
}

SHIM_API FILE *shim_setmntent(const char *path, const char *mode) {
    return stream_born(next(setmntent)(path, mode));
}

/* What stdio reads and writes is not told. */
SHIM_API FILE *shim_fdopen(int fd, const char *mode) {
    pair_end_fd(fd);
    return next(fdopen)(fd, mode);
}

SHIM_API FILE *shim_tmpfile(void) { return stream_born(next(tmpfile)()); }

SHIM_API FILE *shim_freopen(const char *path, const char *mode, FILE *f) {
    fd_forget(fileno(f));
    return stream_born(next(freopen)(path, mode, f));
}

SHIM_API DIR *shim_opendir(const char *path) {
    DIR *d = LIBC_CALL(next(opendir)(path));
    if (d)
        fd_born(dirfd(d));
    return d;
}

/* A stream's close can be cancelled in the middle, so what is known of the number ends before. */
SHIM_API int shim_fclose(FILE *f) {
    if (fd_tracked()) {
        int err = errno, fd = fileno(f);
        fd_forget(fd);
        errno = err;
    }
    return next(fclose)(f);
}

SHIM_API int shim_closedir(DIR *d) {
    if (d)
        fd_forget(dirfd(d));
    return next(closedir)(d);
}

/* ---- duplicates ---- */

/* `to` names what `from` does. */
static int duped(int from, int to) {
    if (to >= 0 && fd_tracked()) {
        fd_shared(from);
        fd_born(to);
        struct net_desc *d = net_desc_look(to);
        if (d)
            fd_flag_set(fd_info(d), FDF_DUPED);
    }
    return to;
}

SHIM_API int shim_dup(int fd) { return duped(fd, next(dup)(fd)); }

/* What `to` was is closed by it, if it succeeds. */
static int dup_onto(int from, int to, int flags) {
    net_make_way(to);
    struct net_desc *d = net_desc_look(to);
    if (!d || sys(SYS_fcntl, from, F_GETFD) < 0)
        return next(dup3)(from, to, flags);
    pair_end(to, d);
    uint32_t tag = net_close_begin(d);
    int r = (int)LIBC_CALL(sys(SYS_dup3, from, to, flags));
    net_close_end(d, tag);
    if (r < 0) {
        errno = -r;
        return -1;
    }
    return r;
}

SHIM_API int shim_dup3(int from, int to, int flags) {
    if (!fd_tracked() || from == to)
        return next(dup3)(from, to, flags);
    return duped(from, dup_onto(from, to, flags));
}

SHIM_API int shim_dup2(int from, int to) {
    if (!fd_tracked() || from == to)
        return next(dup2)(from, to);
    return duped(from, dup_onto(from, to, 0));
}

SHIM_API int shim_fcntl(int fd, int cmd, ...) {
    va_list ap;
    va_start(ap, cmd);
    long arg = va_arg(ap, long);
    va_end(ap);
    if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
        return (int)LIBC_CALL(next(fcntl)(fd, cmd, arg));
    int r = next(fcntl)(fd, cmd, arg);
    if (r < 0)
        return r;
    if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
        return duped(fd, r);
    if (cmd == F_SETFL)
        fd_nonblock_set(fd, arg & O_NONBLOCK);
    if (cmd == F_SETPIPE_SZ && fd_tracked())
        fd_shared(fd);
    return r;
}

SHIM_API int shim_ioctl(int fd, unsigned long request, ...) {
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (request == FIONREAD)
        return next(ioctl)(fd, request, arg);
    int r = LIBC_CALL(next(ioctl)(fd, request, arg)); /* drivers may wait as they like */
    if (r == 0 && request == FIONBIO)
        fd_nonblock_set(fd, *(int *)arg != 0);
    return request == TIOCGPTPEER ? fd_born(r) : r;
}

/* ---- closing ---- */

struct closing {
    struct net_desc *d;
    uint32_t tag;
};
static void close_unwound(void *closing) {
    struct closing *c = closing;
    net_close_end(c->d, c->tag);
}

/* -errno. The number is free as soon as the kernel has begun, so the call is never made again. */
static int close_uncancelled(int fd) { return (int)LIBC_CALL(sys(SYS_close, fd)); }
static int close_cancelled(int fd) { return LIBC_CALL(next(close)(fd) < 0 ? -errno : 0); }

/* The same of a descriptor that is known here. It may wait: a socket that lingers, a server's file.
 */
static int close_known(int fd, struct net_desc *d, bool cancels) {
    struct _pthread_cleanup_buffer unwinding;
    pair_end(fd, d);
    struct closing c = {d, net_close_begin(d)};
    int r;
    if (cancels) {
        _pthread_cleanup_push(&unwinding, close_unwound, &c);
        r = close_cancelled(fd);
        _pthread_cleanup_pop(&unwinding, 0);
    } else {
        r = close_uncancelled(fd);
    }
    net_close_end(d, c.tag);
    return r;
}

int fd_close(int fd, bool cancels) {
    if (!fd_tracked())
        return next(close)(fd);
    if (unlikely(net_owns(fd))) {
        errno = EBADF;
        return -1;
    }
    if (cancels)
        cancel_test();
    struct net_desc *d = net_desc_look(fd);
    int r = d ? close_known(fd, d, cancels) : cancels ? close_cancelled(fd) : close_uncancelled(fd);
    if (r < 0) {
        errno = -r;
        return -1;
    }
    return r;
}

SHIM_API int shim_close(int fd) { return fd_close(fd, true); }

/* In place of libc's __close_nocancel (interpose/patch.c), which is for its own use. */
int shim_close_nocancel(int fd);
int shim_close_nocancel(int fd) {
    if (fd_tracked())
        return fd_close(fd, false);
    long r = sys(SYS_close, fd);
    if (r == 0)
        return 0;
    errno = (int)-r;
    return -1;
}

/* Has anybody used the number? There may be thousands that nobody has. */
static bool fd_known(int fd) {
    struct net_desc *d = net_desc_look(fd);
    return d && (atomic_load_explicit(&fd_info(d)->kind, memory_order_relaxed) || d->armed ||
                 atomic_load_explicit(&d->side[NET_IN].nwait, memory_order_relaxed) ||
                 atomic_load_explicit(&d->side[NET_OUT].nwait, memory_order_relaxed));
}

/* Closes first..last, but not what is the runtime's. */
static int close_pieces(unsigned first, unsigned last, int flags) {
    for (;;) {
        int own = first <= INT32_MAX ? net_owned_from((int)first) : -1;
        unsigned end = own >= 0 && (unsigned)own <= last ? (unsigned)own : last + 1;
        if (end != first) {
            int r = next(close_range)(first, end - 1, flags);
            if (r)
                return r;
        }
        if (own < 0 || (unsigned)own >= last)
            return 0;
        first = (unsigned)own + 1;
    }
}

/* The caller's kernel thread gets a copy of the table, in which the range is closed. */
static int close_range_unshared(unsigned first, unsigned last, int flags) {
    struct runtime_fds were;
    table_leaving(&were);
    int r = WIRED_CALL(next(close_range)(first, last, flags));
    if (r == 0)
        fd_table_left(&were);
    return r;
}

SHIM_API int shim_close_range(unsigned first, unsigned last, int flags) {
    if (flags & CLOSE_RANGE_UNSHARE && wire_thread())
        return close_range_unshared(first, last, flags);
    if (!fd_tracked() || first > last)
        return next(close_range)(first, last, flags);
    if (!(flags & CLOSE_RANGE_CLOEXEC))
        for (unsigned fd = first; fd <= last && fd < (unsigned)net_desc_end(); fd++)
            if (fd_known((int)fd))
                fd_forget((int)fd);
    return close_pieces(first, last, flags);
}

SHIM_API void shim_closefrom(int first) {
    if (!fd_tracked() || shim_close_range(first < 0 ? 0 : (unsigned)first, ~0U, 0) != 0)
        next(closefrom)(first);
}
