/* once.c - pthread_once: one runs, the others wait until it is done; nested and many onces */
#include "check.h"

enum { N = 30, MANY = 200 };

static pthread_once_t slow = PTHREAD_ONCE_INIT, outer = PTHREAD_ONCE_INIT;
static pthread_once_t inner = PTHREAD_ONCE_INIT, many[MANY];
static int slow_runs, slow_done, outer_runs, inner_runs, many_runs;

static void run_slow(void) {
    add(&slow_runs, 1);
    pause_ms(40); /* the others come while it runs */
    sched_yield();
    set(&slow_done, 1);
}

static void run_inner(void) {
    pause_ms(10);
    add(&inner_runs, 1);
}

static void run_outer(void) {
    OK(pthread_once(&inner, run_inner));
    WANT(get(&inner_runs), 1);
    add(&outer_runs, 1);
}

static void run_many(void) { add(&many_runs, 1); }

static void *call(void *arg) {
    OK(pthread_once(&slow, run_slow));
    WANT(get(&slow_done), 1); /* nobody returns before it is done */
    if ((intptr_t)arg % 2)
        OK(pthread_once(&inner, run_inner));
    OK(pthread_once(&outer, run_outer));
    WANT(get(&outer_runs), 1);
    for (int i = 0; i < MANY; i++)
        OK(pthread_once(&many[i], run_many));
    WANT(get(&many_runs), MANY);
    return NULL;
}

static pthread_once_t given_up = PTHREAD_ONCE_INIT;
static int attempts;

/* Leaving the routine by pthread_exit: it counts as not done, the next one runs it again. */
static void run_given_up(void) {
    if (add(&attempts, 1) == 1)
        pthread_exit(as_pointer(5));
}

static void *try_it(void *arg) {
    OK(pthread_once(&given_up, run_given_up));
    return arg;
}

int main(void) {
    check_start();
    pthread_once_t before = PTHREAD_ONCE_INIT;
    OK(pthread_once(&before, run_many)); /* before there are threads */
    OK(pthread_once(&before, run_many));
    WANT(many_runs, 1);
    many_runs = 0;
    run_all(N, call);
    WANT(slow_runs, 1);
    WANT(inner_runs, 1);
    WANT(outer_runs, 1);
    WANT(many_runs, MANY);
    WANT(join(spawn(try_it, NULL)), 5);
    WANT(join(spawn(try_it, as_pointer(6))), 6);
    WANT(join(spawn(try_it, as_pointer(7))), 7);
    WANT(attempts, 2);
    return 0;
}
