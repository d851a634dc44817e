/* socket.c - sockets: sending and receiving with MSG_DONTWAIT, accept and connect
 *
 * Blocking semantics on top of calls that do not block: a stream send goes on until all is sent,
 * MSG_WAITALL until all is received; a message is one piece. What has no such form goes to the
 * kernel in a bracket. The program's vectors and headers are read here only after the kernel has
 * read them: a bad pointer gets EFAULT.
 *
 * Drained: a read from a plain TCP socket that gave less than was asked for has emptied it, so with
 * no event since the next read that may wait parks at once (epoll(7)). Not after a hang-up, an
 * error or urgent data (net_desc.hup): then a short read proves nothing.
 */
#include "shim/fd.h"
#include "shim/iovec.h"
#include "shim/pair.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* These never wait, or in a way of their own. */
#define DIRECT_IN (MSG_OOB | MSG_ERRQUEUE)
#define DIRECT_OUT (MSG_ZEROCOPY | MSG_FASTOPEN)

/* Goes on with the bracket where the rest of a stream has to wait in the kernel, and makes one
 * result of what has been moved and what stopped it. */
#define STREAM_RESULT(io, r, done, rest)                                                           \
    ({                                                                                             \
        long part_ = (r);                                                                          \
        if (unlikely(part_ == IO_BRACKET && (done)))                                               \
            part_ = IO_KERNEL(io, rest);                                                           \
        (done) ? (long)(done) + (part_ > 0 && part_ != (r) ? part_ : 0) : part_;                   \
    })

/* ---- receiving ---- */

/* True: nothing has come since a read has emptied the socket (io->seq is noted). */
static inline bool still_drained(struct io *io) {
    return io->kind == FD_TCP &&
           atomic_load_explicit(&fd_info(io->d)->drained, memory_order_relaxed) == io->seq + 1 &&
           !atomic_load_explicit(&io->d->hup, memory_order_relaxed) &&
           !(fd_settings(io->d, io->fd) & FDF_NONBLOCK); /* it would not wait for the event */
}

static inline void note_drained(struct io *io, long r, size_t n) {
    if (io->kind == FD_TCP && r > 0 && (size_t)r < n)
        atomic_store_explicit(&fd_info(io->d)->drained, io->seq + 1, memory_order_relaxed);
}

/* After EAGAIN, for a call that may have been told not to wait. */
static inline bool wait_unless(struct io *io, int flags, long *r) {
    return !(flags & MSG_DONTWAIT) && io_wait(io, r);
}

/* A try. Flags other than none make a short read mean something else. */
static inline long try_recv(struct io *io, void *buf, size_t n, int flags, struct sockaddr *from,
                            socklen_t *len) {
    io_note(io);
    if (!flags && (still_drained(io) || (io->kind == FD_STREAM && pair_empty(io))))
        return -EAGAIN;
    long r = sys(SYS_recvfrom, io->fd, buf, n, flags | MSG_DONTWAIT, from, len);
    if (r > 0 && !(flags & MSG_PEEK)) {
        pair_took(io, r);
        if (!flags)
            note_drained(io, r, n);
    }
    return r;
}

/* MSG_WAITALL on a stream. */
static long recv_all(struct io *io, char *buf, size_t n, int flags) {
    size_t done = 0;
    long r;
    for (;;) {
        r = try_recv(io, buf + done, n - done, flags, NULL, NULL);
        if (r == -EAGAIN && wait_unless(io, flags, &r))
            continue;
        bool by_kernel = r == IO_BRACKET && done;
        if (by_kernel)
            r = IO_KERNEL(io, sys(SYS_recvfrom, io->fd, buf + done, n - done, flags, 0, 0));
        done += r > 0 ? (size_t)r : 0;
        if (done == n || r <= 0 || (by_kernel && signal_cuts(io->mark)))
            break;
    }
    return done ? (long)done : r;
}

/* n is not 0: that would take a message of no bytes, where read takes nothing. */
long sock_read(struct io *io, void *buf, size_t n) {
    long r;
    do
        r = try_recv(io, buf, n, 0, NULL, NULL);
    while (r == -EAGAIN && io_wait(io, &r));
    return r;
}

