/* fd.h - what the shim knows of a descriptor, and the loop in which a call waits for one
 *
 * A blocking call on a goroutine is tried without blocking and parks on EAGAIN:
 *
 *     struct io io;
 *     long r = IO_BRACKET;
 *     if (io_begin(&io, fd, NET_IN, cancels)) {
 *         do {
 *             io_note(&io);
 *             r = (the call, without blocking);
 *         } while (r == -EAGAIN && io_wait(&io, &r));
 *         io_end(&io, r);
 *     }
 *     return IO_RESULT(r, libc's own call);
 *
 * The open description is never changed: its flags may be other processes' too. Results are the
 * kernel's, -errno; IO_BRACKET asks for the blocking call in a bracket (syscall.c of sched).
 */
#ifndef GTHREAD_FD_H
#define GTHREAD_FD_H

#include "sched/netpoll.h"
#include "shim/shim.h"
#include "shim/signal.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define IO_BRACKET (-4096L) /* one below the kernel's lowest error */

enum fd_kind {
    FD_UNKNOWN, /* to be asked for: fd_kind() */
    FD_PLAIN,   /* a file, directory, terminal: never waits for long, or has to in the kernel */
    FD_OTHER,   /* pipe, eventfd, device...: preadv2 with RWF_NOWAIT, else poll first */
    FD_TCP,     /* a plain TCP socket: a short read has emptied it */
    FD_STREAM,  /* another stream socket */
    FD_SEQPACKET,
    FD_DGRAM, /* and all other sockets */
};

enum {
    FDF_NONBLOCK = 1,   /* O_NONBLOCK; like the next two as of `epoch` */
    FDF_RCVTIMEO = 2,   /* SO_RCVTIMEO is not 0 */
    FDF_SNDTIMEO = 4,   /* SO_SNDTIMEO likewise */
    FDF_BORN = 8,       /* made by a call that we saw, so we know what was set since */
    FDF_DUPED = 16,     /* another number may name the same description */
    FDF_NO_NOWAIT = 32, /* RWF_NOWAIT is refused for reading; << 1: for writing */
    FDF_FIFO = 128,     /* a write may have to wait for a reader */
    FDF_LARGE = 256,    /* pieces over PAIR_SMALL have been written to the pipe */
    FDF_ROOMY = 512,    /* the pipe has PAIR_PAGES or more; neither: nobody has asked */
    FDF_CRAMPED = 1024, /* it has fewer */
};

/* In net_ext(); zero at birth. Written by whoever learns it; two may learn the same. */
struct fd_info {
    _Atomic uint8_t kind;      /* enum fd_kind */
    _Atomic uint8_t accepting; /* 1: a goroutine is between poll and accept */
    _Atomic uint16_t flags;    /* FDF_* */
    _Atomic uint32_t epoch;    /* fd_epoch when flags were asked for; 0: not yet */
    _Atomic uint32_t drained;  /* seq when a short read emptied it, + 1; 0: none has */
    _Atomic int32_t peer1;     /* pair.c: number of the other end + 1; 0: none, or it is not sure */
    _Atomic int64_t count;     /* pair.c: bytes that are in the pipe to this end */
};
_Static_assert(sizeof(struct fd_info) <= sizeof(((struct net_desc *)0)->ext), "fd_info");

static inline struct fd_info *fd_info(struct net_desc *d) { return net_ext(d); }
static inline unsigned fd_flags(struct fd_info *f) {
    return atomic_load_explicit(&f->flags, memory_order_relaxed);
}
static inline void fd_flag_set(struct fd_info *f, unsigned flag) {
    atomic_fetch_or_explicit(&f->flags, (uint16_t)flag, memory_order_relaxed);
}

