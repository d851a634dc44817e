/* robust.c - the robust mutex of a thread that ended: EOWNERDEAD, consistent, ENOTRECOVERABLE; also
 * from a condition wait, and for one who is already waiting */
#include "check.h"

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int locked, waits;

static void init(int shared) {
    pthread_mutexattr_t attr;
    OK(pthread_mutexattr_init(&attr));
    OK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
    OK(pthread_mutexattr_setpshared(&attr, shared));
    OK(pthread_mutex_init(&mutex, &attr));
    OK(pthread_mutexattr_destroy(&attr));
    locked = waits = 0;
}

static void *dies(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&locked, 1);
    if (arg)
        wait_until(&waits, 1);
    pause_ms(10);
    return NULL;
}

static void *waiter(void *arg) {
    wait_until(&locked, 1);
    set(&waits, 1);
    ERR(pthread_mutex_lock(&mutex), EOWNERDEAD);
    OK(pthread_mutex_consistent(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *cond_waiter(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&waits, 1);
    ERR(pthread_cond_wait(&cond, &mutex), EOWNERDEAD);
    OK(pthread_mutex_consistent(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *signals_and_dies(void *arg) {
    wait_until(&waits, 1);
    OK(pthread_mutex_lock(&mutex)); /* so the waiter waits */
    OK(pthread_cond_signal(&cond));
    return arg;
}

static void run(int shared) {
    init(shared);
    join(spawn(dies, NULL));
    ERR(pthread_mutex_trylock(&mutex), EOWNERDEAD);
    OK(pthread_mutex_unlock(&mutex)); /* not made consistent */
    ERR(pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
    OK(pthread_mutex_destroy(&mutex));

    init(shared);
    pthread_t dying = spawn(dies, &mutex), waiting = spawn(waiter, NULL);
    join(dying);
    join(waiting);
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_mutex_destroy(&mutex));

    init(shared);
    waiting = spawn(cond_waiter, NULL);
    join(spawn(signals_and_dies, NULL));
    join(waiting);
    OK(pthread_mutex_destroy(&mutex));
}

int main(void) {
    check_start();
    run(PTHREAD_PROCESS_PRIVATE);
    run(PTHREAD_PROCESS_SHARED);
    return 0;
}