long net_recv(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len,
              bool cancels) {
    struct io io;
    if ((flags & DIRECT_IN) || !io_begin(&io, fd, NET_IN, cancels) || !fd_is_socket(io.kind))
        return IO_BRACKET;
    long r;
    if (unlikely(flags & MSG_WAITALL) && fd_is_stream(io.kind)) {
        if ((flags & MSG_PEEK) || from)
            return IO_BRACKET; /* only the kernel can wait for so much and leave it there */
        r = recv_all(&io, buf, n, flags);
    } else {
        do
            r = try_recv(&io, buf, n, flags, from, len);
        while (r == -EAGAIN && wait_unless(&io, flags, &r));
    }
    io_end(&io, r);
    return r;
}

void net_control_born(struct msghdr *m) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
                int fd;
                memcpy(&fd, (char *)c + at, sizeof fd);
                fd_born(fd);
            }
}

long net_recvmsg(int fd, struct msghdr *m, int flags, bool cancels) {
    struct io io;
    if ((flags & DIRECT_IN) || !io_begin(&io, fd, NET_IN, cancels) || !fd_is_socket(io.kind))
        return IO_BRACKET;
    if ((flags & MSG_WAITALL) && fd_is_stream(io.kind))
        return IO_BRACKET; /* control data of several pieces: only the kernel can */
    long r;
    do {
        io_note(&io);
        r = sys(SYS_recvmsg, fd, m, flags | MSG_DONTWAIT);
    } while (r == -EAGAIN && wait_unless(&io, flags, &r));
    if (r > 0 && !(flags & MSG_PEEK))
        pair_took(&io, r);
    if (r >= 0)
        net_control_born(m);
    io_end(&io, r);
    return r;
}

long net_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t,
                  bool cancels) {
    struct io io;
    if (t || (flags & DIRECT_IN) || !io_begin(&io, fd, NET_IN, cancels) || io.kind < FD_SEQPACKET)
        return IO_BRACKET;
    unsigned done = 0;
    long r;
    for (;;) {
        io_note(&io);
        r = sys(SYS_recvmmsg, fd, m + done, n - done, (flags & ~MSG_WAITFORONE) | MSG_DONTWAIT,
                NULL);
        if (r > 0)
            done += (unsigned)r;
        if (done && ((flags & MSG_WAITFORONE) || done == n))
            break;
        if (r <= 0 && (r != -EAGAIN || !wait_unless(&io, flags, &r)))
            break;
    }
    r = STREAM_RESULT(&io, r, done, sys(SYS_recvmmsg, fd, m + done, n - done, flags, NULL));
    for (long i = 0; i < r; i++)
        net_control_born(&m[i].msg_hdr);
    io_end(&io, r);
    return r;
}

/* ---- sending ---- */

/* For a full receiver of a datagram there is no event (unix(7)): the kernel waits. */
static bool wait_to_send(struct io *io, int flags, long *r) {
    if (io->kind != FD_DGRAM)
        return wait_unless(io, flags, r);
    if (!(flags & MSG_DONTWAIT) && !(fd_settings(io->d, io->fd) & FDF_NONBLOCK))
        *r = IO_BRACKET;
    return false;
}

/* EPIPE behind a part that was sent is the next call's, with its signal. */
#define REST_FLAGS(done) ((done) ? MSG_DONTWAIT | MSG_NOSIGNAL : MSG_DONTWAIT)