/* Asks the kernel what fd is. FD_UNKNOWN: it is not open. fd_classify notes it. */
enum fd_kind fd_ask_kind(int fd, bool *fifo);
enum fd_kind fd_classify(struct net_desc *d, int fd);
void fd_kind_forget(struct net_desc *d); /* it is to be asked for again */
static inline enum fd_kind fd_kind(struct net_desc *d, int fd) {
    enum fd_kind k = atomic_load_explicit(&fd_info(d)->kind, memory_order_relaxed);
    return likely(k != FD_UNKNOWN) ? k : fd_classify(d, fd);
}
/* Would a read (POLLIN) or write (POLLOUT) not wait now? Even a poll that does not wait fails with
 * EINTR if a signal is there, also if it is another thread's. */
bool fd_ready_now(int fd, short events);
static inline bool fd_is_socket(enum fd_kind k) { return k >= FD_TCP; }
static inline bool fd_is_stream(enum fd_kind k) { return k == FD_TCP || k == FD_STREAM; }
enum fd_kind fd_socket_kind(int domain, int type, int protocol);

/* Present FDF_NONBLOCK, FDF_RCVTIMEO, FDF_SNDTIMEO among the others. */
unsigned fd_settings(struct net_desc *d, int fd);
/* fclose(3) and popen(3)'s side of fd_born; f may be NULL. */
FILE *stream_born(FILE *f);

/* Settings of an unknown set of descriptions have changed. */
void fd_settings_changed(void);
/* O_NONBLOCK of fd's description has been set by the program. */
void fd_nonblock_set(int fd, bool on);
/* SO_RCVTIMEO or SO_SNDTIMEO is used in this process. */
void fd_timeouts_used(void);

/* May the caller change what is known of descriptors? Before the runtime runs too, where the
 * program has one thread (pairs that it makes are mostly for threads it will make); not in a child
 * of vfork, which finds its G in a bracket, nor on threads that libc has made, nor on those with a
 * descriptor table of their own. */
static inline bool fd_tracked(void) {
    return getg() ? net_serves_me() : !sched_running() && !passthrough();
}

/* A call has given the caller's kernel thread, to which it is wired for good, a descriptor table of
 * its own (unshare(2)). were: from table_leaving, before the call. */
void fd_table_left(const struct runtime_fds *were);

/* What fd names is about to be closed by a call that is not ours to look into, or has left. */
void fd_forget(int fd);

/* fd was just returned by a call: nothing known of the number holds any more. Before the runtime
 * runs there is nothing to forget. errno survives. Returns fd. */
int fd_born(int fd);
/* The same when it is known what it is. */
int fd_born_as(int fd, enum fd_kind kind, bool nonblock);
/* Another number may name fd's description from now on, maybe in another process. */
void fd_shared(int fd);
/* Everything open may be shared with a process that is about to be made. */
void fd_all_shared(void);

/* ---- waiting ---- */

struct io {
    struct net_desc *d;
    int fd;
    enum net_dir dir;
    enum fd_kind kind;
    uint32_t tag, seq;
    bool cancels;   /* is the call a cancellation point? */
    bool restarts;  /* does SA_RESTART apply? */
    bool woken;     /* holds the token of an event */
    bool timed;     /* deadline is set */
    bool next_only; /* asks for an event before each wait: an epoll descriptor */
    uint64_t mark;
    uint64_t deadline;
};

/* False: the caller cannot park, or fd has no poll descriptor: the kernel's business. */
bool io_begin(struct io *io, int fd, enum net_dir dir, bool cancels);
static inline void io_note(struct io *io) { io->seq = net_seq(io->d, io->dir); }
/* After EAGAIN: parks until there may be more. True: try again. False: *r is the result. */
bool io_wait(struct io *io, long *r);
/* The same for a descriptor whose O_NONBLOCK is no matter, until io->deadline. */
bool io_park(struct io *io, long *r);
/* The call's result is r: passes on the wake-up, gives others a turn. */
void io_end(struct io *io, long r);

/* The call itself in a bracket, -errno. It ends with EINTR only for a handler of this goroutine's.
 */
