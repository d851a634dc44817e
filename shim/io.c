/* io.c - calls that may block in the kernel, bracketed: files, children, queues between processes
 *
 * Their kin: names of files in path.c, users and hosts in names.c.
 */
#include "shim/bracket.h"
#include "shim/pair.h"

#include <aio.h>
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* ---- reading and writing at a place ---- */

typedef const struct iovec *iov;

/* Where reads have lately waited for the disk, the page cache is asked first, and the P given away
 * before a wait. A file can end, or the cache have a part only: then the rest is read as usual. */
static ssize_t pread_slow(struct call_habit *h, int fd, char *b, size_t n, off_t at) {
    struct iovec v = {b, n};
    cancel_test();
    ssize_t got = sys(SYS_preadv2, fd, &v, 1, at, 0, RWF_NOWAIT);
    if (got == (ssize_t)n)
        return got;
    if (got < 0)
        got = 0;
    ssize_t r = got ? LIBC_CALL(next(pread)(fd, b + got, n - (size_t)got, at + got))
                    : BRACKETED(syscall_enter_block(), syscall_exit_habit(h), true,
                                next(pread)(fd, b, n, at));
    return r >= 0 ? got + r : got ? got : r;
}

SHIM_API ssize_t shim_pread(int fd, void *b, size_t n, off_t at) {
    static struct call_habit habit;
    if (!getg())
        return next(pread)(fd, b, n, at);
    if (unlikely(habit_gives(&habit)) && at >= 0)
        return pread_slow(&habit, fd, b, n, at);
    return BRACKETED(syscall_enter_habit(&habit), syscall_exit_habit(&habit), true,
                     next(pread)(fd, b, n, at));
}

