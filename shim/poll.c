/* poll.c - poll, select and epoll_wait park the goroutine
 *
 * poll and select ask the kernel without waiting; if nothing is ready they put a watch on each
 * descriptor (netpoll.h) and park until one of them fires or the time is up, then ask again. An
 * event between asking and watching shows in the descriptor's sequence number, as for a read.
 * The deadline is the runtime's, to the nanosecond.
 *
 * An epoll descriptor of the program's can itself be polled: waiting for it is like a read.
 *
 * A goroutine that is wired waits in the kernel, unless the call brings a mask, of which the kernel
 * knows nothing. One with a descriptor table of its own (wired.c) has to in any case (kernel_wait):
 *   (1) a section begins, in which signals are put by, and the M blocks all in the kernel,
 *   (2) if one has been put by, or a handler has run, it does not wait,
 *   (3) the kernel opens the M's mask and waits, in one: a signal since (1) ends the wait,
 *   (4) the M's mask is as before, and the section ends: handlers run, as the G's mask says.
 * A cancellation comes as a signal too, since CANCEL_ASYNC is set meanwhile (cancel.c).
 */
#include "shim/fd.h"
#include "shim/pair.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>

#define FEW 16 /* so many watches stand on the stack: 1 KB */

struct mux {
    struct net_watch *watch;
    nfds_t n;     /* watches there is room for */
    nfds_t begun; /* of which this many are in their descriptors' lists */
    uint64_t mark;
    uint64_t deadline;
    bool cancels;
    _Atomic uint32_t fired;
};

#define IN_EVENTS (POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND | POLLRDHUP)
#define OUT_EVENTS (POLLOUT | POLLWRNORM | POLLWRBAND)

/* What is to be heard of a descriptor; hang-ups and errors are heard in both directions. */
static uint8_t dirs_of(short events) {
    uint8_t dirs = 0;
    if ((events & IN_EVENTS) || !(events & OUT_EVENTS))
        dirs |= 1 << NET_IN;
    if (events & OUT_EVENTS)
        dirs |= 1 << NET_OUT;
    return dirs;
}

/* Before asking. False: one has no poll descriptor. */
static bool note_all(struct mux *x, const struct pollfd *p) {
    for (nfds_t i = 0; i < x->n; i++) {
        struct net_watch *w = &x->watch[i];
        w->dirs = 0;
        if (p[i].fd < 0)
            continue;
        w->desc = net_desc(p[i].fd);
        if (!w->desc)
            return false;
        w->fired = &x->fired;
        w->dirs = dirs_of(p[i].events);
        w->seq[NET_IN] = net_seq(w->desc, NET_IN);
        w->seq[NET_OUT] = net_seq(w->desc, NET_OUT);
    }
    return true;
}

/* Makes sure that epoll tells of them. False: the kernel has to wait. */
static bool arm_all(struct mux *x, const struct pollfd *p) {
    for (nfds_t i = 0; i < x->n; i++) {
        struct net_watch *w = &x->watch[i];
        if (!w->dirs || pair_tells(w->desc))
            continue;
        uint32_t tag = net_tag(w->desc);
        for (int dir = NET_IN; dir <= NET_OUT; dir++) {
            int err = w->dirs & (1 << dir) ? net_arm(w->desc, p[i].fd, tag, (enum net_dir)dir) : 0;
            bool closing = net_tag(w->desc) != tag || (tag & 1); /* its end is an event */
            if (err == EPERM)
                w->dirs = 0; /* a file: always ready, so nobody waits for what it has */
            else if (err && !closing)
                return false;
        }
    }
    return true;
}

static void unwatch(struct mux *x) {
    for (; x->begun; x->begun--)
        if (x->watch[x->begun - 1].dirs)
            net_watch_remove(&x->watch[x->begun - 1]);
}