static inline long send_all(struct io *io, const void *buf, size_t n, int flags,
                            const struct sockaddr *to, socklen_t len) {
    const char *at = buf;
    size_t done = 0;
    long r;
    for (;;) {
        io_note(io);
        r = sys(SYS_sendto, io->fd, at + done, n - done, flags | REST_FLAGS(done), to, len);
        if (likely(r >= 0)) {
            pair_gave(io, r);
            done += (size_t)r;
            if (likely(done == n || !fd_is_stream(io->kind)))
                break;
        } else if (r != -EAGAIN || !wait_to_send(io, flags, &r)) {
            if (r != IO_BRACKET || !done)
                break;
            r = IO_KERNEL(
                io, sys(SYS_sendto, io->fd, at + done, n - done, flags | MSG_NOSIGNAL, to, len));
            done += r > 0 ? (size_t)r : 0;
            if (r <= 0 || done == n || signal_cuts(io->mark))
                break;
        }
    }
    return done ? (long)done : r;
}

long sock_write(struct io *io, const void *buf, size_t n, int flags) {
    return send_all(io, buf, n, flags, NULL, 0);
}

long net_send(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
              socklen_t len, bool cancels) {
    struct io io;
    if ((flags & DIRECT_OUT) || !io_begin(&io, fd, NET_OUT, cancels) || !fd_is_socket(io.kind))
        return IO_BRACKET;
    long r = send_all(&io, buf, n, flags, to, len);
    io_end(&io, r);
    return r;
}

/* Descriptors that go along are another process's too. */
static void control_shared(const struct msghdr *m) {
    struct msghdr copy = *m;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
                int fd;
                memcpy(&fd, (char *)c + at, sizeof fd);
                fd_shared(fd);
            }
}

/* The rest of a message of which a part has been sent: `sent` bytes. */
static long send_rest(struct io *io, const struct msghdr *m, int flags, size_t sent) {
    struct msghdr rest = *m;
    struct iov_rest v;
    size_t total = iov_begin(&v, m->msg_iov, (int)m->msg_iovlen), done = sent;
    long r = (long)sent;
    rest.msg_control = NULL; /* went with the first part */
    rest.msg_controllen = 0;
    while (done < total) {
        if (r > 0) {
            rest.msg_iovlen = (size_t)iov_advance(&v, (size_t)r);
            rest.msg_iov = v.part;
        }
        io_note(io);
        r = sys(SYS_sendmsg, io->fd, &rest, flags | REST_FLAGS(true));
        if (r > 0) {
            pair_gave(io, r);
            done += (size_t)r;
        } else if (r != -EAGAIN || !wait_unless(io, flags, &r)) {
            if (r != IO_BRACKET)
                break;
            r = IO_KERNEL(io, sys(SYS_sendmsg, io->fd, &rest, flags | MSG_NOSIGNAL));
            done += r > 0 ? (size_t)r : 0;
            if (r <= 0 || signal_cuts(io->mark))
                break;
        }
    }
    return (long)done;
}

long net_sendmsg(int fd, const struct msghdr *m, int flags, bool cancels) {
    struct io io;
    if ((flags & DIRECT_OUT) || !io_begin(&io, fd, NET_OUT, cancels) || !fd_is_socket(io.kind))
        return IO_BRACKET;
    long r;
    do {
        io_note(&io);
        r = sys(SYS_sendmsg, fd, m, flags | MSG_DONTWAIT);
    } while (r == -EAGAIN && wait_to_send(&io, flags, &r));
    if (r >= 0) {
        if (m->msg_controllen)
            control_shared(m);
        pair_gave(&io, r);
        if (fd_is_stream(io.kind))
            r = send_rest(&io, m, flags, (size_t)r);
    }
    io_end(&io, r);
    return r;
}

long net_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, bool cancels) {
    struct io io;
    if ((flags & DIRECT_OUT) || !io_begin(&io, fd, NET_OUT, cancels) || io.kind < FD_SEQPACKET)
        return IO_BRACKET;
    unsigned done = 0;
    long r;
    for (;;) {
        io_note(&io);
        r = sys(SYS_sendmmsg, fd, m + done, n - done, flags | MSG_DONTWAIT);
        for (long i = 0; i < r; i++)
            if (m[done + i].msg_hdr.msg_controllen)
                control_shared(&m[done + i].msg_hdr);
        if (r > 0) {
            pair_gave(&io, r);
            done += (unsigned)r;
        }
        if (done == n || (r <= 0 && (r != -EAGAIN || !wait_to_send(&io, flags, &r))))
            break;
    }
    r = STREAM_RESULT(&io, r, done, sys(SYS_sendmmsg, fd, m + done, n - done, flags));
    io_end(&io, r);
    return r;
}

