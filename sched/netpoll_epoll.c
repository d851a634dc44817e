/* netpoll_epoll.c - the kernel's side of the netpoller: epoll, and the runtime's own descriptors
 *
 * One epoll instance, one registration per descriptor: edge-triggered, EPOLLIN when a first reader
 * parks, EPOLLOUT too when a first writer does. Registering for output from the start would make
 * every read of the peer's an event (NETPOLL 2.2: +1 us a message). The event's data are the
 * descriptor's number and tag.
 *
 * The program may close, replace or pass over the runtime's two descriptors (DANGERS N4). They sit
 * at the top of the range, are skipped by close and its kin, and step aside for dup2. What is
 * closed behind our back shows as EBADF or EINVAL: the instance is then built anew, and all who
 * wait try again, which registers them.
 */
#include "sched/netpoll.h"
#include "sched/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* The program's descriptors are counted up from 0 and ours down from the limit, but not from
 * beyond this: fork copies the table up to the highest open number, here 64 KB. */
#define TOP_FD 8192
#define BREAK_DATA UINT64_MAX

/* Number + 1; 0: there is none. Written under make_lock. */
static _Atomic int epoll_fd1, break_fd1;
static struct lock make_lock;
/* 0: no break is under way; 1: the eventfd has been written and the poller will see it. */
static _Atomic uint32_t breaking;
static _Atomic bool no_pwait2;
/* arch_cycles() of the last look at the events by anybody. */
static _Atomic uint64_t looked_at;

static int epoll_fd(void) { return atomic_load_explicit(&epoll_fd1, memory_order_acquire) - 1; }
static int break_fd(void) { return atomic_load_explicit(&break_fd1, memory_order_acquire) - 1; }

bool net_running(void) { return epoll_fd() >= 0; }

/* ---- making it ---- */

/* A duplicate of fd at the top of the range, else low; -1: there is no room. */
static int dup_high(int fd) {
    struct rlimit lim = {TOP_FD, TOP_FD};
    sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &lim);
    int top = lim.rlim_cur < TOP_FD ? (int)lim.rlim_cur : TOP_FD;
    long r = -1;
    for (int back = 4; r < 0 && back <= top; back *= 2)
        r = sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, top - back);
    return r < 0 ? -1 : (int)r;
}

int net_fd_high(int fd) {
    int high = fd < 0 ? -1 : dup_high(fd);
    if (high < 0)
        return fd;
    sys(SYS_close, fd);
    return high;
}

/* 0 or an errno. make_lock is held. */
static int make_locked(void) {
    long ev = sys(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ev < 0)
        return (int)-ev;
    long ep = sys(SYS_epoll_create1, EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = BREAK_DATA};
    long r = ep < 0 ? ep : sys(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, ev, &e);
    if (r < 0) {
        sys(SYS_close, ev);
        if (ep >= 0)
            sys(SYS_close, ep);
        return (int)-r;
    }
    atomic_store_explicit(&break_fd1, net_fd_high((int)ev) + 1, memory_order_release);
    atomic_store_explicit(&epoll_fd1, net_fd_high((int)ep) + 1, memory_order_release);
    return 0;
}

static int net_start(void) {
    lock_acquire(&make_lock);
    int err = net_running() ? 0 : make_locked();
    lock_release(&make_lock);
    if (!err)
        poller_break(); /* one that sleeps for deadlines only */
    return err;
}

static void rearm(int fd, struct net_desc *d) {
    (void)fd;
    bool waits = atomic_load_explicit(&d->side[NET_IN].nwait, memory_order_seq_cst) ||
                 atomic_load_explicit(&d->side[NET_OUT].nwait, memory_order_seq_cst);
    if (!d->armed && !d->net_once && !waits)
        return;
    lock_acquire(&d->lock);
    d->armed = d->net_once = 0;
    lock_release(&d->lock);
    net_event_all(d);
}

/* The instance `was` is no longer ours: another one, and everybody registers again. */
static void rebuild(int was) {
    lock_acquire(&make_lock);
    bool mine = epoll_fd() == was;
    if (mine) {
        atomic_store_explicit(&epoll_fd1, 0, memory_order_relaxed);
        atomic_store_explicit(&breaking, 0, memory_order_relaxed);
        make_locked(); /* else the next net_arm tries */
    }
    lock_release(&make_lock);
    if (mine)
        net_each(rearm);
}