/* Parks until one of them fires. 0: look again; -EAGAIN: the time is up; -EINTR. */
static long mux_park(struct mux *x) {
    atomic_store_explicit(&x->fired, 0, memory_order_relaxed);
    section_begin(); /* a handler may jump away: not while watches are on the stack */
    if (signal_ends(x->mark,
                    false)) { /* one that came after the last look would be waited for in vain */
        section_end();
        return -EINTR;
    }
    for (; x->begun < x->n; x->begun++)
        if (x->watch[x->begun].dirs)
            net_watch_add(&x->watch[x->begun]);
    uintptr_t addr = (uintptr_t)&x->fired;
    struct waiter *w = lot_self(NULL);
    enum park_result how = PARK_WOKEN;
    struct bucket *b = lot_lock(addr);
    if (atomic_load_explicit(&x->fired, memory_order_relaxed)) {
        lot_unlock(b);
    } else {
        lot_enqueue_interruptible(b, w, addr, WAIT_POLL);
        lot_unlock(b);
        how = x->cancels ? cancel_wait(w, x->deadline) : lot_wait(w, x->deadline);
    }
    unwatch(x);
    section_end();
    if (how == PARK_INTERRUPTED && signal_ends(x->mark, false))
        return -EINTR;
    return how == PARK_TIMEOUT ? -EAGAIN : 0;
}