/* ---- connections ---- */

/* Accepting has no form that does not block, so: look, then accept in a bracket. In between another
 * goroutine must not take the connection, or this one would wait in the kernel: `accepting` is a
 * lock that is waited for like a connection, and whoever drops it with one tells the next (an
 * event). Who drops it with none noted seq before he looked, so he sees one that came since.
 * Another process can still be faster; then a kernel thread is what it costs. */
static long accept_if_ready(struct io *io, struct sockaddr *a, socklen_t *len, int flags) {
    struct fd_info *f = fd_info(io->d);
    if (atomic_exchange_explicit(&f->accepting, 1, memory_order_acquire))
        return -EAGAIN;
    long r = -EAGAIN;
    if (fd_ready_now(io->fd, POLLIN))
        r = IO_KERNEL(io, sys(SYS_accept4, io->fd, a, len, flags));
    atomic_store_explicit(&f->accepting, 0, memory_order_release);
    if (r != -EAGAIN)
        net_event(io->d, NET_IN);
    return r;
}

long net_accept(int fd, struct sockaddr *a, socklen_t *len, int flags, bool cancels) {
    struct io io;
    if (!io_begin(&io, fd, NET_IN, cancels) || !fd_is_socket(io.kind))
        return IO_BRACKET;
    enum fd_kind kind = io.kind;
    long r;
    if (fd_settings(io.d, fd) & FDF_NONBLOCK) {
        r = sys(SYS_accept4, fd, a, len, flags);
    } else {
        do {
            io_note(&io);
            r = accept_if_ready(&io, a, len, flags);
        } while (r == -EAGAIN && io_wait(&io, &r));
    }
    if (r >= 0)
        fd_born_as((int)r, kind, flags & SOCK_NONBLOCK);
    io_end(&io, r);
    return r;
}

SHIM_API int shim_accept(int fd, struct sockaddr *a, socklen_t *len) {
    long r = net_accept(fd, a, len, 0, true);
    if (unlikely(r == IO_BRACKET))
        return fd_born(LIBC_CALL_BLOCK(next(accept)(fd, a, len)));
    return (int)IO_RESULT(r, -1);
}

SHIM_API int shim_accept4(int fd, struct sockaddr *a, socklen_t *len, int flags) {
    long r = net_accept(fd, a, len, flags, true);
    if (unlikely(r == IO_BRACKET))
        return fd_born(LIBC_CALL_BLOCK(next(accept4)(fd, a, len, flags)));
    return (int)IO_RESULT(r, -1);
}

/* Does a connection to there take milliseconds rather than microseconds? */
static bool is_far(const struct sockaddr *a, socklen_t len) {
    if (!a || len < sizeof(struct sockaddr_in))
        return false;
    if (a->sa_family == AF_INET)
        return ((const unsigned char *)&((const struct sockaddr_in *)a)->sin_addr)[0] != 127;
    return a->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6) &&
           !IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

/* A connection made here is mostly work for a goroutine here: it accepts before the queue of the
 * listening socket overflows (NETPOLL 4.3). */
void net_connected(void) {
    if (g_may_park()) {
        int err = errno;
        net_look();
        g_yield();
        errno = err;
    }
}

/* Connecting has no form that does not wait either, and no poll to ask first: the kernel waits. To
 * another host for long, so the P goes to others at once. */
SHIM_API int shim_connect(int fd, const struct sockaddr *a, socklen_t len) {
    if (!getg())
        return next(connect)(fd, a, len);
    int r = is_far(a, len) ? LIBC_CALL_BLOCK(next(connect)(fd, a, len))
                           : LIBC_CALL(next(connect)(fd, a, len));
    if (r == 0)
        net_connected();
    return r;
}

/* ---- settings ---- */

