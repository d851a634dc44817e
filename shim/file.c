/* file.c - read and write: sockets, pipes and what else waits; files
 *
 * By what the descriptor is (fd_kind): a socket as in socket.c; pipes and the like by preadv2 and
 * pwritev2 with RWF_NOWAIT, which leave the open description alone; what refuses that is polled
 * first and then read in a bracket; files go to the kernel in a bracket at once, since the page
 * cache mostly has what is read, and RWF_NOWAIT before it would be a second call where not.
 */
#include "shim/fd.h"
#include "shim/iovec.h"
#include "shim/pair.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the kernel moves in one call: MAX_RW_COUNT. */
#define RW_MAX 0x7ffff000UL

/* ---- pipes and devices ---- */

/* RWF_NOWAIT is refused: is there something to wait for? */
static long poll_first(struct io *io) {
    if (io->dir == NET_OUT && !(fd_flags(fd_info(io->d)) & FDF_FIFO))
        return IO_BRACKET; /* eventfd, device: a write waits seldom */
    return fd_ready_now(io->fd, io->dir == NET_IN ? POLLIN : POLLOUT) ? IO_BRACKET : -EAGAIN;
}

static inline long try_vector(struct io *io, const struct iovec *v, int n) {
    struct fd_info *f = fd_info(io->d);
    unsigned refused = (unsigned)FDF_NO_NOWAIT << io->dir;
    io_note(io);
    if (io->dir == NET_IN && pair_empty(io))
        return -EAGAIN;
    if (unlikely(fd_flags(f) & refused))
        return poll_first(io);
    long r = io->dir == NET_IN ? sys(SYS_preadv2, io->fd, v, n, -1L, -1L, RWF_NOWAIT)
                               : sys(SYS_pwritev2, io->fd, v, n, -1L, -1L, RWF_NOWAIT);
    if (unlikely(r == -EOPNOTSUPP || r == -ENOSYS)) {
        fd_flag_set(f, refused);
        return poll_first(io);
    }
    return r;
}

static long other_read(struct io *io, const struct iovec *v, int n) {
    long r;
    do
        r = try_vector(io, v, n);
    while (r == -EAGAIN && io_wait(io, &r));
    if (r > 0)
        pair_took(io, r);
    return r;
}

/* The rest of what did not fit into the pipe at once. */
static long pipe_rest(struct io *io, const struct iovec *v, int n, size_t sent) {
    struct iov_rest rest;
    size_t total = iov_begin(&rest, v, n), done = sent;
    int pieces = 0;
    long r = (long)sent;
    if (total > RW_MAX)
        total = RW_MAX;
    while (done < total) {
        if (r > 0)
            pieces = iov_advance(&rest, (size_t)r);
        r = try_vector(io, rest.part, pieces);
        if (r > 0) {
            pair_gave(io, r);
            done += (size_t)r;
        } else if (r == IO_BRACKET) {
            r = IO_KERNEL(io, sys(SYS_writev, io->fd, rest.part, pieces));
            if (r <= 0)
                break;
            done += (size_t)r;
        } else if (r != -EAGAIN || !io_wait(io, &r)) {
            if (r != IO_BRACKET)
                break;
            r = IO_KERNEL(io, sys(SYS_writev, io->fd, rest.part, pieces));
            if (r <= 0)
                break;
            done += (size_t)r;
        }
    }
    return (long)done;
}

static long other_write(struct io *io, const struct iovec *v, int n) {
    long r;
    do
        r = try_vector(io, v, n);
    while (r == -EAGAIN && io_wait(io, &r));
    if (r > 0) {
        pair_gave(io, r);
        if ((fd_flags(fd_info(io->d)) & FDF_FIFO))
            r = pipe_rest(io, v, n, (size_t)r);
    }
    return r;
}

/* Of one piece: the way of a pipe that is a pair, where the counts tell that it does not wait. */
static inline long pipe_read(struct io *io, void *buf, size_t n) {
    struct iovec v = {buf, n};
    long r;
    do {
        io_note(io);
        if (pair_has(io))
            r = IO_KERNEL_SHORT(io, sys(SYS_read, io->fd, buf, n));
        else
            r = try_vector(io, &v, 1);
    } while (r == -EAGAIN && io_wait(io, &r));
    if (r > 0)
        pair_took(io, r);
    return r;
}

static inline long pipe_write(struct io *io, const void *buf, size_t n) {
    struct iovec v = {(void *)buf, n};
    if (n > PAIR_SMALL)
        pair_note_large(fd_info(io->d));
    if (!pair_has_room(io, n))
        return other_write(io, &v, 1);
    long r = IO_KERNEL_SHORT(io, sys(SYS_write, io->fd, buf, n));
    if (r > 0)
        pair_gave(io, r);
    return r;
}

/* ---- by kind ---- */

/* r is of a call for sockets. The number may have become something else where nobody looks, as by
 * an io_uring: what read and write never say tells. */
static inline long if_socket(struct io *io, long r) {
    if (likely(r != -ENOTSOCK))
        return r;
    fd_kind_forget(io->d);
    return IO_BRACKET;
}

long io_read(int fd, void *buf, size_t n, bool cancels) {
    struct io io;
    if (!io_begin(&io, fd, NET_IN, cancels) || io.kind == FD_PLAIN || !n)
        return IO_BRACKET;
    long r =
        fd_is_socket(io.kind) ? if_socket(&io, sock_read(&io, buf, n)) : pipe_read(&io, buf, n);
    io_end(&io, r);
    return r;
}

