/* fd.c - what the shim knows of a descriptor; parking until one is ready
 *
 * All of it is a cache that ends with the descriptor's birth. Where it can be wrong although no
 * birth was missed, it is asked for each time (what a terminal's or pipe's other users do to
 * O_NONBLOCK of 0, 1, 2), or being wrong costs only time.
 *
 * A setting belongs to the open description, which may have other numbers here. So a change of one
 * that has, or may have, raises fd_epoch, and all cached settings are asked for again.
 */
#include "shim/fd.h"
#include "shim/pair.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <poll.h>

static _Atomic uint32_t fd_epoch = 1;
static _Atomic bool timeouts_used;

/* ---- what it is ---- */

enum fd_kind fd_socket_kind(int domain, int type, int protocol) {
    switch (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
    case SOCK_STREAM:
        if ((domain == AF_INET || domain == AF_INET6) &&
            (protocol == 0 || protocol == 6 /* IPPROTO_TCP */))
            return FD_TCP;
        return FD_STREAM;
    case SOCK_SEQPACKET:
        return FD_SEQPACKET;
    default:
        return FD_DGRAM;
    }
}

static int socket_option(int fd, int option) {
    int value = 0;
    socklen_t len = sizeof value;
    sys(SYS_getsockopt, fd, SOL_SOCKET, option, &value, &len);
    return value;
}

/* A terminal stops a reader in the background at once, so its reads are the kernel's. A pty's
 * master is not one, and /dev/null and its like never wait. */
static enum fd_kind device_kind(dev_t dev) {
    unsigned ma = major(dev);
    bool master = ma == 5 && minor(dev) == 2;
    bool terminal = ma == 4 || ma == 5 || (ma >= 136 && ma <= 143);
    return ma == 1 || (terminal && !master) ? FD_PLAIN : FD_OTHER;
}

enum fd_kind fd_ask_kind(int fd, bool *fifo) {
    struct stat st = {0};
    *fifo = false;
    if (sys(SYS_fstat, fd, &st) < 0)
        return FD_UNKNOWN;
    if (S_ISSOCK(st.st_mode))
        return fd_socket_kind(socket_option(fd, SO_DOMAIN), socket_option(fd, SO_TYPE),
                              socket_option(fd, SO_PROTOCOL));
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return FD_PLAIN;
    if (S_ISCHR(st.st_mode))
        return device_kind(st.st_rdev);
    *fifo = S_ISFIFO(st.st_mode);
    return FD_OTHER;
}

enum fd_kind fd_classify(struct net_desc *d, int fd) {
    struct fd_info *f = fd_info(d);
    bool fifo;
    uint32_t tag = net_tag(d);
    enum fd_kind kind = fd_ask_kind(fd, &fifo);
    if (kind == FD_UNKNOWN)
        return kind;
    if (fifo)
        fd_flag_set(f, FDF_FIFO);
    /* Closed meanwhile? net_close_end stores the tag, then clears: either it comes after this
     * store, or the tag is seen to differ. */
    atomic_store_explicit(&f->kind, (uint8_t)kind, memory_order_seq_cst);
    if (atomic_load_explicit(&d->tag, memory_order_seq_cst) != tag)
        fd_kind_forget(d);
    return kind;
}

void fd_kind_forget(struct net_desc *d) {
    atomic_store_explicit(&fd_info(d)->kind, FD_UNKNOWN, memory_order_relaxed);
}

/* ---- settings ---- */

void fd_settings_changed(void) { atomic_fetch_add_explicit(&fd_epoch, 1, memory_order_seq_cst); }

void fd_timeouts_used(void) {
    atomic_store_explicit(&timeouts_used, true, memory_order_relaxed);
    fd_settings_changed();
}

static uint64_t socket_timeout(int fd, int option) {
    struct timeval tv = {0, 0};
    socklen_t len = sizeof tv;
    sys(SYS_getsockopt, fd, SOL_SOCKET, option, &tv, &len);
    return (uint64_t)tv.tv_sec * NSEC_PER_SEC + (uint64_t)tv.tv_usec * NSEC_PER_USEC;
}