SHIM_API int shim_shutdown(int fd, int how) {
    int r = next(shutdown)(fd, how);
    struct net_desc *d = fd_tracked() ? net_desc_look(fd) : NULL;
    if (r == 0 && d) {
        atomic_store_explicit(&d->hup, 1, memory_order_relaxed);
        pair_end(fd, d);
        net_event_all(d);
    }
    return r;
}

SHIM_API int shim_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    int r = next(setsockopt)(fd, level, name, value, len);
    if (r == 0 && level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
        fd_timeouts_used();
    struct net_desc *d = r == 0 && fd_tracked() ? net_desc(fd) : NULL;
    if (!d)
        return r;
    if (level == SOL_SOCKET && name == SO_RCVLOWAT) /* when to return is the kernel's to say */
        atomic_store_explicit(&fd_info(d)->kind, FD_PLAIN, memory_order_relaxed);
    else if (level == SOL_TCP && name == TCP_ULP) /* records: a short read proves nothing */
        atomic_store_explicit(&fd_info(d)->kind, FD_STREAM, memory_order_relaxed);
    return r;
}

/* ---- wrappers ---- */

SHIM_API ssize_t shim_recv(int fd, void *b, size_t n, int fl) {
    return IO_RESULT(net_recv(fd, b, n, fl, NULL, NULL, true), next(recv)(fd, b, n, fl));
}

SHIM_API ssize_t shim_recv_chk(int fd, void *b, size_t n, size_t size, int fl) {
    long r = n > size ? IO_BRACKET : net_recv(fd, b, n, fl, NULL, NULL, true);
    return IO_RESULT(r, next(__recv_chk)(fd, b, n, size, fl));
}

SHIM_API ssize_t shim_recvfrom(int fd, void *b, size_t n, int fl, struct sockaddr *from,
                               socklen_t *len) {
    return IO_RESULT(net_recv(fd, b, n, fl, from, len, true),
                     next(recvfrom)(fd, b, n, fl, from, len));
}

SHIM_API ssize_t shim_recvfrom_chk(int fd, void *b, size_t n, size_t size, int fl,
                                   struct sockaddr *from, socklen_t *len) {
    long r = n > size ? IO_BRACKET : net_recv(fd, b, n, fl, from, len, true);
    return IO_RESULT(r, next(__recvfrom_chk)(fd, b, n, size, fl, from, len));
}

SHIM_API ssize_t shim_recvmsg(int fd, struct msghdr *m, int fl) {
    long r = net_recvmsg(fd, m, fl, true);
    if (likely(r != IO_BRACKET))
        return IO_RESULT(r, -1);
    r = LIBC_CALL(next(recvmsg)(fd, m, fl));
    if (r >= 0)
        net_control_born(m);
    return r;
}

SHIM_API int shim_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int fl, struct timespec *t) {
    long r = net_recvmmsg(fd, m, n, fl, t, true);
    if (likely(r != IO_BRACKET))
        return (int)IO_RESULT(r, -1);
    r = LIBC_CALL(next(recvmmsg)(fd, m, n, fl, t));
    for (long i = 0; i < r; i++)
        net_control_born(&m[i].msg_hdr);
    return (int)r;
}

SHIM_API ssize_t shim_send(int fd, const void *b, size_t n, int fl) {
    return IO_RESULT(net_send(fd, b, n, fl, NULL, 0, true), next(send)(fd, b, n, fl));
}

SHIM_API ssize_t shim_sendto(int fd, const void *b, size_t n, int fl, const struct sockaddr *to,
                             socklen_t len) {
    return IO_RESULT(net_send(fd, b, n, fl, to, len, true), next(sendto)(fd, b, n, fl, to, len));
}

SHIM_API ssize_t shim_sendmsg(int fd, const struct msghdr *m, int fl) {
    return IO_RESULT(net_sendmsg(fd, m, fl, true), next(sendmsg)(fd, m, fl));
}

SHIM_API int shim_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int fl) {
    return (int)IO_RESULT(net_sendmmsg(fd, m, n, fl, true), next(sendmmsg)(fd, m, n, fl));
}
