/* futex_corners.c - futex(2) in its corners, as the kernel has it: what the requeueing operations
 * count, also where both words are the same one; which waits go on after a handler with SA_RESTART
 * and which end with EINTR, for words of one process and shared ones.
 */
#include "check.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif
enum { N = 4, LONG_S = 40, FUTEX2_U32 = 2 };

static int word, to, begun, back;

static long futex(int *w, int op, long value, long timeout, int *w2, int value3) {
    return syscall(SYS_futex, w, op | FUTEX_PRIVATE_FLAG, value, timeout, w2, value3);
}

/* ---- what is counted ---- */

static void *waits(void *arg) {
    add(&begun, 1);
    DONE(futex(&word, FUTEX_WAIT, 0, 0, NULL, 0));
    add(&back, 1);
    return arg;
}

static void counts(int op) {
    pthread_t t[N];
    set(&begun, 0);
    set(&back, 0);
    spawn_all(t, N, waits);
    wait_until(&begun, N);
    while (futex(&word, op, 0, 99, &word, 0) < N) /* moves them to where they are: all wait now */
        pause_ms(1);
    WANT(futex(&word, op, 0, 2, &word, 0), 2);
    WANT(get(&back), 0);
    WANT(futex(&word, op, 1, 2, &word, 0), 3); /* wakes one, and two more stay */
    wait_until(&back, 1);
    WANT(futex(&word, op, 1, 1, &to, 0), 2);
    wait_until(&back, 2);
    WANT(futex(&word, op, 0, 99, &word, 0), 1);
    WANT(futex(&to, op, 0, 99, &to, 0), 1);
    pause_ms(5);
    WANT(get(&back), 2);
    WANT(futex(&to, FUTEX_WAKE, 99, 0, NULL, 0), 1);
    WANT(futex(&word, FUTEX_WAKE, 99, 0, NULL, 0), 1);
    join_all(t, N);
}

/* ---- after a handler ---- */

static int *waited_on;
static const struct way {
    const char *name;
    int op;
    bool timed, absolute, realtime;
    bool goes_on; /* after a handler with SA_RESTART */
} ways[] = {
    {"FUTEX_WAIT", FUTEX_WAIT, .goes_on = true},
    {"FUTEX_WAIT, timed", FUTEX_WAIT, .timed = true},
    {"FUTEX_WAIT_BITSET", FUTEX_WAIT_BITSET, .goes_on = true},
    {"FUTEX_WAIT_BITSET, timed", FUTEX_WAIT_BITSET, .timed = true, .absolute = true},
    {"FUTEX_WAIT_BITSET, real time", FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, .timed = true,
     .absolute = true, .realtime = true},
    {"futex_wait", -1, .goes_on = true},
    {"futex_wait, timed", -1, .timed = true, .absolute = true, .goes_on = true},
};
static const struct way *way;
static int private_flag, error, done, handled;

static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void *waits_in_way(void *arg) {
    clockid_t clock = way->realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec t = {LONG_S, 0};
    if (way->absolute)
        t = time_in(clock, LONG_S * 1000L);
    struct timespec *timeout = way->timed ? &t : NULL;
    long r = way->op < 0 ? syscall(SYS_futex_wait, waited_on, 0L, (long)FUTEX_BITSET_MATCH_ANY,
                                   FUTEX2_U32 | private_flag, timeout, clock)
                         : syscall(SYS_futex, waited_on, way->op | private_flag, 0, timeout, NULL,
                                   FUTEX_BITSET_MATCH_ANY);
    error = r < 0 ? errno : 0;
    set(&done, 1);
    return arg;
}

/* Signals it until it has come back, or often enough to know that it does not; then wakes it. */
static void interrupted(const struct way *w, int *on, int flag, bool restart) {
    struct sigaction sa = {.sa_handler = handler, .sa_flags = restart ? SA_RESTART : 0};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    way = w;
    waited_on = on;
    private_flag = flag;
    set(on, 0);
    set(&done, 0);
    bool ends = !restart || !w->goes_on;
    pthread_t t = spawn(waits_in_way, NULL);
    int64_t until = now_ns(CLOCK_MONOTONIC) + LONG_S / 2 * SECOND_NS;
    for (int i = 0; !get(&done) && (ends || i < 5) && now_ns(CLOCK_MONOTONIC) < until; i++) {
        int before = get(&handled);
        OK(pthread_kill(t, SIGUSR1)); /* not joined: it is there */
        for (int k = 0; k < 1000 && get(&handled) == before && !get(&done); k++)
            pause_ms(1);
        pause_ms(5);
    }
    CHECK(get(&done) == ends, "%s%s%s: expected it %s, came %s", w->name,
          restart ? ", SA_RESTART" : "", flag ? "" : ", shared", ends ? "to end" : "to go on",
          ends ? "nothing" : check_name_of(error));
    set(on, 1);
    while (!get(&done)) {
        DONE(syscall(SYS_futex, on, FUTEX_WAKE | flag, 1, NULL, NULL, 0));
        pause_ms(1);
    }
    join(t);
    CHECK(ends ? error == EINTR : error == 0 || error == EAGAIN, "%s%s%s: came %s", w->name,
          restart ? ", SA_RESTART" : "", flag ? "" : ", shared", check_name_of(error));
}

static void interrupted_all(int *on, int flag) {
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bool there =
            ways[i].op >= 0 ||
            syscall(SYS_futex_wait, on, 1L, -1L, FUTEX2_U32 | flag, NULL, CLOCK_MONOTONIC) == 0 ||
            errno != ENOSYS;
        for (int restart = 0; restart < 2 && there; restart++)
            interrupted(&ways[i], on, flag, restart);
    }
}

int main(void) {
    check_start();
    int own = 0;
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED, "mmap: errno %d", errno);
    counts(FUTEX_REQUEUE);
    counts(FUTEX_CMP_REQUEUE);
    interrupted_all(&own, FUTEX_PRIVATE_FLAG);
    interrupted_all(shared, 0);
    return 0;
}