static void settings_ask(struct net_desc *d, int fd, uint32_t epoch) {
    struct fd_info *f = fd_info(d);
    unsigned was = fd_flags(f), now = 0;
    long fl = sys(SYS_fcntl, fd, F_GETFL);
    if (fl > 0 && (fl & O_NONBLOCK))
        now |= FDF_NONBLOCK;
    if (fd_is_socket(fd_kind(d, fd)) &&
        (!(was & FDF_BORN) || atomic_load_explicit(&timeouts_used, memory_order_relaxed))) {
        if (socket_timeout(fd, SO_RCVTIMEO))
            now |= FDF_RCVTIMEO;
        if (socket_timeout(fd, SO_SNDTIMEO))
            now |= FDF_SNDTIMEO;
    }
    const unsigned asked = FDF_NONBLOCK | FDF_RCVTIMEO | FDF_SNDTIMEO;
    atomic_fetch_and_explicit(&f->flags, (uint16_t) ~(asked & ~now), memory_order_relaxed);
    fd_flag_set(f, now);
    atomic_store_explicit(&f->epoch, epoch, memory_order_relaxed);
}

unsigned fd_settings(struct net_desc *d, int fd) {
    struct fd_info *f = fd_info(d);
    uint32_t epoch = atomic_load_explicit(&fd_epoch, memory_order_seq_cst);
    if (atomic_load_explicit(&f->epoch, memory_order_relaxed) != epoch || fd <= 2)
        settings_ask(d, fd, epoch);
    return fd_flags(f);
}

void fd_nonblock_set(int fd, bool on) {
    struct net_desc *d = net_desc_look(fd);
    if (!fd_tracked()) {
        fd_settings_changed(); /* some number here may name the same description */
        return;
    }
    if (!d)
        return;
    struct fd_info *f = fd_info(d);
    if ((fd_flags(f) & (FDF_BORN | FDF_DUPED)) != FDF_BORN)
        fd_settings_changed();
    else if (on)
        fd_flag_set(f, FDF_NONBLOCK);
    else
        atomic_fetch_and_explicit(&f->flags, (uint16_t)~FDF_NONBLOCK, memory_order_relaxed);
}

/* ---- births ---- */

int fd_born(int fd) {
    if (fd < 0 || !fd_tracked())
        return fd;
    struct net_desc *d = net_desc_look(fd);
    if (d) {
        pair_end(fd, d);
        net_born(d);
        fd_flag_set(fd_info(d), FDF_BORN);
    }
    return fd;
}

void fd_forget(int fd) {
    struct net_desc *d = fd >= 0 && fd_tracked() ? net_desc_look(fd) : NULL;
    if (d) {
        pair_end(fd, d);
        net_close_end(d, net_close_begin(d));
    }
}

int fd_born_as(int fd, enum fd_kind kind, bool nonblock) {
    if (fd < 0 || !fd_tracked())
        return fd;
    struct net_desc *d = getg() ? net_desc(fd) : net_desc_look(fd);
    if (!d)
        return fd;
    pair_end(fd, d);
    net_born(d);
    struct fd_info *f = fd_info(d);
    fd_flag_set(f, FDF_BORN | (nonblock ? FDF_NONBLOCK : 0));
    atomic_store_explicit(&f->kind, (uint8_t)kind, memory_order_relaxed);
    if (!atomic_load_explicit(&timeouts_used, memory_order_relaxed))
        atomic_store_explicit(&f->epoch, atomic_load_explicit(&fd_epoch, memory_order_relaxed),
                              memory_order_relaxed);
    return fd;
}

void fd_shared(int fd) {
    struct net_desc *d = net_desc_look(fd);
    if (!d)
        return;
    fd_flag_set(fd_info(d), FDF_DUPED);
    pair_end(fd, d);
}

void fd_all_shared(void) {
    pair_end_all();
    fd_settings_changed();
}

/* ---- a table of one's own ----
 * What it has copies of when it begins has left, as in a fork. A pair that somebody makes at that
 * very moment is found by net_rescue. */

void fd_table_left(const struct runtime_fds *were) {
    if (table_is_own()) /* it was another one before, which had nothing of ours */
        return;
    table_left(were);
    fd_all_shared();
}

/* ---- waiting ---- */

/* Here nothing is counted or told: a thread that libc has made, or no runtime yet. */
static __attribute__((noinline)) bool io_begin_bare(int fd) {
    struct net_desc *d = !getg() ? net_desc_look(fd) : NULL;
    if (d)
        pair_end(fd, d);
    return false;
}

bool io_begin(struct io *io, int fd, enum net_dir dir, bool cancels) {
    if (unlikely(!net_serves_me()))
        return io_begin_bare(fd);
    struct net_desc *d = net_desc(fd);
    if (unlikely(!d))
        return false;
    if (cancels)
        cancel_test();
    io->d = d;
    io->fd = fd;
    io->dir = dir;
    io->kind = fd_kind(d, fd);
    io->tag = net_tag(d);
    io->cancels = cancels;
    io->restarts = true;
    io->woken = io->timed = io->next_only = false;
    io->mark = signal_mark();
    io->deadline = TIME_FOREVER;
    return io->kind != FD_UNKNOWN;
}

