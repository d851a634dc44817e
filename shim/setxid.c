/* setxid.c - setuid and its family: POSIX gives the process ids, Linux each kernel thread
 *
 * glibc's own functions signal every thread that it knows, by the id in struct pthread, which for a
 * goroutine no kernel thread has: they would wait for ever. So the call is made here, on every
 * kernel thread of the process, by the same signal that glibc uses (33), which programs can neither
 * block nor handle (DANGERS X4):
 *
 *   (1) the caller's own thread makes the call; if that fails nothing has changed,
 *   (2) every other one in /proc/self/task is signalled and waited for, until a look finds none
 * that has not answered: a thread that is made meanwhile by one that has, has the new ids already.
 * If one fails after (1) the process has two identities: it is ended, as glibc does.
 */
#include "shim/signal.h"

#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    long nr, a, b, c;
    _Atomic uint32_t answers;
    _Atomic long error; /* of another thread's call; 0: none */
} call;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void setxid_answer(void) {
    long r = sys(call.nr, call.a, call.b, call.c);
    if (r < 0)
        atomic_store(&call.error, -r);
    atomic_fetch_add_explicit(&call.answers, 1, memory_order_release);
    futex_wake(&call.answers, 1);
}

/* ---- the other kernel threads ---- */

/* What getdents64(2) gives; opendir would allocate. */
struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short len;
    unsigned char type;
    char name[];
};

/* Ids that have answered, sorted by nothing: there are few threads. */
struct done {
    int32_t *tids;
    uint32_t n, room;
};

static bool is_done(const struct done *d, int32_t tid) {
    for (uint32_t i = 0; i < d->n; i++)
        if (d->tids[i] == tid)
            return true;
    return false;
}

static bool done_add(struct done *d, int32_t tid) {
    if (d->n == d->room) {
        uint32_t room = d->room ? 2 * d->room : 64;
        int32_t *more = realloc(d->tids, room * sizeof *more);
        if (!more)
            return false;
        d->tids = more;
        d->room = room;
    }
    d->tids[d->n++] = tid;
    return true;
}

/* False: it has ended. The process's first one is a zombie then. */
static bool is_there(int32_t tid) {
    return !(tid == sys(SYS_getpid) && sched_first_m_ended()) &&
           sys(SYS_tgkill, sys(SYS_getpid), tid, 0) == 0;
}

/* Signals it and waits for its answer, or its end. */
static void ask(int32_t tid) {
    uint32_t before = atomic_load_explicit(&call.answers, memory_order_acquire);
    if (!is_there(tid) || sys(SYS_tgkill, sys(SYS_getpid), tid, SIG_RUNTIME) < 0)
        return;
    /* A thread may end before it answers: look now and then. */
    while (atomic_load_explicit(&call.answers, memory_order_acquire) == before && is_there(tid))
        futex_sleep(&call.answers, before, nanotime() + NSEC_PER_MSEC);
}

/* One look: asks all that have not answered. Their number, or -1: no memory. */
static int ask_new_ones(int dir, struct done *d, int32_t self) {
    char buf[4096] __attribute__((aligned(8))) = {0};
    int asked = 0;
    long n;
    sys(SYS_lseek, dir, 0, SEEK_SET);
    while ((n = sys(SYS_getdents64, dir, buf, sizeof buf)) > 0) {
        for (long at = 0; at < n;) {
            struct entry *e = (struct entry *)(buf + at);
            int32_t tid = atoi(e->name);
            at += e->len;
            if (tid <= 0 || tid == self || is_done(d, tid))
                continue;
            if (!done_add(d, tid))
                return -1;
            ask(tid);
            asked++;
        }
    }
    return asked;
}

/* Without /proc the Ms are known, and are all there are but for libc's own helpers. */
static int32_t asking;
static void ask_m(int32_t tid, uint64_t mask, uint64_t arg) {
    (void)mask;
    (void)arg;
    if (tid != asking)
        ask(tid);
}

static void ask_all(void) {
    struct done d = {0};
    int32_t self = asking = (int32_t)sys(SYS_gettid);
    int dir = (int)sys(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int found = -1;
    if (dir >= 0) {
        while ((found = ask_new_ones(dir, &d, self)) > 0)
            continue;
        sys(SYS_close, dir);
    }
    if (found < 0)
        m_each(ask_m, 0);
    free(d.tids);
}

/* The call on all threads. 0 or an errno. */
static int setxid(long nr, long a, long b, long c) {
    pthread_mutex_lock(&one_at_a_time);
    call.nr = nr;
    call.a = a;
    call.b = b;
    call.c = c;
    atomic_store(&call.error, 0);
    /* On one M from here to the end: a section, and the P goes to others meanwhile. */
    section_begin();
    bool outer = syscall_enter_block();
    long r = sys(nr, a, b, c);
    if (!r)
        ask_all();
    if (outer)
        syscall_exit();
    section_end();
    if (!r && atomic_load(&call.error))
        throw("setxid: a thread could not follow to the new ids");
    pthread_mutex_unlock(&one_at_a_time);
    return (int)-r;
}

static int result(int err) {
    if (!err)
        return 0;
    errno = err;
    return -1;
}

#define SETXID(name, params, args, nr, a, b, c)                                                    \
    SHIM_API int shim_##name params {                                                              \
        if (!signal_own() || !getg())                                                              \
            return next(name) args;                                                                \
        return result(setxid(nr, (long)(a), (long)(b), (long)(c)));                                \
    }

SETXID(setuid, (uid_t u), (u), SYS_setuid, u, 0, 0)
SETXID(setgid, (gid_t g), (g), SYS_setgid, g, 0, 0)
SETXID(setreuid, (uid_t r, uid_t e), (r, e), SYS_setreuid, r, e, 0)
SETXID(setregid, (gid_t r, gid_t e), (r, e), SYS_setregid, r, e, 0)
SETXID(setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s), SYS_setresuid, r, e, s)
SETXID(setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s), SYS_setresgid, r, e, s)
SETXID(seteuid, (uid_t e), (e), SYS_setresuid, -1, e, -1)
SETXID(setegid, (gid_t e), (e), SYS_setresgid, -1, e, -1)
SETXID(setgroups, (size_t n, const gid_t *list), (n, list), SYS_setgroups, n, list, 0)

/* libc's calls its own setgroups. The groups of a user, and one more. */
SHIM_API int shim_initgroups(const char *user, gid_t group) {
    if (!signal_own() || !getg())
        return next(initgroups)(user, group);
    int n = 64;
    gid_t *list = NULL;
    for (;;) {
        gid_t *more = realloc(list, (size_t)n * sizeof *more);
        if (!more) {
            free(list);
            return result(ENOMEM);
        }
        list = more;
        int room = n;
        if (getgrouplist(user, group, list, &n) >= 0)
            break;
        n = n > room ? n : 2 * room;
    }
    int r = shim_setgroups((size_t)n, list);
    int err = errno;
    free(list);
    errno = err;
    return r;
}