#define IO_KERNEL(io, call)                                                                        \
    ({                                                                                             \
        long k_;                                                                                   \
        do                                                                                         \
            k_ = LIBC_CALL(call);                                                                  \
        while (unlikely(k_ == -EINTR) && !signal_ends((io)->mark, (io)->restarts));                \
        k_;                                                                                        \
    })
/* For one that does not wait, but for a wrong guess: there is no habit to learn. */
#define IO_KERNEL_SHORT(io, call)                                                                  \
    ({                                                                                             \
        long k_;                                                                                   \
        do {                                                                                       \
            bool outer_ = syscall_enter();                                                         \
            k_ = (call);                                                                           \
            if (likely(outer_))                                                                    \
                syscall_exit();                                                                    \
        } while (unlikely(k_ == -EINTR) && !signal_ends((io)->mark, (io)->restarts));              \
        k_;                                                                                        \
    })

/* What the wrapper returns for a result r; libc's own call where the kernel is to wait. */
#define IO_RESULT(r, call) IO_RESULT_BY(r, LIBC_CALL(call))
#define IO_RESULT_BY(r, kernel)                                                                    \
    ({                                                                                             \
        long res_ = (r);                                                                           \
        if (unlikely(res_ < 0)) {                                                                  \
            if (res_ == IO_BRACKET) {                                                              \
                res_ = (kernel);                                                                   \
            } else {                                                                               \
                errno = (int)-res_;                                                                \
                res_ = -1;                                                                         \
            }                                                                                      \
        }                                                                                          \
        res_;                                                                                      \
    })

/* ---- the calls, as -errno or IO_BRACKET: for the wrappers and for syscall() ---- */

struct iovec;
struct msghdr;
struct mmsghdr;
struct epoll_event;

long io_read(int fd, void *buf, size_t n, bool cancels);
long io_write(int fd, const void *buf, size_t n, bool cancels);
long io_readv(int fd, const struct iovec *v, int n, bool cancels);
long io_writev(int fd, const struct iovec *v, int n, bool cancels);

/* Of read and write on a socket, after io_begin. */
long sock_read(struct io *io, void *buf, size_t n);
long sock_write(struct io *io, const void *buf, size_t n, int flags);

long net_recv(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len,
              bool cancels);
long net_send(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
              socklen_t len, bool cancels);
long net_recvmsg(int fd, struct msghdr *m, int flags, bool cancels);
long net_sendmsg(int fd, const struct msghdr *m, int flags, bool cancels);
long net_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t,
                  bool cancels);
long net_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, bool cancels);
/* Descriptors that came along with a message are new here. */
void net_control_born(struct msghdr *m);
/* fd is connected. */
void net_connected(void);
long net_accept(int fd, struct sockaddr *a, socklen_t *len, int flags, bool cancels);

/* syscall_fd.c: if nr is a call on descriptors, makes it: *r is -errno or the result. G. */
bool syscall_fd(long nr, long a, long b, long c, long d, long e, long f, long *r);

/* close(2); cancels: is it a cancellation point? */
int fd_close(int fd, bool cancels);
int shim_close_range(unsigned first, unsigned last, int flags);
int shim_dup(int fd);
int shim_dup2(int from, int to);
int shim_dup3(int from, int to, int flags);
int shim_fcntl(int fd, int cmd, ...);
int shim_ioctl(int fd, unsigned long request, ...);
int shim_pipe2(int fd[2], int flags);
int shim_signalfd(int fd, const sigset_t *mask, int flags);
int shim_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int shim_shutdown(int fd, int how);
int shim_socket(int domain, int type, int protocol);
int shim_socketpair(int domain, int type, int protocol, int fd[2]);

/* Deadlines of the runtime's clock; mask NULL: the thread's stays. */
long mux_poll(struct pollfd *p, nfds_t n, uint64_t deadline, const void *mask, bool cancels);
long mux_select(int n, void *r, void *w, void *e, uint64_t deadline, const void *mask,
                bool cancels);
long mux_epoll(int fd, struct epoll_event *ev, int n, uint64_t deadline, const void *mask,
               bool cancels);

#endif