KEEP(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
KEEP(ssize_t, preadv, (int fd, iov v, int n, off_t at), (fd, v, n, at))
KEEP(ssize_t, pwritev, (int fd, iov v, int n, off_t at), (fd, v, n, at))
KEEP(ssize_t, __pread_chk, (int fd, void *b, size_t n, off_t at, size_t size), (fd, b, n, at, size))

/* ---- processes ---- */

GIVE(pid_t, wait, (int *status), (status))
GIVE_UNLESS((options & WNOHANG), pid_t, waitpid, (pid_t pid, int *status, int options),
            (pid, status, options))
GIVE_UNLESS((options & WNOHANG), pid_t, wait3, (int *status, int options, struct rusage *ru),
            (status, options, ru))
GIVE_UNLESS((options & WNOHANG), pid_t, wait4,
            (pid_t pid, int *status, int options, struct rusage *ru), (pid, status, options, ru))
GIVE_UNLESS((options & WNOHANG), int, waitid,
            (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options))

/* ---- files ---- */

KEEP(int, fsync, (int fd), (fd))
KEEP(int, fdatasync, (int fd), (fd))
KEEP(int, msync, (void *at, size_t n, int fl), (at, n, fl))
KEEP(int, flock, (int fd, int op), (fd, op))
KEEP(int, lockf, (int fd, int cmd, off_t len), (fd, cmd, len))
KEEP(ssize_t, copy_file_range, (int in, off64_t *ai, int out, off64_t *ao, size_t n, unsigned fl),
     (in, ai, out, ao, n, fl))

/* Room that is made or given back, and what is to be on the disk before the call returns. */
SHIM_API void shim_sync(void) { LIBC_CALL((next(sync)(), 0)); }
KEEP(int, syncfs, (int fd), (fd))
KEEP(int, sync_file_range, (int fd, off64_t at, off64_t n, unsigned fl), (fd, at, n, fl))
KEEP(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
KEEP(int, posix_fadvise, (int fd, off_t at, off_t n, int advice), (fd, at, n, advice))
KEEP(ssize_t, readahead, (int fd, off64_t at, size_t n), (fd, at, n))
KEEP(int, ftruncate, (int fd, off_t n), (fd, n))
KEEP(ssize_t, getdents64, (int fd, void *b, size_t n), (fd, b, n))

/* Returns the error, so the bracket does not see an EINTR that was not the caller's. */
SHIM_API int shim_posix_fallocate(int fd, off_t at, off_t n) {
    uint64_t mark = signal_mark();
    int r;
    do
        r = LIBC_CALL(next(posix_fallocate)(fd, at, n));
    while (r == EINTR && !signal_ends(mark, true));
    return r;
}

/* ---- terminals: until what was written has gone out ---- */

KEEP(int, tcdrain, (int fd), (fd))
KEEP(int, tcsendbreak, (int fd, int ms), (fd, ms))
KEEP(int, tcsetattr, (int fd, int when, const struct termios *t), (fd, when, t))

/* ---- what the kernel knows at random: only while a machine starts ---- */

KEEP(ssize_t, getrandom, (void *b, size_t n, unsigned fl), (b, n, fl))
KEEP(int, getentropy, (void *b, size_t n), (b, n))

/* These move data between descriptors, in the kernel, untold (pair.c). */
#define MOVES(name, from, to, params, args)                                                        \
    SHIM_API ssize_t shim_##name params {                                                          \
        pair_end_fd(from);                                                                         \
        pair_end_fd(to);                                                                           \
        return LIBC_CALL(next(name) args);                                                         \
    }

MOVES(sendfile, from, to, (int to, int from, off_t *at, size_t n), (to, from, at, n))
MOVES(splice, in, out, (int in, off64_t *ai, int out, off64_t *ao, size_t n, unsigned fl),
      (in, ai, out, ao, n, fl))
MOVES(tee, in, out, (int in, int out, size_t n, unsigned fl), (in, out, n, fl))
MOVES(vmsplice, fd, fd, (int fd, const struct iovec *v, size_t n, unsigned fl), (fd, v, n, fl))

/* ---- queues and semaphores between processes ---- */

/* What is left of a relative time-out when a call that nothing of the caller's has ended is made
 * again. Only then is it read: before, a bad one is libc's or the kernel's to refuse. */
struct time_left {
    const struct timespec *given;
    struct timespec left;
    uint64_t begun, deadline; /* 0: the call has not been made, or not again */
};
static const struct timespec *time_rest(struct time_left *l) {
    if (!l->given || !l->begun) {
        l->begun = nanotime();
        return l->given;
    }
    if (!l->deadline) {
        deadline_rel(l->given, &l->deadline); /* it was good enough for the kernel */
        if (l->deadline != TIME_FOREVER)
            l->deadline -= nanotime() - l->begun;
    }
    l->left = time_until(l->deadline);
    return &l->left;
}

GIVE_UNLESS((fl & IPC_NOWAIT), ssize_t, msgrcv, (int id, void *m, size_t n, long type, int fl),
            (id, m, n, type, fl))
KEEP(int, msgsnd, (int id, const void *m, size_t n, int fl), (id, m, n, fl))
KEEP(int, semop, (int id, struct sembuf *ops, size_t n), (id, ops, n))

SHIM_API int shim_semtimedop(int id, struct sembuf *ops, size_t n, const struct timespec *t) {
    if (!getg())
        return next(semtimedop)(id, ops, n, t);
    struct time_left l = {.given = t};
    return LIBC_CALL(next(semtimedop)(id, ops, n, time_rest(&l)));
}

KEEP(ssize_t, mq_receive, (mqd_t q, char *m, size_t n, unsigned *prio), (q, m, n, prio))
KEEP(ssize_t, mq_timedreceive,
     (mqd_t q, char *m, size_t n, unsigned *prio, const struct timespec *t), (q, m, n, prio, t))
KEEP(int, mq_send, (mqd_t q, const char *m, size_t n, unsigned prio), (q, m, n, prio))
KEEP(int, mq_timedsend, (mqd_t q, const char *m, size_t n, unsigned prio, const struct timespec *t),
     (q, m, n, prio, t))

/* ---- work that threads of libc's own do ---- */

SHIM_API int shim_aio_suspend(const struct aiocb *const list[], int n, const struct timespec *t) {
    if (!getg())
        return next(aio_suspend)(list, n, t);
    struct time_left l = {.given = t};
    return LIBC_CALL_BLOCK(next(aio_suspend)(list, n, time_rest(&l)));
}

/* Until all have been worked on. False: a handler has ended the wait, errno EINTR. */
static bool listed_done(struct aiocb *const list[], int n) {
    for (int i = 0; i < n; i++) {
        const struct aiocb *one = list[i];
        while (one && one->aio_lio_opcode != LIO_NOP && aio_error(one) == EINPROGRESS)
            if (shim_aio_suspend(&one, 1, NULL))
                return false;
    }
    return true;
}

/* libc's own, when its wait is interrupted, leaves requests behind that it must not be given again.
 * So they are only handed in there, and waited for here. No cancellation point. */
SHIM_API int shim_lio_listio(int mode, struct aiocb *const list[], int n, struct sigevent *ev) {
    if (!getg() || mode != LIO_WAIT)
        return next(lio_listio)(mode, list, n, ev);
    int state, r = next(lio_listio)(LIO_NOWAIT, list, n, NULL);
    if (r)
        return r;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    bool done = listed_done(list, n);
    pthread_setcancelstate(state, NULL);
    if (!done)
        return -1;
    for (int i = 0; i < n; i++)
        if (list[i] && list[i]->aio_lio_opcode != LIO_NOP && aio_error(list[i])) {
            errno = EIO;
            r = -1;
        }
    return r;
}