/* SO_RCVTIMEO, SO_SNDTIMEO: from the first wait of the call on. */
static void take_timeout(struct io *io, unsigned settings) {
    io->timed = true;
    if (!(settings & (io->dir == NET_IN ? FDF_RCVTIMEO : FDF_SNDTIMEO)))
        return;
    uint64_t ns = socket_timeout(io->fd, io->dir == NET_IN ? SO_RCVTIMEO : SO_SNDTIMEO);
    if (!ns)
        return;
    io->restarts = false; /* signal(7) */
    uint64_t now = nanotime();
    io->deadline = ns > DEADLINE_MAX - now ? DEADLINE_MAX : now + ns;
}

bool io_wait(struct io *io, long *r) {
    unsigned settings = fd_settings(io->d, io->fd);
    if (settings & FDF_NONBLOCK)
        return false;
    if (!io->timed)
        take_timeout(io, settings);
    return io_park(io, r);
}

/* Somebody closes the descriptor just now: the call is to fail, or to see what comes after. */
static void wait_for_close(struct io *io) {
    while (net_tag(io->d) == io->tag)
        if (!g_yield())
            sys(SYS_sched_yield);
    io->tag = net_tag(io->d);
}

/* The G was woken or interrupted, or its time is up. */
static bool after_wait(struct io *io, enum park_result how, long *r) {
    io->woken = how == PARK_WOKEN;
    if (how == PARK_TIMEOUT)
        return false;
    if (how == PARK_INTERRUPTED) {
        if (io->cancels)
            cancel_test();
        if (signal_ends(io->mark, io->restarts)) {
            *r = -EINTR;
            return false;
        }
    }
    if (net_tag(io->d) != io->tag) { /* closed, and perhaps another file by now */
        *r = -EBADF;
        return false;
    }
    return true;
}

/* A wired G waits in the kernel itself: woken by nobody who has another priority. */
static bool poll_alone(struct io *io, long *r) {
    struct pollfd p = {.fd = io->fd, .events = io->dir == NET_IN ? POLLIN : POLLOUT};
    uint64_t now = nanotime(), ns = io->deadline > now ? io->deadline - now : 0;
    struct timespec left = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)}, *t = &left;
    if (io->deadline == TIME_FOREVER)
        t = NULL;
    long n;
    if (io->cancels) {
        n = LIBC_CALL(next(ppoll)(&p, 1, t, NULL));
        n = n < 0 ? -errno : n;
    } else {
        bool outer = syscall_enter();
        n = sys(SYS_ppoll, &p, 1, t, NULL, 8);
        if (outer)
            syscall_exit();
    }
    if (n == 0)
        return false;
    if (n == -EINTR && signal_ends(io->mark, io->restarts)) {
        *r = -EINTR;
        return false;
    }
    return true;
}

bool io_park(struct io *io, long *r) {
    struct net_desc *d = io->d;
    io->woken = false;
    if (unlikely(g_waits_alone()))
        return poll_alone(io, r);
    if (unlikely(net_tag(d) != io->tag)) {
        *r = -EBADF;
        return false;
    }
    if (unlikely(io->tag & 1)) {
        wait_for_close(io);
        return true;
    }
    if (!pair_tells(d)) {
        int err = io->next_only ? net_arm_next(d, io->fd, io->tag, io->dir)
                                : net_arm(d, io->fd, io->tag, io->dir);
        if (err == EBADF)
            return true; /* closed: the tag has changed, or the next try says so */
        if (err) {
            *r = IO_BRACKET;
            return false;
        }
    }
    section_begin(); /* a handler may jump away: not before net_leave */
    struct waiter *w = net_enqueue(d, io->dir, io->seq);
    enum park_result how = PARK_WOKEN;
    if (w) {
        how = io->cancels ? cancel_wait(w, io->deadline) : lot_wait(w, io->deadline);
        net_leave(d, io->dir);
    }
    section_end();
    return w ? after_wait(io, how, r) : true;
}

void io_end(struct io *io, long r) {
    if (io->woken && r != -EAGAIN)
        net_pass(io->d, io->dir);
    g_io_done();
}

bool fd_ready_now(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    long r;
    do
        r = sys(SYS_poll, &p, 1, 0);
    while (r == -EINTR);
    return r != 0;
}
