/* preempt_spinners.c - 16 threads that only count, and one that stops them after a while: it gets
 * its turn, all end soon after the stop, and none has had much more than another. Seconds in
 * GTHREAD_TEST_SECONDS (1)
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

static void *stopper(void *arg) {
    pause_ms((int)(long)arg);
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
