/* preempt_spinners.c - 16 threads that only count, and one that stops them after a while, when all
 * have had a turn: it gets its own, and all end soon after the stop. Prints how even the shares
 * were. Seconds in GTHREAD_TEST_SECONDS (1)
 * needs: time */
#include "check.h"

enum { THREADS = 16 };

static volatile int stop;
static struct {
    volatile unsigned long n;
    char pad[120];
} count[THREADS];

static void *spin(void *arg) {
    volatile unsigned long *n = &count[(long)arg].n;
    while (!stop)
        ++*n;
    return NULL;
}

static bool all_had_a_turn(void) {
    for (int i = 0; i < THREADS; i++)
        if (!count[i].n)
            return false;
    return true;
}

/* On a loaded machine, where the kernel gives us little of a CPU, a turn of each can take longer
 * than the time given; 30 s it must not take. */
static void *stopper(void *arg) {
    pause_ms((int)(long)arg);
    int64_t deadline = now_ns(CLOCK_MONOTONIC) + 30000 * MS_NS;
    while (!all_had_a_turn() && now_ns(CLOCK_MONOTONIC) < deadline)
        pause_ms(1);
    stop = 1;
    return NULL;
}

int main(void) {
    check_start();
    const char *given = getenv("GTHREAD_TEST_SECONDS");
    int seconds = given ? atoi(given) : 1;
    alarm((unsigned)seconds + 60);
    pthread_t threads[THREADS], last;
    for (long i = 0; i < THREADS; i++)
        threads[i] = spawn(spin, (void *)i);
    last = spawn(stopper, (void *)(seconds * 1000L));
    join(last);
    int64_t stopped = now_ns(CLOCK_MONOTONIC);
    join_all(threads, THREADS);
    int64_t late_ms = (now_ns(CLOCK_MONOTONIC) - stopped) / MS_NS;
    unsigned long least = count[0].n, most = count[0].n;
    for (int i = 0; i < THREADS; i++) {
        least = count[i].n < least ? count[i].n : least;
        most = count[i].n > most ? count[i].n : most;
    }
    printf("least share / most %.2f, ended %lld ms after the stop\n", (double)least / (double)most,
           (long long)late_ms);
    CHECK(least > 0, "expected every thread to get a turn");
    CHECK(late_ms < 5000, "expected all to end soon after the stop, came %lld ms",
          (long long)late_ms);
    return 0;
}
