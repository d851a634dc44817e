/* pair.c - pipes and socket pairs whose two ends are both this process's
 *
 * Being registered with epoll costs 400 to 1000 ns a message (NETPOLL 2.2). Where both ends are
 * ours, whoever reads or writes tells the other end itself (net_event), and nothing is registered.
 * The reading end also counts the bytes that are on their way to it, so that
 *   - a read of what is empty parks without asking the kernel,
 *   - a read of a pipe that has something, and a write into one that has room, are plain calls in a
 *     bracket: RWF_NOWAIT would cost 27 %. A wrong guess waits in the kernel: slow, not wrong.
 *
 *   writer: (1) writes, (2) adds to count, (3) bumps the reader's seq (seq_cst), (4) wakes it if
 *           nwait says so.
 *   reader: (1) notes seq, (2) sees count <= 0, (3) queues itself if seq is what it noted
 *           (netpoll.c): so it parks only if no writer has come to (3) since (1).
 *
 * It holds only while nobody else uses the two descriptions. What gives them away ends the pair,
 * and all who wait turn to epoll: close, shutdown, dup and F_DUPFD, fork and spawning, SCM_RIGHTS,
 * stdio (fdopen), splice and its kin, threads that libc has made. What is not seen (a close inside
 * libc, io_uring, /proc/self/fd) is found by sysmon, which after 100 to 200 ms registers those that
 * still wait for one event: net_rescue. If that finds somebody still waiting, the pair ends here.
 */
#include "shim/pair.h"

#include <fcntl.h>
#include <sys/syscall.h>

static _Atomic uint64_t pairs; /* so many have been made and not ended */

static void left(int fd, struct net_desc *d) { pair_end(fd, d); }

static void join(const int fd[2]) {
    if (!fd_tracked())
        return;
    struct net_desc *d[2] = {net_desc(fd[0]), net_desc(fd[1])};
    if (!d[0] || !d[1])
        return;
    net_rescue_start(left);
    atomic_fetch_add_explicit(&pairs, 1, memory_order_relaxed);
    for (int i = 0; i < 2; i++)
        atomic_store_explicit(&fd_info(d[i])->peer1, fd[1 - i] + 1, memory_order_release);
}

void pair_pipe(const int fd[2], int flags) {
    for (int i = 0; i < 2; i++) {
        fd_born_as(fd[i], FD_OTHER, flags & O_NONBLOCK);
        struct net_desc *d = fd_tracked() ? net_desc(fd[i]) : NULL;
        if (d)
            fd_flag_set(fd_info(d), FDF_FIFO);
    }
    if (!(flags & ~(O_CLOEXEC | O_NONBLOCK))) /* a pipe of packets cannot be counted */
        join(fd);
}

void pair_sockets(const int fd[2], enum fd_kind kind, bool nonblock) {
    fd_born_as(fd[0], kind, nonblock);
    fd_born_as(fd[1], kind, nonblock);
    join(fd);
}

bool pair_is_roomy(struct fd_info *f, int fd) {
    unsigned known = fd_flags(f) & (FDF_ROOMY | FDF_CRAMPED);
    if (!known) {
        long size = sys(SYS_fcntl, fd, F_GETPIPE_SZ);
        known = size >= PAIR_PAGES * 4096L ? FDF_ROOMY : FDF_CRAMPED;
        fd_flag_set(f, known);
    }
    return known & FDF_ROOMY;
}

void pair_end_slow(int fd, struct net_desc *d) {
    int peer1 = atomic_exchange_explicit(&fd_info(d)->peer1, 0, memory_order_seq_cst);
    if (!peer1)
        return;
    atomic_fetch_sub_explicit(&pairs, 1, memory_order_relaxed);
    struct net_desc *p = net_desc_look(peer1 - 1);
    int me = fd + 1;
    if (p && atomic_compare_exchange_strong_explicit(&fd_info(p)->peer1, &me, 0,
                                                     memory_order_seq_cst, memory_order_relaxed))
        net_event_all(p);
    net_event_all(d);
}

void pair_end_fd(int fd) {
    struct net_desc *d = fd_tracked() ? net_desc_look(fd) : NULL;
    if (d)
        pair_end(fd, d);
}

void pair_end_all(void) {
    if (atomic_load_explicit(&pairs, memory_order_relaxed))
        net_each(left);
}
