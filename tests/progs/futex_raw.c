/* futex_raw.c - futex by syscall(): wait, wake, time-outs, mismatch; a lock made of it
 *
 * What GLib, libstdc++, Rust and MariaDB do. A goroutine that waits so must not hold its kernel
 * thread's place, and wakes must reach it.
 */
#include "check.h"

#include <linux/futex.h>
#include <sys/syscall.h>

enum { N = 20, LOCKERS = 8, ROUNDS = 2000 };

static int gate, waiting, woken;

static long futex(int *word, int op, int value, const struct timespec *timeout, int bits) {
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, bits);
}

static void *waiter(void *arg) {
    add(&waiting, 1);
    while (get(&gate) == 0)
        if (futex(&gate, FUTEX_WAIT, 0, NULL, 0) == -1)
            CHECK(errno == EAGAIN || errno == EINTR, "expected EAGAIN, came %s",
                  check_name_of(errno));
    add(&woken, 1);
    return arg;
}

static void *times_out(void *arg) {
    int own = 5;
    struct timespec relative = {0, 40000000}, at = time_in(CLOCK_MONOTONIC, 40);
    FAILS(futex(&own, FUTEX_WAIT, 5, &relative, 0), ETIMEDOUT);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    FAILS(futex(&own, FUTEX_WAIT, 4, NULL, 0), EAGAIN); /* another value: no waiting */
    at = time_in(CLOCK_MONOTONIC, 40);
    FAILS(futex(&own, FUTEX_WAIT_BITSET, 5, &at, -1), ETIMEDOUT); /* absolute */
    NOT_EARLY(CLOCK_MONOTONIC, at);
    at = time_in(CLOCK_REALTIME, 40);
    FAILS(futex(&own, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &at, -1), ETIMEDOUT);
    NOT_EARLY(CLOCK_REALTIME, at);
    struct timespec past = {0, 0}, bad = {0, 1000000000};
    FAILS(futex(&own, FUTEX_WAIT, 5, &past, 0), ETIMEDOUT);
    FAILS(futex(&own, FUTEX_WAIT, 5, &bad, 0), EINVAL);
    WANT(futex(&own, FUTEX_WAKE, 100, NULL, 0), 0); /* nobody there */
    return arg;
}

/* Wakes exactly as many as asked for: each waits once and does not look at its word. */
static int counted, counted_woken;

static void *waits_once(void *arg) {
    while (futex(&counted, FUTEX_WAIT, 0, NULL, 0) == -1)
        CHECK(errno == EINTR, "expected no error, came %s", check_name_of(errno));
    add(&counted_woken, 1);
    return arg;
}

static void wake_counted(int n) {
    int before = get(&counted_woken);
    int left = n;
    while (true) { /* until enough of them have come to wait */
        left -= (int)DONE(futex(&counted, FUTEX_WAKE, left, NULL, 0));
        if (left == 0)
            break;
        sched_yield();
    }
    wait_until(&counted_woken, before + n);
    pause_ms(5);
    WANT(get(&counted_woken), before + n);
}

/* The classic lock of one word: 0 free, 1 held, 2 held and others wait. */
static int word;
static volatile long counter;

static void *locker(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        int seen = 0;
        if (!__atomic_compare_exchange_n(&word, &seen, 1, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            while (__atomic_exchange_n(&word, 2, __ATOMIC_SEQ_CST) != 0)
                futex(&word, FUTEX_WAIT, 2, NULL, 0);
        long before = counter;
        if (i % 20 == 0)
            sched_yield();
        counter = before + 1;
        if (__atomic_exchange_n(&word, 0, __ATOMIC_SEQ_CST) == 2)
            futex(&word, FUTEX_WAKE, 1, NULL, 0);
    }
    return arg;
}

int main(void) {
    check_start();
    pthread_t threads[N];
    times_out(NULL); /* before there are threads */
    spawn_all(threads, N, waiter);
    wait_until(&waiting, N);
    pause_ms(20);
    WANT(get(&woken), 0);
    set(&gate, 1);
    DONE(futex(&gate, FUTEX_WAKE, 1 << 30, NULL, 0));
    join_all(threads, N);
    run_all(N, times_out);

    spawn_all(threads, N, waits_once);
    wake_counted(1);
    wake_counted(7);
    wake_counted(N - 8);
    join_all(threads, N);
    run_all(LOCKERS, locker);
    WANT(counter, LOCKERS * ROUNDS);
    return 0;
}
