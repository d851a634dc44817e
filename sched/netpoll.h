/* netpoll.h - waiting for descriptors: the interface of the netpoller to the layer above
 *
 * A descriptor's number has a poll descriptor (struct net_desc), which is never unmapped. Each of
 * its two directions has a sequence number, bumped by every event, and a queue of goroutines in
 * the parking lot. Waiting is always the same four steps:
 *
 *   1. note net_seq, 2. try without blocking; on EAGAIN: 3. net_arm (unless somebody else is sure
 *   to call net_event), 4. net_enqueue with the noted number, then lot_wait and net_leave.
 *
 * net_enqueue refuses if an event has come since 1, and the caller tries again. One event wakes
 * one waiter; a woken waiter passes it on with net_pass unless its try gave EAGAIN. Why nothing is
 * lost stands at the head of netpoll.c.
 */
#ifndef GTHREAD_NETPOLL_H
#define GTHREAD_NETPOLL_H

#include "sched/sched.h"

enum net_dir { NET_IN, NET_OUT };

struct net_watch;

struct net_side {
    _Atomic uint32_t seq; /* bumped by every event */
    _Atomic uint32_t
        nwait; /* Gs queued or about to be, and watches; may be too high, not too low */
};

/* State table of tag:
 *   even  the descriptor is open, or has not been heard of since it was closed
 *   odd   close or dup2 is about to end it: nobody may wait
 * A birth or close gives a value that the descriptor has not had before (it may repeat after 2^31
 * of them), so an event or a waiter of an earlier life is recognised. */
#define NET_NEXT 4 /* in armed: by net_arm_next */
#define NET_DIRS 3

struct net_desc {
    _Atomic uint32_t tag;
    struct lock lock; /* armed, watches. Taken before a bucket of the parking lot */
    struct net_side side[2];
    struct net_watch *watches;
    uint8_t armed;       /* what epoll has been told: 1 << dir; NET_NEXT: before each wait */
    uint8_t net_once;    /* bits 1 << dir: registered for one event by net_rescue */
    _Atomic uint8_t hup; /* peer's end, error or urgent data seen: a short read proves nothing */
    uint8_t rescue_seen; /* net_rescue's: low bits of both seq at the last look */
    uint64_t ext[3];     /* the layer above; zero at birth */
};
_Static_assert(sizeof(struct net_desc) == 64, "one cache line each");

/* Is the caller a goroutine outside of any bracket, and its descriptors those of the process? If
 * not, what is known of a number here is not to be used or changed by it. */
bool net_serves_me(void);

/* Calls fn for every number that has a poll descriptor. */
void net_each(void (*fn)(int fd, struct net_desc *d));

/* The poll descriptor of number fd. NULL: fd is negative or beyond what the table covers, or there
 * is no memory. net_desc_look makes none. Any thread. */
struct net_desc *net_desc(int fd);
struct net_desc *net_desc_look(int fd);
int net_desc_end(void); /* one past the highest number that has one */
static inline void *net_ext(struct net_desc *d) { return d->ext; }

static inline uint32_t net_tag(struct net_desc *d) {
    return atomic_load_explicit(&d->tag, memory_order_acquire);
}
static inline uint32_t net_seq(struct net_desc *d, enum net_dir dir) {
    return atomic_load_explicit(&d->side[dir].seq, memory_order_acquire);
}

/* Sees to it that events of fd in that direction are heard from now on; one that stands already
 * counts as an event. 0, or the errno of epoll_ctl: EPERM (cannot be polled), ENOMEM, ENOSPC,
 * EMFILE... : the caller has to block in the kernel. EBADF also if tag is no longer d's. */
int net_arm(struct net_desc *d, int fd, uint32_t tag, enum net_dir dir);

/* The same for the next event only, to be asked for before each wait: for an epoll descriptor,
 * which would else tell of each event in it, also while nobody waits for them, and wake the poller.
 */
int net_arm_next(struct net_desc *d, int fd, uint32_t tag, enum net_dir dir);

/* Queues the caller's waiter, interruptible, if no event has come since seq was noted; NULL if one
 * has. Then lot_wait (or cancel_wait), then net_leave. G. */
struct waiter *net_enqueue(struct net_desc *d, enum net_dir dir, uint32_t seq);
static inline void net_leave(struct net_desc *d, enum net_dir dir) {
    atomic_fetch_sub_explicit(&d->side[dir].nwait, 1, memory_order_relaxed);
}

/* Something has happened: bumps seq and wakes one waiter (all: every one) and all watches. */
void net_wake_slow(struct net_desc *d, enum net_dir dir, bool all);
static inline void net_event(struct net_desc *d, enum net_dir dir) {
    atomic_fetch_add_explicit(&d->side[dir].seq, 1, memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&d->side[dir].nwait, memory_order_seq_cst) != 0, 0))
        net_wake_slow(d, dir, false);
}
void net_event_all(struct net_desc *d);
/* A woken waiter has got what it wanted: the next one may find more. */
static inline void net_pass(struct net_desc *d, enum net_dir dir) {
    if (__builtin_expect(atomic_load_explicit(&d->side[dir].nwait, memory_order_relaxed) != 0, 0))
        net_wake_slow(d, dir, false);
}

/* The descriptor has just been returned by a call: forgets everything, all who wait see another
 * tag. */
void net_born(struct net_desc *d);
/* It is about to be closed: tag becomes odd, all who wait wake up. Then, after the call,
 * net_close_end with the tag that net_close_begin gave. */
uint32_t net_close_begin(struct net_desc *d);
void net_close_end(struct net_desc *d, uint32_t tag);

/* ---- waiting for several at once ----
 * A watch stands on the stack of the goroutine that waits; all watches of one wait share a `fired`
 * word, which is also the address they park on. */
struct net_watch {
    struct net_desc *desc;
    struct net_watch *next, **link;
    _Atomic uint32_t *fired;
    uint32_t seq[2]; /* as noted before the try */
    uint8_t dirs;    /* bits 1 << dir */
};

/* Starts to watch; *fired becomes 1 at the next event, or at once if one has come since seq. */
void net_watch_add(struct net_watch *w);
void net_watch_remove(struct net_watch *w);

/* ---- the runtime's own descriptors ---- */

/* Is fd one of them: the program must not close it. */
bool net_owns(int fd);
/* Moves a descriptor of the runtime's out of the program's way. The new number; fd if that fails.
 */
int net_fd_high(int fd);
/* The smallest of them that is >= fd, or -1. */
int net_owned_from(int fd);
/* Moves it elsewhere if fd is one of them: the program wants the number. */
void net_make_way(int fd);

/* Looks for events now, without waiting: after a call that makes work for others. G. */
void net_look(void);

/* Descriptors whose events the layer above reports itself (net_event), and may miss, are in use:
 * from now on sysmon looks after those who wait for them for long (net_rescue). `left` is called,
 * on any thread, without locks, for one that has been found to be missed. */
void net_rescue_start(void (*left)(int fd, struct net_desc *d));

#endif
