/* join_timed.c - pthread_tryjoin_np, pthread_timedjoin_np and pthread_clockjoin_np */
#include "check.h"

static int stop;

static void *until_stopped(void *arg) {
    wait_until(&stop, 1);
    return arg;
}

static void *at_once(void *arg) { return arg; }

static void times_out(pthread_t thread, clockid_t clock) {
    struct timespec at = time_in(clock, 60), past = {1, 0};
    void *result = as_pointer(99);
    ERR(pthread_clockjoin_np(thread, &result, clock, &at), ETIMEDOUT);
    NOT_EARLY(clock, at);
    ERR(pthread_clockjoin_np(thread, &result, clock, &past), ETIMEDOUT);
    WANT(result, 99); /* no thread, no result */
}

static void *stop_soon(void *arg) {
    pause_ms(50);
    set(&stop, 1);
    return arg;
}

int main(void) {
    check_start();
    void *result = NULL;
    pthread_t thread = spawn(until_stopped, as_pointer(5));
    ERR(pthread_tryjoin_np(thread, &result), EBUSY);
    times_out(thread, CLOCK_REALTIME);
    times_out(thread, CLOCK_MONOTONIC);
    struct timespec at = time_in(CLOCK_REALTIME, 60);
    ERR(pthread_timedjoin_np(thread, &result, &at), ETIMEDOUT);
    NOT_EARLY(CLOCK_REALTIME, at);

    /* It ends while we wait: the wait ends too, long before its time. */
    pthread_t stopper = spawn(stop_soon, NULL);
    at = time_in(CLOCK_MONOTONIC, 50000);
    OK(pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &at));
    WANT(result, 5);
    join(stopper);

    /* tryjoin gives 0 and the result once the thread is gone; nothing but looking tells when. */
    int error;
    thread = spawn(at_once, as_pointer(6));
    while ((error = pthread_tryjoin_np(thread, &result)) == EBUSY)
        sched_yield();
    OK(error);
    WANT(result, 6);

    /* A deadline in the past takes a thread that has ended. */
    struct timespec past = {1, 0};
    thread = spawn(at_once, as_pointer(8));
    while ((error = pthread_timedjoin_np(thread, &result, &past)) == ETIMEDOUT)
        sched_yield();
    OK(error);
    WANT(result, 8);
    return 0;
}
