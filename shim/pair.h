/* pair.h - pipes and socket pairs whose two ends are both this process's; see pair.c */
#ifndef GTHREAD_PAIR_H
#define GTHREAD_PAIR_H

#include "shim/fd.h"

#include <limits.h>

/* What a pipe has, if its user does not have too many (pipe(7)) and nobody has changed it. */
#define PAIR_PAGES 16
/* A pipe of PAIR_PAGES with at most so much in it has room for PIPE_BUF bytes, however they lie:
 * pieces of more than half a page take a page each, smaller ones share. */
#define PAIR_ROOM (24 << 10)
/* The same where no piece is over PAIR_SMALL: but for the first page, which may be nearly read, and
 * the last, each has so much that no further piece fitted. */
#define PAIR_SMALL 512
#define PAIR_ROOM_SMALL (14 * (4096 - PAIR_SMALL))

static inline int pair_peer(struct fd_info *f) {
    return atomic_load_explicit(&f->peer1, memory_order_relaxed) - 1;
}

/* Will whoever uses the other end tell of all that happens to this one? */
static inline bool pair_tells(struct net_desc *d) { return pair_peer(fd_info(d)) >= 0; }

/* After fd has given n bytes to the other end, or taken n from it. */
static inline void pair_gave(struct io *io, long n) {
    int peer = pair_peer(fd_info(io->d));
    if (peer < 0)
        return;
    struct net_desc *p = net_desc_look(peer);
    atomic_fetch_add_explicit(&fd_info(p)->count, n, memory_order_relaxed);
    net_event(p, NET_IN);
}

static inline void pair_took(struct io *io, long n) {
    struct fd_info *f = fd_info(io->d);
    int peer = pair_peer(f);
    if (peer < 0)
        return;
    atomic_fetch_sub_explicit(&f->count, n, memory_order_relaxed);
    net_event(net_desc_look(peer), NET_OUT);
}

/* Bytes that are known to be there to read; may lag behind, and be negative. Of streams only. */
static inline int64_t pair_count(struct fd_info *f) {
    return atomic_load_explicit(&f->count, memory_order_relaxed);
}

/* io->seq is noted: is it sure that a read would find nothing? Not for one that must not wait: it
 * has to look. */
static inline bool pair_empty(struct io *io) {
    struct fd_info *f = fd_info(io->d);
    return pair_peer(f) >= 0 && pair_count(f) <= 0 && !(fd_settings(io->d, io->fd) & FDF_NONBLOCK);
}

/* Is there something to read from a pipe, so that a plain read does not wait? */
static inline bool pair_has(struct io *io) {
    struct fd_info *f = fd_info(io->d);
    return pair_peer(f) >= 0 && pair_count(f) > 0;
}

/* Before a piece is written that may be over PAIR_SMALL. */
static inline void pair_note_large(struct fd_info *f) {
    if (unlikely(!(fd_flags(f) & FDF_LARGE)))
        fd_flag_set(f, FDF_LARGE);
}

/* Has the pipe PAIR_PAGES? Asks the kernel the first time. */
bool pair_is_roomy(struct fd_info *f, int fd);

/* Is there room in a pipe for n bytes, so that a plain write does not wait? An empty one, of
 * whatever size, takes PIPE_BUF. */
static inline bool pair_has_room(struct io *io, size_t n) {
    struct fd_info *f = fd_info(io->d);
    int peer = pair_peer(f);
    if (peer < 0 || n > PIPE_BUF)
        return false;
    int64_t count = pair_count(fd_info(net_desc_look(peer)));
    if (count <= 0)
        return true;
    unsigned flags = fd_flags(f);
    if (unlikely(!(flags & FDF_ROOMY)) && !pair_is_roomy(f, io->fd))
        return false;
    return count <= (flags & FDF_LARGE ? PAIR_ROOM : PAIR_ROOM_SMALL);
}

/* A pipe or socket pair was just made. */
void pair_pipe(const int fd[2], int flags); /* of pipe2 */
void pair_sockets(const int fd[2], enum fd_kind kind, bool nonblock);

/* From now on epoll tells of fd and of its other end. */
void pair_end_slow(int fd, struct net_desc *d);
static inline void pair_end(int fd, struct net_desc *d) {
    if (unlikely(pair_tells(d)))
        pair_end_slow(fd, d);
}
/* The same for a call that moves data without telling; fd may be anything. */
void pair_end_fd(int fd);
void pair_end_all(void);

#endif
