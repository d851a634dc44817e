/* futex2.c - futex_wait, futex_wake and futex_requeue by number (Linux 6.7): each works on the same
 * words as futex(2); masks, counts, time-outs on both clocks, requeueing, words shared with another
 * process; every bad argument has the kernel's error. Under the library also on an older kernel. */
#include "check.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { NR_WAKE = 454, NR_WAIT = 455, NR_REQUEUE = 456 };
enum { SIZE_U32 = 2, NUMA = 4, PRIVATE = 128, PLAIN = SIZE_U32 | PRIVATE };
enum { N = 12, LOCKERS = 6, ROUNDS = 1500 };
#define ALL 0xffffffffUL

/* The kernel itself is asked. 0 or more, or -errno. */
static long raw(long nr, const void *a, long b, long c, long d) {
    long r;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return r;
}

static long wait2(int *word, long value, unsigned long mask, unsigned flags,
                  const struct timespec *at, clockid_t clock) {
    return syscall(NR_WAIT, word, value, mask, flags, at, clock);
}
static long wake2(int *word, unsigned long mask, int n, unsigned flags) {
    return syscall(NR_WAKE, word, mask, n, flags);
}
static struct futex_waitv about(int *word, uint64_t value, uint32_t flags) {
    struct futex_waitv w = {.val = value, .uaddr = (uintptr_t)word, .flags = flags};
    return w;
}

/* ---- errors and time-outs ---- */

static void bad_waits(int *word) {
    struct timespec at = time_in(CLOCK_MONOTONIC, 0), negative = {-1, 0}, long_ns = {0, 1000000000};
    int *odd = (int *)((char *)word + 1);
    FAILS(wait2(word, 4, ALL, PLAIN, NULL, 0), EAGAIN);
    FAILS(wait2(word, 5, 0, PLAIN, NULL, 0), EINVAL);
    FAILS(wait2(word, 5, ALL + 1, PLAIN, NULL, 0), EINVAL);
    FAILS(wait2(word, 5L + (1L << 32), ALL, PLAIN, NULL, 0), EINVAL);
    FAILS(wait2(odd, 5, ALL, PLAIN, NULL, 0), EINVAL);
    FAILS(wait2(NULL, 5, ALL, PLAIN, NULL, 0), EFAULT);
    FAILS(wait2(word, 5, ALL, PLAIN, &at, CLOCK_BOOTTIME), EINVAL);
    FAILS(wait2(word, 5, ALL, PLAIN, &negative, CLOCK_MONOTONIC), EINVAL);
    FAILS(wait2(word, 5, ALL, PLAIN, &long_ns, CLOCK_MONOTONIC), EINVAL);
    FAILS(wait2(word, 4, ALL, PLAIN, NULL, CLOCK_BOOTTIME), EAGAIN); /* no time: no clock */
}

static void bad_wakes(int *word) {
    int *odd = (int *)((char *)word + 1);
    FAILS(wake2(word, 0, 1, PLAIN), EINVAL);
    FAILS(wake2(word, 0, 0, PLAIN), EINVAL);
    FAILS(wake2(word, ALL + 1, 1, PLAIN), EINVAL);
    FAILS(wake2(odd, ALL, 1, PLAIN), EINVAL);
    FAILS(wake2(odd, ALL, 0, PLAIN), EINVAL);
    WANT(wake2(word, ALL, 1, PLAIN), 0);
    WANT(wake2(word, ALL, 0, PLAIN), 0);
}

static void bad_requeues(int *a, int *b) {
    struct futex_waitv w[2] = {about(a, 5, PLAIN), about(b, 0, PLAIN)};
    WANT(syscall(NR_REQUEUE, w, 0, 1, 1), 0);
    FAILS(syscall(NR_REQUEUE, NULL, 0, 1, 1), EINVAL);
    FAILS(syscall(NR_REQUEUE, w, 1, 1, 1), EINVAL);
    FAILS(syscall(NR_REQUEUE, w, 0, -1, 1), EINVAL);
    FAILS(syscall(NR_REQUEUE, w, 0, 1, -1), EINVAL);
    w[0].val = 4;
    FAILS(syscall(NR_REQUEUE, w, 0, 1, 1), EAGAIN);
    w[0].val = 5 + (1ULL << 32);
    FAILS(syscall(NR_REQUEUE, w, 0, 1, 1), EINVAL);
    w[0].val = 5;
    w[1].flags = SIZE_U32; /* not as the first one's */
    FAILS(syscall(NR_REQUEUE, w, 0, 1, 1), EINVAL);
    w[1] = about(b, 0, PLAIN);
    w[1].__reserved = 1;
    FAILS(syscall(NR_REQUEUE, w, 0, 1, 1), EINVAL);
    w[1] = about((int *)((char *)b + 2), 0, PLAIN);
    FAILS(syscall(NR_REQUEUE, w, 0, 1, 1), EINVAL);
}

/* Words that futex(2) does not have: as the kernel says, and kernels differ. */
static void other_words(void) {
    static _Alignas(16) int word[4];
    unsigned flags[] = {0, 1, 3, SIZE_U32 | NUMA, SIZE_U32 | NUMA | PRIVATE, SIZE_U32 | 64};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        word[1] = -1;
        long kernel = raw(NR_WAKE, word, 1, 1, flags[i]), r = wake2(word, 1, 1, flags[i]);
        WANT(r < 0 ? -errno : r, kernel);
        struct futex_waitv w[2] = {about(word, 0, flags[i]), about(word, 0, flags[i])};
        word[1] = -1;
        kernel = raw(NR_REQUEUE, w, 0, 1, 1);
        r = syscall(NR_REQUEUE, w, 0, 1, 1);
        WANT(r < 0 ? -errno : r, kernel);
    }
    CHECK(wait2(word, 0, ALL, 0, NULL, 0) == -1 && (errno == EINVAL || errno == ENOSYS),
          "expected EINVAL, came %s", check_name_of(errno));
}

