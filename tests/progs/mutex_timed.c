/* mutex_timed.c - timedlock and clocklock: never early, on both clocks, invalid only if it blocks
 */
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int held, release;

static void *holder(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&held, 1);
    wait_until(&release, 1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *waits(void *arg) {
    clockid_t clock = (clockid_t)(intptr_t)arg;
    struct timespec at = time_in(clock, 70), past = {1, 0};
    ERR(pthread_mutex_clocklock(&mutex, clock, &at), ETIMEDOUT);
    NOT_EARLY(clock, at);
    ERR(pthread_mutex_clocklock(&mutex, clock, &past), ETIMEDOUT);
    at = time_in(CLOCK_REALTIME, 70);
    ERR(pthread_mutex_timedlock(&mutex, &at), ETIMEDOUT);
    NOT_EARLY(CLOCK_REALTIME, at);
    return arg;
}

static void *gets_it(void *arg) {
    struct timespec at = time_in(CLOCK_MONOTONIC, 50000);
    OK(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &at));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

int main(void) {
    check_start();
    struct timespec past = {1, 0}, bad = {1, 1000000000}, negative = {1, -1};

    /* Free: taken whatever the deadline is, even an invalid one. */
    OK(pthread_mutex_timedlock(&mutex, &past));
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_mutex_timedlock(&mutex, &bad));
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &negative));
    OK(pthread_mutex_unlock(&mutex));
    ERR(pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &past), EINVAL);

    /* Held: ETIMEDOUT at the deadline, EINVAL at once for what is no time. */
    pthread_t thread = spawn(holder, NULL), waiters[10];
    wait_until(&held, 1);
    ERR(pthread_mutex_timedlock(&mutex, &bad), EINVAL);
    ERR(pthread_mutex_timedlock(&mutex, &negative), EINVAL);
    ERR(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &bad), EINVAL);
    for (int i = 0; i < 10; i++)
        waiters[i] = spawn(waits, as_pointer(i % 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC));
    join_all(waiters, 10);

    /* Released before the deadline: each waiter gets it. */
    spawn_all(waiters, 10, gets_it);
    pause_ms(20);
    set(&release, 1);
    join_all(waiters, 10);
    join(thread);
    OK(pthread_mutex_trylock(&mutex)); /* those who timed out have left nothing behind */
    return 0;
}