/* ---- registering ---- */

static uint32_t epoll_interest(uint8_t dirs) {
    uint32_t e = EPOLLET;
    if (dirs & (1 << NET_IN))
        e |= EPOLLIN | EPOLLPRI | EPOLLRDHUP;
    if (dirs & (1 << NET_OUT))
        e |= EPOLLOUT;
    return e;
}

/* 0 or -errno. A registration that is there already, maybe from an earlier life of the number whose
 * file another number keeps open, is changed: that reports the present state too. again: there
 * mostly is one. */
static long control(int ep, int fd, uint32_t tag, uint32_t events, bool again) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};
    long r = again ? sys(SYS_epoll_ctl, ep, EPOLL_CTL_MOD, fd, &e) : -ENOENT;
    if (r == -ENOENT)
        r = sys(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fd, &e);
    return r == -EEXIST ? sys(SYS_epoll_ctl, ep, EPOLL_CTL_MOD, fd, &e) : r;
}

/* EBADF and EINVAL can mean fd, or our own instance. */
static bool instance_lost(long r, int ep, int fd) {
    return (r == -EBADF && sys(SYS_fcntl, ep, F_GETFD) < 0) || (r == -EINVAL && fd != ep);
}

enum arm {
    ARM_EDGE, /* all events from now on */
    ARM_ONCE, /* one, for net_rescue */
    ARM_NEXT, /* one, unless all are reported anyway */
};

/* Tells the kernel. d->lock. 0 or -errno. */
static long arm_locked(struct net_desc *d, int ep, int fd, uint32_t tag, uint8_t dirs,
                       enum arm how) {
    if (how == ARM_NEXT && (d->armed & dirs) == dirs)
        return 0;
    /* Before: the event can be there at once. */
    d->net_once = how == ARM_ONCE ? dirs : 0;
    uint32_t once = how != ARM_EDGE && !(d->armed & NET_DIRS) ? EPOLLONESHOT : 0;
    long r = control(ep, fd, tag, epoll_interest(d->armed | dirs) | once, how == ARM_NEXT);
    if (r)
        d->net_once = 0;
    else if (!once)
        d->armed |= dirs;
    else if (how == ARM_NEXT)
        d->armed |= NET_NEXT;
    return r;
}

static int arm_slow(struct net_desc *d, int fd, uint32_t tag, uint8_t dirs, enum arm how) {
    for (int tries = 0; tries < 3; tries++) {
        int ep = epoll_fd();
        if (ep < 0) {
            int err = net_start();
            if (err)
                return err;
            continue;
        }
        lock_acquire(&d->lock);
        long r = -EBADF;
        bool ours = net_tag(d) == tag && !(tag & 1);
        if (ours)
            r = arm_locked(d, ep, fd, tag, dirs, how);
        lock_release(&d->lock);
        if (!r || !ours || !instance_lost(r, ep, fd))
            return (int)-r;
        rebuild(ep);
    }
    return EMFILE; /* somebody takes each new one away */
}

int net_arm(struct net_desc *d, int fd, uint32_t tag, enum net_dir dir) {
    if (likely(d->armed & (1 << dir)))
        return 0;
    return arm_slow(d, fd, tag, (uint8_t)(1 << dir), ARM_EDGE);
}

int net_arm_next(struct net_desc *d, int fd, uint32_t tag, enum net_dir dir) {
    return arm_slow(d, fd, tag, (uint8_t)(1 << dir), ARM_NEXT);
}

int net_arm_once(struct net_desc *d, int fd, uint8_t dirs) {
    return arm_slow(d, fd, net_tag(d), dirs, d->armed & NET_DIRS ? ARM_EDGE : ARM_ONCE);
}

/* ---- polling ---- */

/* epoll_pwait2 in nanoseconds; where the kernel (before 5.11) has none, in milliseconds, late
 * rather than early. */
