/* sleep_not_early.c - all ways to sleep: not early, whole, and EINVAL for what is no time */
#include "check.h"

static struct timespec ms(long n) {
    struct timespec t = {n / 1000, n % 1000 * 1000000};
    return t;
}

static void each_way(int way, long n) {
    struct timespec t = ms(n), monotonic = time_in(CLOCK_MONOTONIC, n), rest = {5, 5};
    struct timespec real = time_in(CLOCK_REALTIME, n);
    switch (way % 6) {
    case 0:
        OK(usleep((useconds_t)n * 1000));
        break;
    case 1:
        OK(nanosleep(&t, &rest));
        WANT(rest.tv_sec, 5); /* nothing interrupted it: nothing is left, nothing written */
        break;
    case 2:
        OK(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL));
        break;
    case 3:
        OK(clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL));
        break;
    case 4:
        OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &monotonic, NULL));
        break;
    default:
        OK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &real, NULL));
        NOT_EARLY(CLOCK_REALTIME, real);
        return;
    }
    NOT_EARLY(CLOCK_MONOTONIC, monotonic);
}

static void *sleeper(void *arg) {
    for (int way = 0; way < 6; way++)
        each_way(way + (int)(intptr_t)arg, 5 + ((intptr_t)arg * 7 + way) % 20);
    return NULL;
}

static void *whole_second(void *arg) {
    struct timespec at = time_in(CLOCK_MONOTONIC, 1000);
    WANT(sleep(1), 0);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    return arg;
}

static void *refused(void *arg) {
    struct timespec bad = {0, 1000000000}, negative = {-1, 0}, minus = {0, -1};
    struct timespec past = {1, 0}, zero = {0, 0};
    FAILS(nanosleep(&bad, NULL), EINVAL);
    FAILS(nanosleep(&negative, NULL), EINVAL);
    FAILS(nanosleep(&minus, NULL), EINVAL);
    ERR(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
    ERR(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &bad, NULL), EINVAL);
    ERR(clock_nanosleep(CLOCK_REALTIME, 0, &minus, NULL), EINVAL);
    ERR(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &zero, NULL), EINVAL);
    ERR(clock_nanosleep(99, 0, &zero, NULL), EINVAL);
    OK(nanosleep(&zero, NULL));
    OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL));
    OK(usleep(0));
    WANT(sleep(0), 0);
    return arg;
}

int main(void) {
    check_start();
    refused(NULL);
    sleeper(NULL); /* before there are threads */
    pthread_t second = spawn(whole_second, NULL);
    run_all(30, sleeper);
    join(spawn(refused, NULL));
    join(second);
    return 0;
}
