/* c11_threads.c - <threads.h>: thrd, mtx, cnd, tss, call_once */
#include "check.h"

#include <threads.h>

enum { N = 20 };

static mtx_t plain, recursive, timed;
static cnd_t cond;
static tss_t key;
static once_flag flag = ONCE_FLAG_INIT;
static int once_runs, destroyed, counter, go;
static thread_local int local = 3;

#define C11(call, want) WANT(call, thrd_##want)

static void run_once(void) {
    thrd_yield();
    add(&once_runs, 1);
}

static void destroy(void *value) {
    WANT((intptr_t)value >= 100, 1);
    add(&destroyed, 1);
}

static int run(void *arg) {
    int me = (int)(intptr_t)arg;
    WANT(local, 3);
    local = me;
    call_once(&flag, run_once);
    WANT(get(&once_runs), 1);
    C11(tss_set(key, as_pointer(100 + me)), success);
    C11(mtx_lock(&plain), success);
    while (!go)
        C11(cnd_wait(&cond, &plain), success);
    counter++;
    C11(mtx_unlock(&plain), success);
    C11(mtx_lock(&recursive), success);
    C11(mtx_trylock(&recursive), success);
    thrd_yield();
    C11(mtx_unlock(&recursive), success);
    C11(mtx_unlock(&recursive), success);
    WANT(tss_get(key), 100 + me);
    WANT(local, me);
    if (me % 2)
        thrd_exit(me * 2);
    return me * 2;
}

static int blocked(void *arg) {
    (void)arg;
    struct timespec at = time_in(CLOCK_REALTIME, 40);
    C11(mtx_trylock(&timed), busy);
    C11(mtx_timedlock(&timed, &at), timedout);
    NOT_EARLY(CLOCK_REALTIME, at);
    C11(mtx_lock(&plain), success);
    at = time_in(CLOCK_REALTIME, 40);
    int result;
    while ((result = cnd_timedwait(&cond, &plain, &at)) == thrd_success)
        ;
    C11(result, timedout);
    NOT_EARLY(CLOCK_REALTIME, at);
    C11(mtx_unlock(&plain), success);
    return 1;
}

static int detached_run(void *arg) {
    set(arg, 1);
    return 0;
}

int main(void) {
    check_start();
    thrd_t threads[N], thread;
    int result, ended = 0;
    struct timespec nap = {0, 20000000}, at = time_in(CLOCK_MONOTONIC, 20);
    C11(mtx_init(&plain, mtx_plain), success);
    C11(mtx_init(&recursive, mtx_plain | mtx_recursive), success);
    C11(mtx_init(&timed, mtx_timed), success);
    C11(cnd_init(&cond), success);
    C11(tss_create(&key, destroy), success);
    for (int i = 0; i < N; i++)
        C11(thrd_create(&threads[i], run, as_pointer(i)), success);
    WANT(thrd_sleep(&nap, NULL), 0);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    C11(mtx_lock(&plain), success);
    WANT(counter, 0);
    go = 1;
    C11(cnd_broadcast(&cond), success);
    C11(mtx_unlock(&plain), success);
    for (int i = 0; i < N; i++) {
        CHECK(!thrd_equal(threads[i], thrd_current()), "expected a thread unlike ourselves");
        C11(thrd_join(threads[i], &result), success);
        WANT(result, i * 2);
    }
    WANT(counter, N);
    WANT(destroyed, N);

    C11(mtx_lock(&timed), success);
    C11(thrd_create(&thread, blocked, NULL), success);
    C11(thrd_join(thread, &result), success);
    WANT(result, 1);
    C11(thrd_create(&thread, detached_run, &ended), success);
    C11(thrd_detach(thread), success);
    wait_until(&ended, 1);
    return 0;
}