static long epoll_sleep(int ep, struct net_batch *b, uint64_t deadline) {
    uint64_t now = deadline && deadline != TIME_FOREVER ? nanotime() : 0;
    uint64_t ns = deadline > now ? deadline - now : 0;
    if (!no_pwait2) {
        struct timespec ts = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
        long r = sys(SYS_epoll_pwait2, ep, b->ev, NET_BATCH, deadline == TIME_FOREVER ? NULL : &ts,
                     NULL, 8);
        if (r != -ENOSYS && r != -EPERM)
            return r;
        no_pwait2 = true;
    }
    uint64_t ms = (ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    int timeout = deadline == TIME_FOREVER ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
    return sys(SYS_epoll_pwait, ep, b->ev, NET_BATCH, timeout, NULL, 8);
}

void net_poll(struct net_batch *b, uint64_t deadline) {
    b->n = 0;
    int ep = epoll_fd();
    if (ep < 0)
        return;
    long r = deadline ? epoll_sleep(ep, b, deadline)
                      : sys(SYS_epoll_pwait, ep, b->ev, NET_BATCH, 0, NULL, 8);
    atomic_store_explicit(&looked_at, arch_cycles(), memory_order_relaxed);
    if (r >= 0)
        b->n = (int)r;
    else if (r == -EBADF || r == -EINVAL)
        rebuild(ep);
}

/* Only the poller takes the break away: it was meant for it. */
void net_break_seen(void) {
    uint64_t n;
    sys(SYS_read, break_fd(), &n, sizeof n);
    atomic_store_explicit(&breaking, 0, memory_order_seq_cst);
}

/* A thread with a table of its own cannot: sysmon looks after 10 ms at the latest while all Ps
 * compute, and if one is idle such a thread wakes an M for what it has made runnable. */
void net_break(void) {
    uint64_t one = 1;
    if (!table_is_own() && !atomic_exchange_explicit(&breaking, 1, memory_order_seq_cst))
        sys(SYS_write, break_fd(), &one, sizeof one);
}

bool net_batch_broken(const struct net_batch *b) {
    for (int i = 0; i < b->n; i++)
        if (b->ev[i].data.u64 == BREAK_DATA)
            return true;
    return false;
}

uint32_t net_batch_ready(struct net_batch *b) {
    struct wake_list woken = {0};
    for (int i = 0; i < b->n; i++) {
        uint64_t data = b->ev[i].data.u64; // NOLINT: the kernel has filled ev
        uint32_t e = b->ev[i].events;
        if (data == BREAK_DATA)
            continue;
        uint8_t dirs = 0;
        if (e & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            dirs |= 1 << NET_IN;
        if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            dirs |= 1 << NET_OUT;
        net_deliver((int)(uint32_t)data, (uint32_t)(data >> 32), dirs,
                    e & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR), &woken);
    }
    return ready_batch(&woken);
}

uint32_t net_poll_now(void) {
    struct net_batch b;
    net_poll(&b, 0);
    return b.n ? net_batch_ready(&b) : 0;
}

bool net_poll_due(uint64_t cycles) {
    return net_running() && !atomic_load_explicit(&sched.poll_until, memory_order_relaxed) &&
           arch_cycles() - atomic_load_explicit(&looked_at, memory_order_relaxed) > cycles;
}

void net_look(void) {
    struct g *g = getg();
    if (!g || !net_running() || table_is_own())
        return;
    section_enter(g);
    net_poll_now();
    section_leave(g);
}

/* ---- our descriptors among the program's ---- */

bool net_owns(int fd) { return fd >= 0 && net_running() && (fd == epoll_fd() || fd == break_fd()); }

int net_owned_from(int fd) {
    int a = epoll_fd(), b = break_fd();
    if (a < 0)
        return -1;
    int lo = a < b ? a : b, hi = a < b ? b : a;
    return fd <= lo ? lo : fd <= hi ? hi : -1;
}

void net_make_way(int fd) {
    if (!net_owns(fd))
        return;
    lock_acquire(&make_lock);
    _Atomic int *at = fd == epoll_fd() ? &epoll_fd1 : fd == break_fd() ? &break_fd1 : NULL;
    int moved = at ? dup_high(fd) : -1;
    if (moved >= 0)
        atomic_store_explicit(at, moved + 1, memory_order_release);
    lock_release(&make_lock);
}

void net_own_fds(int fd[2]) {
    fd[0] = epoll_fd();
    fd[1] = break_fd();
}

/* The numbers are the child's own copies; what they name is the parent's too. */
void net_epoll_reset_child(bool own_table) {
    if (net_running() && !own_table) {
        sys(SYS_close, epoll_fd());
        sys(SYS_close, break_fd());
    }
    atomic_store(&epoll_fd1, 0);
    atomic_store(&break_fd1, 0);
    atomic_store(&breaking, 0);
    atomic_store(&looked_at, 0);
    make_lock = (struct lock){0};
}
