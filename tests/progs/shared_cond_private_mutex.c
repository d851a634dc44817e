/* shared_cond_private_mutex.c - a process-shared condition may be used with a private mutex:
 * threads that wait for the mutex while its owner begins to wait for the condition are woken */
#include "check.h"

enum { THREADS = 8, ROUNDS = 100 };

static pthread_mutex_t mutex;
static pthread_cond_t cond, private_cond = PTHREAD_COND_INITIALIZER;
static int turn, done;

/* The turn goes round; each waits for its own, holding the mutex for a while before. */
static void *run(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        OK(pthread_mutex_lock(&mutex));
        if (i % 8 == 0)
            sched_yield(); /* others come and wait for the mutex */
        while (turn % THREADS != me) {
            struct timespec limit = time_in(CLOCK_REALTIME, 30000);
            OK(pthread_cond_timedwait(&cond, &mutex, &limit));
        }
        turn++;
        OK(pthread_cond_broadcast(&cond));
        OK(pthread_cond_signal(&private_cond));
        OK(pthread_mutex_unlock(&mutex));
    }
    return NULL;
}

/* Waits for the same mutex's private condition from before the first wait on the shared one. */
static void *other(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&done, 1);
    while (turn < THREADS * ROUNDS) {
        struct timespec limit = time_in(CLOCK_REALTIME, 30000);
        OK(pthread_cond_timedwait(&private_cond, &mutex, &limit));
    }
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void with(int type) {
    pthread_mutexattr_t ma;
    pthread_condattr_t ca;
    OK(pthread_mutexattr_init(&ma));
    OK(pthread_mutexattr_settype(&ma, type));
    OK(pthread_mutex_init(&mutex, &ma));
    OK(pthread_condattr_init(&ca));
    OK(pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED));
    OK(pthread_cond_init(&cond, &ca));
    turn = done = 0;
    pthread_t o = spawn(other, NULL);
    wait_until(&done, 1);
    run_all(THREADS, run);
    join(o);
    OK(pthread_mutex_destroy(&mutex)); /* nobody counts as its user any more */
    OK(pthread_cond_destroy(&cond));
}

int main(void) {
    check_start();
    with(PTHREAD_MUTEX_NORMAL);
    with(PTHREAD_MUTEX_RECURSIVE);
    with(PTHREAD_MUTEX_ERRORCHECK);
    return 0;
}
