/* key_destructors.c - destructors of thread-specific data: when, with what, how often */
#include "check.h"

#include <limits.h>

static pthread_key_t counted, again, yields, plain;
static int counted_runs, again_runs, yields_runs, given_up;

static void count(void *value) {
    WANT((intptr_t)value % 100, 7);
    CHECK(pthread_getspecific(counted) == NULL, "expected NULL in the key while it is destroyed");
    add(&counted_runs, 1);
}

/* Sets its value anew: called again, PTHREAD_DESTRUCTOR_ITERATIONS times, then no more. */
static void set_again(void *value) {
    int *runs = value;
    add(&again_runs, 1);
    if (++*runs > PTHREAD_DESTRUCTOR_ITERATIONS)
        add(&given_up, 1);
    OK(pthread_setspecific(again, value));
}

static void yield_there(void *value) {
    sched_yield();
    pause_ms(1);
    add(&yields_runs, (int)(intptr_t)value);
}

static int runs[20];

static void *set_all(void *arg) {
    int me = (int)(intptr_t)arg;
    CHECK(!pthread_getspecific(counted), "expected NULL in a new thread");
    OK(pthread_setspecific(counted, as_pointer(me * 100 + 7)));
    OK(pthread_setspecific(again, &runs[me]));
    OK(pthread_setspecific(yields, as_pointer(me)));
    OK(pthread_setspecific(plain, as_pointer(me)));
    sched_yield();
    WANT(pthread_getspecific(plain), me); /* each thread its own */
    if (me % 2)
        pthread_exit(NULL);
    return NULL;
}

static void *set_none(void *arg) {
    OK(pthread_setspecific(counted, as_pointer(1)));
    OK(pthread_setspecific(counted, NULL)); /* NULL again: no destructor */
    return arg;
}

int main(void) {
    check_start();
    OK(pthread_key_create(&counted, count));
    OK(pthread_key_create(&again, set_again));
    OK(pthread_key_create(&yields, yield_there));
    OK(pthread_key_create(&plain, NULL));
    OK(pthread_setspecific(plain, as_pointer(3))); /* main's: no thread sees it */
    run_all(20, set_all);
    WANT(counted_runs, 20);
    WANT(yields_runs, 190);
    WANT(again_runs, 20 * PTHREAD_DESTRUCTOR_ITERATIONS);
    WANT(given_up, 0);
    WANT(pthread_getspecific(plain), 3);
    run_all(20, set_none);
    WANT(counted_runs, 20);
    return 0;
}
