/* sem_timed.c - sem_timedwait and sem_clockwait: never early, invalid only if it would block */
#include "check.h"

#include <semaphore.h>

static sem_t sem;

static void *waits(void *arg) {
    clockid_t clock = (intptr_t)arg % 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec at = time_in(clock, 60), past = {1, 0};
    FAILS(sem_clockwait(&sem, clock, &at), ETIMEDOUT);
    NOT_EARLY(clock, at);
    FAILS(sem_clockwait(&sem, clock, &past), ETIMEDOUT);
    at = time_in(CLOCK_REALTIME, 60);
    FAILS(sem_timedwait(&sem, &at), ETIMEDOUT);
    NOT_EARLY(CLOCK_REALTIME, at);
    return arg;
}

static void *gets_one(void *arg) {
    struct timespec at = time_in(CLOCK_MONOTONIC, 50000);
    DONE(sem_clockwait(&sem, CLOCK_MONOTONIC, &at));
    return arg;
}

int main(void) {
    check_start();
    struct timespec bad = {1, 1000000000}, past = {1, 0};
    DONE(sem_init(&sem, 0, 0));
    FAILS(sem_timedwait(&sem, &bad), EINVAL);
    FAILS(sem_timedwait(&sem, &past), ETIMEDOUT);
    FAILS(sem_clockwait(&sem, CLOCK_PROCESS_CPUTIME_ID, &past), EINVAL);
    DONE(sem_post(&sem));
    DONE(sem_timedwait(&sem, &past)); /* one is there: the deadline does not matter */

    enum { N = 12 };
    pthread_t threads[N];
    run_all(N, waits);
    spawn_all(threads, N, gets_one);
    pause_ms(10);
    for (int i = 0; i < N; i++)
        DONE(sem_post(&sem));
    join_all(threads, N);
    int value;
    DONE(sem_getvalue(&sem, &value));
    WANT(value, 0); /* those who timed out took nothing */
    return 0;
}