/* False: no memory. */
static bool mux_begin(struct mux *x, struct net_watch *few, nfds_t n, uint64_t deadline,
                      uint64_t mark, bool cancels) {
    *x = (struct mux){.watch = few, .n = n, .mark = mark, .deadline = deadline, .cancels = cancels};
    if (n > FEW) {
        long at = sys(SYS_mmap, NULL, n * sizeof *few, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        x->watch = at < 0 && at > -4096 ? NULL : (struct net_watch *)at;
    }
    return x->watch != NULL;
}

static void mux_end(struct mux *x) {
    if (x->n > FEW)
        sys(SYS_munmap, x->watch, x->n * sizeof *x->watch);
}

/* A wait as poll makes it: ask() gives what the call would return without waiting, or, with a mask,
 * waits until the deadline with that mask in the kernel. */
struct asker {
    long (*ask)(void *arg, uint64_t deadline, const uint64_t *mask);
    void *arg;
};

/* Even a call that does not wait fails with EINTR if a signal is there, also if it is another
 * thread's. */
static long ask(struct asker a) {
    long r;
    do
        r = a.ask(a.arg, 0, NULL);
    while (r == -EINTR);
    return r;
}

/* What is left until then, for a call that takes NULL for ever. */
static __attribute__((noinline)) struct timespec *left_of(uint64_t deadline, struct timespec *t) {
    uint64_t now = nanotime(), ns = deadline > now ? deadline - now : 0;
    *t = (struct timespec){(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
    return deadline == TIME_FOREVER ? NULL : t;
}

static int left_ms(uint64_t deadline) {
    uint64_t now = nanotime();
    if (deadline == TIME_FOREVER)
        return -1;
    uint64_t ms = deadline > now ? (deadline - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* One wait in the kernel, see the head. */
static long kernel_wait_once(const struct mux *x, struct asker a) {
    struct thread *t = thread_self();
    _Atomic int *bits = tcb_cancelhandling(t->tcb);
    section_begin();
    uint64_t open = signals_unwanted();
    m_mask_set(UINT64_MAX);
    int was = x->cancels ? atomic_fetch_or(bits, CANCEL_ASYNC) : 0;
    long r = -EINTR;
    if (!m_has_attention() && !signal_ends(x->mark, false) && !(x->cancels && cancel_pending(t))) {
        chaos_late("kernel_wait");
        r = a.ask(a.arg, x->deadline, &open);
    }
    if (x->cancels && !(was & CANCEL_ASYNC))
        atomic_fetch_and(bits, ~CANCEL_ASYNC);
    m_mask_follow();
    section_end();
    return r;
}

static long kernel_wait(struct asker a, uint64_t deadline, uint64_t mark, bool cancels) {
    struct mux x = {.mark = mark, .deadline = deadline, .cancels = cancels};
    long r = ask(a); /* what is ready counts more than a signal */
    while (!r && deadline) {
        r = kernel_wait_once(&x, a);
        if (cancels)
            cancel_test();
        if (r != -EINTR || signal_ends(mark, false))
            break;
        r = 0;
    }
    return r;
}

static long mux_wait(struct mux *x, const struct pollfd *p, struct asker asker) {
    long r;
    for (;;) {
        if (!note_all(x, p))
            return IO_BRACKET;
        r = ask(asker);
        if (r)
            return r;
        if (signal_ends(x->mark, false)) /* a handler that the call's mask let through */
            return -EINTR;
        if (x->deadline <= nanotime())
            return 0;
        if (!arm_all(x, p))
            return IO_BRACKET;
        r = mux_park(x);
        if (x->cancels && cancel_pending(thread_self())) {
            mux_end(x);
            x->n = 0;
            cancel_test();
        }
        if (r == -EINTR)
            return r;
    }
}

/* ---- poll ---- */

struct poll_args {
    struct pollfd *p;
    nfds_t n;
};

static long ask_poll(void *arg, uint64_t deadline, const uint64_t *mask) {
    struct poll_args *a = arg;
    struct timespec t;
    if (likely(!mask))
        return sys(SYS_poll, a->p, a->n, 0);
    return sys(SYS_ppoll, a->p, a->n, left_of(deadline, &t), mask, sizeof *mask);
}

static long poll_parked(struct pollfd *p, nfds_t n, uint64_t deadline, uint64_t mark,
                        bool cancels) {
    struct net_watch few[FEW];
    struct mux x;
    struct poll_args args = {p, n};
    long r = ask((struct asker){ask_poll, &args}); /* also says whether p can be read */
    if (r || !deadline)
        return r;
    if (!mux_begin(&x, few, n, deadline, mark, cancels))
        return IO_BRACKET;
    r = mux_wait(&x, p, (struct asker){ask_poll, &args});
    mux_end(&x);
    return r;
}

long mux_poll(struct pollfd *p, nfds_t n, uint64_t deadline, const void *mask, bool cancels) {
    uint64_t old, mark = signal_mark();
    if (!g_may_park() || (!mask && g_waits_alone()))
        return IO_BRACKET;
    if (cancels)
        cancel_test();
    if (!mask)
        return poll_parked(p, n, deadline, mark, cancels);
    struct asker a = {ask_poll, &(struct poll_args){p, n}};
    signal_mask_enter(mask, &old);
    long r = table_is_own() ? kernel_wait(a, deadline, mark, cancels)
                            : poll_parked(p, n, deadline, mark, cancels);
    signal_mask_leave(old);
    return r;
}

/* ---- select ---- */

#define SELECT_MAX FD_SETSIZE
#define WORD_BITS (8 * sizeof(unsigned long))

struct select_args {
    int n;
    void *set[3];                                  /* the program's */
    unsigned long want[3][SELECT_MAX / WORD_BITS]; /* as it gave them */
};

static size_t set_bytes(int n) { return ((size_t)n + WORD_BITS - 1) / WORD_BITS * sizeof(long); }

static long ask_select(void *arg, uint64_t deadline, const uint64_t *mask) {
    struct select_args *a = arg;
    struct timeval none = {0, 0};
    struct timespec t;
    const uint64_t masks[] = {(uint64_t)mask, sizeof *mask};
    for (int i = 0; i < 3; i++)
        if (a->set[i])
            memcpy(a->set[i], a->want[i], set_bytes(a->n));
    return mask ? sys(SYS_pselect6, a->n, a->set[0], a->set[1], a->set[2], left_of(deadline, &t),
                      masks)
                : sys(SYS_select, a->n, a->set[0], a->set[1], a->set[2], &none);
}

static short select_events(const struct select_args *a, int fd) {
    static const short events[3] = {POLLIN, POLLOUT, POLLPRI};
    short e = 0;
    for (int i = 0; i < 3; i++)
        if (a->set[i] && a->want[i][(size_t)fd / WORD_BITS] >> ((size_t)fd % WORD_BITS) & 1)
            e = (short)(e | events[i]);
    return e;
}

/* The descriptors in the sets; returns how many, p may be NULL. */
static nfds_t select_list(const struct select_args *a, struct pollfd *p) {
    nfds_t k = 0;
    for (int fd = 0; fd < a->n; fd++) {
        short e = select_events(a, fd);
        if (e && p)
            p[k] = (struct pollfd){.fd = fd, .events = e};
        k += e != 0;
    }
    return k;
}

static long select_parked(struct select_args *a, uint64_t deadline, uint64_t mark, bool cancels) {
    struct net_watch few[FEW];
    struct pollfd few_fds[FEW] = {{0}}, *p = few_fds;
    struct mux x;
    long r = ask((struct asker){ask_select, a});
    if (r || !deadline)
        return r;
    nfds_t n = select_list(a, NULL);
    if (!mux_begin(&x, few, n, deadline, mark, cancels))
        return IO_BRACKET;
    if (n > FEW) { /* both in one mapping, the watches first */
        mux_end(&x);
        long at = sys(SYS_mmap, NULL, n * (sizeof *few + sizeof *p), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at < 0 && at > -4096)
            return IO_BRACKET;
        x.watch = (struct net_watch *)at;
        p = (struct pollfd *)(x.watch + n);
    }
    select_list(a, p);
    r = mux_wait(&x, p, (struct asker){ask_select, a});
    if (n > FEW)
        sys(SYS_munmap, x.watch, n * (sizeof *few + sizeof *p));
    return r;
}

long mux_select(int n, void *r, void *w, void *e, uint64_t deadline, const void *mask,
                bool cancels) {
    struct select_args a = {.n = n, .set = {r, w, e}};
    uint64_t mark = signal_mark();
    if (!g_may_park() || n < 0 || n > SELECT_MAX || (!mask && g_waits_alone()))
        return IO_BRACKET;
    if (cancels)
        cancel_test();
    for (int i = 0; i < 3; i++)
        if (a.set[i])
            memcpy(a.want[i], a.set[i], set_bytes(n));
    uint64_t old = 0;
    if (mask)
        signal_mask_enter(mask, &old);
    long ready = mask && table_is_own()
                     ? kernel_wait((struct asker){ask_select, &a}, deadline, mark, cancels)
                     : select_parked(&a, deadline, mark, cancels);
    if (mask)
        signal_mask_leave(old);
    if (ready < 0) /* then the sets are as they were */
        for (int i = 0; i < 3; i++)
            if (a.set[i])
                memcpy(a.set[i], a.want[i], set_bytes(n));
    return ready;
}

/* ---- epoll ---- */

static long epoll_parked(struct io *io, struct epoll_event *ev, int n, uint64_t deadline) {
    long r;
    io->deadline = deadline;
    io->restarts = false;
    io->next_only = true;
    do {
        io_note(io);
        do
            r = sys(SYS_epoll_pwait, io->fd, ev, n, 0, NULL, 8);
        while (r == -EINTR);
        if (r || !deadline)
            return r;
        if (signal_ends(io->mark, false))
            return -EINTR;
        r = -EAGAIN;
    } while (io_park(io, &r));
    return r == -EAGAIN ? 0 : r;
}

struct epoll_args {
    int fd, n;
    struct epoll_event *ev;
};

static long ask_epoll(void *arg, uint64_t deadline, const uint64_t *mask) {
    struct epoll_args *a = arg;
    struct timespec t;
    if (!mask)
        return sys(SYS_epoll_pwait, a->fd, a->ev, a->n, 0, NULL, 8);
    long r = sys(SYS_epoll_pwait2, a->fd, a->ev, a->n, left_of(deadline, &t), mask, sizeof *mask);
    if (r != -ENOSYS && r != -EPERM)
        return r;
    return sys(SYS_epoll_pwait, a->fd, a->ev, a->n, left_ms(deadline), mask, sizeof *mask);
}

static long epoll_alone(struct epoll_args *args, uint64_t deadline, const void *mask,
                        bool cancels) {
    uint64_t old, mark = signal_mark();
    if (cancels)
        cancel_test();
    signal_mask_enter(mask, &old);
    long r = kernel_wait((struct asker){ask_epoll, args}, deadline, mark, cancels);
    signal_mask_leave(old);
    return r;
}

long mux_epoll(int fd, struct epoll_event *ev, int n, uint64_t deadline, const void *mask,
               bool cancels) {
    struct io io;
    if (mask && unlikely(table_is_own()) && g_may_park())
        return epoll_alone(&(struct epoll_args){fd, n, ev}, deadline, mask, cancels);
    if (!io_begin(&io, fd, NET_IN, cancels))
        return IO_BRACKET;
    uint64_t old = 0;
    if (mask)
        signal_mask_enter(mask, &old);
    long r = epoll_parked(&io, ev, n, deadline);
    if (mask)
        signal_mask_leave(old);
    io_end(&io, r);
    return r;
}

/* ---- wrappers ---- */

/* The kernel waits: the P goes at once, unless it is only asked. */
#define MUX_RESULT(r, deadline, call)                                                              \
    ({                                                                                             \
        long mux_ = (r);                                                                           \
        if (mux_ == IO_BRACKET)                                                                    \
            mux_ = (deadline) ? LIBC_CALL_BLOCK_EINTR(call) : LIBC_CALL_EINTR(call);               \
        else if (mux_ < 0)                                                                         \
            mux_ = (errno = (int)-mux_, -1);                                                       \
        (int)mux_;                                                                                 \
    })

/* Milliseconds from now; negative: for ever. */
static uint64_t deadline_ms(int ms) {
    if (ms < 0)
        return TIME_FOREVER;
    return ms ? nanotime() + (uint64_t)ms * NSEC_PER_MSEC : 0;
}

/* 0: only asks. EINVAL as the kernel. */
static int deadline_of(const struct timespec *t, uint64_t *deadline) {
    *deadline = TIME_FOREVER;
    if (!t)
        return 0;
    int err = deadline_rel(t, deadline);
    if (!err && !t->tv_sec && !t->tv_nsec)
        *deadline = 0;
    return err;
}

SHIM_API int shim_poll(struct pollfd *p, nfds_t n, int timeout) {
    if (!g_may_park())
        return next(poll)(p, n, timeout);
    uint64_t d = deadline_ms(timeout);
    return MUX_RESULT(mux_poll(p, n, d, NULL, true), d, next(poll)(p, n, left_ms(d)));
}

SHIM_API int shim_poll_chk(struct pollfd *p, nfds_t n, int timeout, size_t size) {
    if (!g_may_park() || size / sizeof *p < n)
        return next(__poll_chk)(p, n, timeout, size);
    return shim_poll(p, n, timeout);
}

SHIM_API int shim_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *m) {
    uint64_t d;
    struct timespec left;
    if (!g_may_park() || deadline_of(t, &d))
        return next(ppoll)(p, n, t, m);
    return MUX_RESULT(mux_poll(p, n, d, m, true), d, next(ppoll)(p, n, left_of(d, &left), m));
}

SHIM_API int shim_ppoll_chk(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *m,
                            size_t size) {
    if (!g_may_park() || size / sizeof *p < n)
        return next(__ppoll_chk)(p, n, t, m, size);
    return shim_ppoll(p, n, t, m);
}

SHIM_API int shim_pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *t,
                          const sigset_t *m) {
    uint64_t d;
    struct timespec left;
    if (!g_may_park() || deadline_of(t, &d))
        return next(pselect)(n, r, w, e, t, m);
    return MUX_RESULT(mux_select(n, r, w, e, d, m, true), d,
                      next(pselect)(n, r, w, e, left_of(d, &left), m));
}

/* Linux leaves in *t what was left of it. */
SHIM_API int shim_select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t) {
    if (!g_may_park() || (t && (t->tv_sec < 0 || t->tv_usec < 0)))
        return next(select)(n, r, w, e, t);
    struct timespec left = {0};
    uint64_t d;
    if (t) {
        time_t more = t->tv_usec / 1000000;
        left.tv_sec = t->tv_sec > INT64_MAX - more ? INT64_MAX : t->tv_sec + more;
        left.tv_nsec = t->tv_usec % 1000000 * 1000;
    }
    deadline_of(t ? &left : NULL, &d);
    int ready = MUX_RESULT(mux_select(n, r, w, e, d, NULL, true), d,
                           next(pselect)(n, r, w, e, left_of(d, &left), NULL));
    if (t) {
        int err = errno;
        left_of(d, &left);
        *t = (struct timeval){left.tv_sec, left.tv_nsec / 1000};
        errno = err;
    }
    return ready;
}

SHIM_API int shim_epoll_wait(int fd, struct epoll_event *ev, int n, int timeout) {
    if (!g_may_park())
        return next(epoll_wait)(fd, ev, n, timeout);
    uint64_t d = deadline_ms(timeout);
    return MUX_RESULT(mux_epoll(fd, ev, n, d, NULL, true), d,
                      next(epoll_wait)(fd, ev, n, left_ms(d)));
}

SHIM_API int shim_epoll_pwait(int fd, struct epoll_event *ev, int n, int timeout,
                              const sigset_t *m) {
    if (!g_may_park())
        return next(epoll_pwait)(fd, ev, n, timeout, m);
    uint64_t d = deadline_ms(timeout);
    return MUX_RESULT(mux_epoll(fd, ev, n, d, m, true), d,
                      next(epoll_pwait)(fd, ev, n, left_ms(d), m));
}

SHIM_API int shim_epoll_pwait2(int fd, struct epoll_event *ev, int n, const struct timespec *t,
                               const sigset_t *m) {
    uint64_t d;
    struct timespec left;
    if (!g_may_park() || deadline_of(t, &d))
        return next(epoll_pwait2)(fd, ev, n, t, m);
    return MUX_RESULT(mux_epoll(fd, ev, n, d, m, true), d,
                      next(epoll_pwait2)(fd, ev, n, left_of(d, &left), m));
}
