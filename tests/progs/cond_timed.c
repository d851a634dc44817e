/* cond_timed.c - timed waits on both clocks: never early, at once if past, the mutex held again */
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_cond_t cond;
static clockid_t its_clock; /* the clock that timedwait on cond goes by */

static void times_out(clockid_t clock, bool by_clockwait, int ms) {
    struct timespec at = time_in(clock, ms);
    int error;
    OK(pthread_mutex_lock(&mutex));
    do /* spurious wake-ups give 0 */
        error = by_clockwait ? pthread_cond_clockwait(&cond, &mutex, clock, &at)
                             : pthread_cond_timedwait(&cond, &mutex, &at);
    while (error == 0);
    ERR(error, ETIMEDOUT);
    NOT_EARLY(clock, at);
    ERR(pthread_mutex_lock(&mutex), EDEADLK); /* errorcheck knows: it is ours again */
    OK(pthread_mutex_unlock(&mutex));
}

static void *waiter(void *arg) {
    int ms = (int)(intptr_t)arg * 10;
    times_out(its_clock, false, ms);
    times_out(CLOCK_REALTIME, true, ms);
    times_out(CLOCK_MONOTONIC, true, ms);
    times_out(its_clock, false, -1000);
    return arg;
}

static int go;

static void *woken_in_time(void *arg) {
    struct timespec at = time_in(its_clock, 50000);
    OK(pthread_mutex_lock(&mutex));
    while (!go)
        OK(pthread_cond_timedwait(&cond, &mutex, &at));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void with_clock(clockid_t clock) {
    pthread_condattr_t attr;
    clockid_t got;
    OK(pthread_condattr_init(&attr));
    OK(pthread_condattr_setclock(&attr, clock));
    OK(pthread_condattr_getclock(&attr, &got));
    WANT(got, clock);
    OK(pthread_cond_init(&cond, &attr));
    OK(pthread_condattr_destroy(&attr));
    its_clock = clock;
    run_all(10, waiter);

    pthread_t threads[10];
    go = 0;
    spawn_all(threads, 10, woken_in_time);
    pause_ms(10);
    OK(pthread_mutex_lock(&mutex));
    go = 1;
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&mutex));
    join_all(threads, 10);

    struct timespec bad = {1, 1000000000};
    OK(pthread_mutex_lock(&mutex));
    ERR(pthread_cond_timedwait(&cond, &mutex, &bad), EINVAL);
    ERR(pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &bad), EINVAL);
    bad.tv_nsec = 0;
    ERR(pthread_cond_clockwait(&cond, &mutex, CLOCK_PROCESS_CPUTIME_ID, &bad), EINVAL);
    ERR(pthread_mutex_lock(&mutex), EDEADLK); /* refused without letting go of the mutex */
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_cond_destroy(&cond));
}

int main(void) {
    check_start();
    pthread_condattr_t attr;
    OK(pthread_condattr_init(&attr));
    ERR(pthread_condattr_setclock(&attr, CLOCK_PROCESS_CPUTIME_ID), EINVAL);
    with_clock(CLOCK_REALTIME);
    with_clock(CLOCK_MONOTONIC);
    return 0;
}
