/* join_refused.c - a second joiner gets EINVAL, a circle of joiners EDEADLK  (needs: lib)
 *
 * What the manual promises. glibc 2.36 keeps neither promise: there both wait, the circle for ever.
 */
#include "check.h"

static int stop, joined;
static pthread_t one, other;
static int others_known, circle_refused;

static void *until_stopped(void *arg) {
    wait_until(&stop, 1);
    return arg;
}

static const struct timespec past = {1, 0};

/* The first joiner. While the other side looks, it may get EINVAL itself: then it tries again. */
static void *join_it(void *arg) {
    pthread_t target = *(pthread_t *)arg;
    void *result;
    int error;
    while ((error = pthread_join(target, &result)) == EINVAL)
        sched_yield();
    OK(error);
    WANT(result, 7);
    set(&joined, 1);
    return NULL;
}

static void second_joiner(void) {
    int error;
    pthread_t target = spawn(until_stopped, as_pointer(7)), first = spawn(join_it, &target);
    while ((error = pthread_timedjoin_np(target, NULL, &past)) == ETIMEDOUT)
        pause_ms(1); /* the first joiner is not there yet */
    ERR(error, EINVAL);
    ERR(pthread_join(target, NULL), EINVAL);
    WANT(joined, 0);
    set(&stop, 1);
    join(first);
    WANT(joined, 1);
}

/* May meet the other one while that looks, and be refused itself: then it tries again. */
static void *join_other(void *arg) {
    int error;
    wait_until(&others_known, 1);
    while ((error = pthread_join(other, NULL)) == EDEADLK)
        sched_yield();
    OK(error);
    return arg;
}

/* Joins the one that joins us: refused, once the other has begun to wait. */
static void *join_back(void *arg) {
    int error;
    wait_until(&others_known, 1);
    while ((error = pthread_timedjoin_np(one, NULL, &past)) == ETIMEDOUT)
        pause_ms(1);
    ERR(error, EDEADLK);
    ERR(pthread_join(one, NULL), EDEADLK);
    set(&circle_refused, 1);
    return arg;
}

static void circle(void) {
    one = spawn(join_other, NULL);
    other = spawn(join_back, NULL);
    set(&others_known, 1);
    wait_until(&circle_refused, 1); /* or we were its first joiner ourselves */
    join(one);
}

int main(void) {
    check_start();
    second_joiner();
    circle();
    return 0;
}