long io_write(int fd, const void *buf, size_t n, bool cancels) {
    struct io io;
    if (!io_begin(&io, fd, NET_OUT, cancels) || io.kind == FD_PLAIN || n > RW_MAX)
        return IO_BRACKET;
    long r;
    if (fd_is_socket(io.kind))
        r = if_socket(&io, sock_write(&io, buf, n, io.kind == FD_SEQPACKET ? MSG_EOR : 0));
    else
        r = pipe_write(&io, buf, n);
    io_end(&io, r);
    return r;
}

long io_readv(int fd, const struct iovec *v, int n, bool cancels) {
    struct io io;
    if (!io_begin(&io, fd, NET_IN, cancels) || io.kind == FD_PLAIN || n <= 0 || n > IOV_MAX)
        return IO_BRACKET;
    long r;
    if (!fd_is_socket(io.kind)) {
        r = other_read(&io, v, n);
        io_end(&io, r);
        return r;
    }
    struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
    do {
        io_note(&io);
        r = sys(SYS_recvmsg, fd, &m, MSG_DONTWAIT);
    } while (r == -EAGAIN && io_wait(&io, &r));
    if (r > 0)
        pair_took(&io, r);
    r = if_socket(&io, r);
    io_end(&io, r);
    return r;
}

long io_writev(int fd, const struct iovec *v, int n, bool cancels) {
    struct io io;
    if (!io_begin(&io, fd, NET_OUT, cancels) || io.kind == FD_PLAIN || n <= 0 || n > IOV_MAX)
        return IO_BRACKET;
    if (fd_is_socket(io.kind)) {
        struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
        return if_socket(&io, net_sendmsg(fd, &m, io.kind == FD_SEQPACKET ? MSG_EOR : 0, cancels));
    }
    pair_note_large(fd_info(io.d));
    long r = other_write(&io, v, n);
    io_end(&io, r);
    return r;
}

/* ---- wrappers ---- */

/* Not a file, where a short write says that there is no room, and a second one may raise SIGXFSZ.
 */
static bool writes_all(int fd) {
    struct net_desc *d = net_desc_look(fd);
    bool fifo;
    if (!net_serves_me())
        return fd_ask_kind(fd, &fifo) > FD_PLAIN;
    return d && fd_kind(d, fd) != FD_PLAIN;
}

/* In the kernel, which returns early when it is interrupted with a part written. */
static ssize_t kernel_write(int fd, const char *b, size_t n) {
    uint64_t mark = signal_mark();
    ssize_t r = LIBC_CALL(next(write)(fd, b, n)), more = r;
    if (r <= 0 || (size_t)r == n || !writes_all(fd))
        return r;
    while (more > 0 && (size_t)r < n && !signal_cuts(mark)) {
        more = LIBC_CALL(next(write)(fd, b + r, n - (size_t)r));
        r += more > 0 ? more : 0;
    }
    return r;
}

static ssize_t kernel_writev(int fd, const struct iovec *v, int n) {
    uint64_t mark = signal_mark();
    ssize_t r = LIBC_CALL(next(writev)(fd, v, n)), more = r;
    struct iov_rest rest;
    if (r <= 0 || (size_t)r == iov_begin(&rest, v, n) || !writes_all(fd))
        return r;
    while (more > 0 && !signal_cuts(mark)) {
        int pieces = iov_advance(&rest, (size_t)more);
        more = pieces ? LIBC_CALL(next(writev)(fd, rest.part, pieces)) : 0;
        r += more > 0 ? more : 0;
    }
    return r;
}

SHIM_API ssize_t shim_read(int fd, void *b, size_t n) {
    return IO_RESULT(io_read(fd, b, n, true), next(read)(fd, b, n));
}

SHIM_API ssize_t shim_read_chk(int fd, void *b, size_t n, size_t size) {
    return IO_RESULT(n > size ? IO_BRACKET : io_read(fd, b, n, true),
                     next(__read_chk)(fd, b, n, size));
}

SHIM_API ssize_t shim_write(int fd, const void *b, size_t n) {
    return IO_RESULT_BY(io_write(fd, b, n, true), kernel_write(fd, b, n));
}

SHIM_API ssize_t shim_readv(int fd, const struct iovec *v, int n) {
    return IO_RESULT(io_readv(fd, v, n, true), next(readv)(fd, v, n));
}

SHIM_API ssize_t shim_writev(int fd, const struct iovec *v, int n) {
    return IO_RESULT_BY(io_writev(fd, v, n, true), kernel_writev(fd, v, n));
}

/* At -1 and without flags they are readv and writev. */
SHIM_API ssize_t shim_preadv2(int fd, const struct iovec *v, int n, off_t at, int fl) {
    return IO_RESULT(at == -1 && !fl ? io_readv(fd, v, n, true) : IO_BRACKET,
                     next(preadv2)(fd, v, n, at, fl));
}

SHIM_API ssize_t shim_pwritev2(int fd, const struct iovec *v, int n, off_t at, int fl) {
    return IO_RESULT(at == -1 && !fl ? io_writev(fd, v, n, true) : IO_BRACKET,
                     next(pwritev2)(fd, v, n, at, fl));
}

/* Eight bytes, no more and no less. */
SHIM_API int shim_eventfd_read(int fd, eventfd_t *value) {
    return shim_read(fd, value, sizeof *value) == sizeof *value ? 0 : -1;
}

SHIM_API int shim_eventfd_write(int fd, eventfd_t value) {
    return shim_write(fd, &value, sizeof value) == sizeof value ? 0 : -1;
}