static void *times_out(void *arg) {
    int own = 5, second = 0;
    bad_waits(&own);
    bad_wakes(&own);
    bad_requeues(&own, &second);
    clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    for (int i = 0; i < 2; i++) {
        struct timespec at = time_in(clocks[i], 40);
        FAILS(wait2(&own, 5, ALL, PLAIN, &at, clocks[i]), ETIMEDOUT);
        NOT_EARLY(clocks[i], at);
        FAILS(wait2(&own, 5, ALL, PLAIN, &at, clocks[i]), ETIMEDOUT); /* it is over */
        FAILS(wait2(&own, 4, ALL, PLAIN, &at, clocks[i]), EAGAIN);
    }
    return arg;
}

/* ---- who is woken ---- */

static int words[2], gone[N];

/* Waits once, number i with bit i: half of them by futex(2). */
static void *waits_once(void *arg) {
    int i = (int)(intptr_t)arg;
    while ((i % 2 ? wait2(words, 0, 1UL << i, PLAIN, NULL, 0)
                  : syscall(SYS_futex, words, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1U << i)) ==
           -1)
        CHECK(errno == EINTR, "expected no error, came %s", check_name_of(errno));
    set(&gone[i], 1);
    return arg;
}

static int all_gone(void) {
    int n = 0;
    for (int i = 0; i < N; i++)
        n += get(&gone[i]);
    return n;
}

/* Wakes n of those with these bits, as they come to wait. Half by futex(2), which wakes both. */
static void wake_some(int *word, unsigned long mask, int n) {
    for (int left = n; left > 0; sched_yield())
        left -= (int)(left % 2 ? DONE(wake2(word, mask, left, PLAIN))
                               : DONE(syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, left,
                                              NULL, NULL, mask)));
}

/* Four of them go to the second word, as they come to wait. */
static void move_some(int n) {
    struct futex_waitv w[2] = {about(&words[0], 0, PLAIN), about(&words[1], 0, PLAIN)};
    for (int left = n; left > 0; sched_yield())
        left -= (int)DONE(syscall(NR_REQUEUE, w, 0, 0, left));
}

static void wakes(void) {
    pthread_t threads[N];
    spawn_all(threads, N, waits_once);
    wake_some(words, 1UL << 3, 1);
    wait_until(&gone[3], 1);
    wake_some(words, 1UL << 4, 1);
    wait_until(&gone[4], 1);
    pause_ms(5);
    WANT(all_gone(), 2);
    WANT(wake2(words, ALL, 0, PLAIN), 0);
    WANT(wake2(words, 1UL << 20, 100, PLAIN), 0);
    move_some(4);
    pause_ms(5);
    WANT(all_gone(), 2);
    wake_some(words, ALL, N - 6);
    while (all_gone() < N - 4)
        pause_ms(1);
    WANT(wake2(words, ALL, 100, PLAIN), 0);
    WANT(all_gone(), N - 4);
    WANT(wake2(&words[1], ALL, -1, PLAIN), 1); /* the kernel wakes one */
    wake_some(&words[1], ALL, 3);
    join_all(threads, N);
}

/* ---- a lock; a word of two processes ---- */

static int lock;
static volatile long counter;

static void *locker(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        int seen = 0;
        if (!__atomic_compare_exchange_n(&lock, &seen, 1, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            while (__atomic_exchange_n(&lock, 2, __ATOMIC_SEQ_CST) != 0)
                wait2(&lock, 2, ALL, PLAIN, NULL, 0);
        long before = counter;
        if (i % 20 == 0)
            sched_yield();
        counter = before + 1;
        if (__atomic_exchange_n(&lock, 0, __ATOMIC_SEQ_CST) == 2)
            wake2(&lock, ALL, 1, PLAIN);
    }
    return arg;
}

static void wait_shared(int *word, int until) {
    for (int v; (v = get(word)) != until;)
        if (wait2(word, v, ALL, SIZE_U32, NULL, 0) == -1)
            CHECK(errno == EAGAIN || errno == EINTR, "came %s", check_name_of(errno));
}

/* They take turns, in a thread that waits in each of the processes. */
static void *shared(void *arg) {
    enum { TURNS = 100 };
    int *word = (int *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(word != MAP_FAILED, "mmap: errno %d", errno);
    pid_t pid = (pid_t)DONE(fork());
    for (int i = pid ? 0 : 1; i < TURNS; i += 2) {
        wait_shared(word, i);
        set(word, i + 1);
        DONE(wake2(word, ALL, 1, SIZE_U32));
    }
    if (!pid)
        _exit(0);
    int status;
    WANT(waitpid(pid, &status, 0), pid);
    WANT(status, 0);
    DONE(munmap(word, 4096));
    return arg;
}

int main(void) {
    check_start();
    int word = 1;
    if (wait2(&word, 0, ALL, PLAIN, NULL, 0) == -1 && errno == ENOSYS && !check_expects("lib"))
        check_skip("this kernel is older than Linux 6.7");
    times_out(NULL); /* before there are threads */
    other_words();
    run_all(4, times_out);
    wakes();
    run_all(LOCKERS, locker);
    WANT(counter, LOCKERS * ROUNDS);
    join(spawn(shared, NULL));
    return 0;
}
