/* signal_in_lock.c - a thread that waits for a mutex, rwlock, barrier, once, join, condition, or in
 * sem_wait with SA_RESTART, runs the handler of a signal at once and then waits on: it neither
 * returns early nor loses its turn. The handler itself may lock, wait and post. */
#include "check.h"

#include <semaphore.h>
#include <signal.h>

enum { KINDS = 8, SIGNALS = 10 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER,
                       cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t sem, small;
static pthread_t joined;
static int waiting, handled, released, done, predicate, once_runs;

static void handler(int sig) {
    (void)sig;
    OK(pthread_mutex_lock(&other));
    sched_yield();
    OK(pthread_mutex_unlock(&other));
    DONE(sem_post(&small));
    DONE(sem_wait(&small));
    add(&handled, 1);
}

static void init(void) {
    add(&once_runs, 1);
    wait_until(&released, 1);
}

static void *joined_body(void *arg) {
    wait_until(&released, 1);
    return arg;
}

static void wait_for(int kind) {
    switch (kind) {
    case 0:
        OK(pthread_mutex_lock(&mutex));
        WANT(get(&released), 1);
        OK(pthread_mutex_unlock(&mutex));
        break;
    case 1:
        OK(pthread_rwlock_rdlock(&rwlock));
        WANT(get(&released), 1);
        OK(pthread_rwlock_unlock(&rwlock));
        break;
    case 2:
        OK(pthread_rwlock_wrlock(&rwlock));
        WANT(get(&released), 1);
        OK(pthread_rwlock_unlock(&rwlock));
        break;
    case 3: {
        int r = pthread_barrier_wait(&barrier);
        CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD, "expected 0 or the serial thread");
        WANT(get(&released), 1);
        break;
    }
    case 4:
        OK(pthread_once(&once, init));
        WANT(get(&released), 1);
        break;
    case 5:
        WANT((intptr_t)join(joined), 88);
        WANT(get(&released), 1);
        break;
    case 6:
        OK(pthread_mutex_lock(&cond_mutex));
        while (!predicate)
            OK(pthread_cond_wait(&cond, &cond_mutex));
        OK(pthread_mutex_unlock(&cond_mutex));
        break;
    default:
        DONE(sem_wait(&sem));
        WANT(get(&released), 1);
    }
}

static void *waiter(void *kind) {
    add(&waiting, 1);
    wait_for((int)(intptr_t)kind);
    add(&done, 1);
    return NULL;
}

static void *runs_once(void *arg) {
    OK(pthread_once(&once, init));
    return arg;
}

int main(void) {
    check_start();
    pthread_t threads[KINDS];
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART},
                   NULL));
    OK(pthread_barrier_init(&barrier, NULL, 2));
    DONE(sem_init(&sem, 0, 0));
    DONE(sem_init(&small, 0, 0));
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_rwlock_wrlock(&rwlock));
    joined = spawn(joined_body, as_pointer(88));
    pthread_t first = spawn(runs_once, NULL);
    wait_until(&once_runs, 1);
    spawn_all(threads, KINDS, waiter);
    wait_until(&waiting, KINDS);
    pause_ms(5);
    for (int s = 1; s <= SIGNALS; s++) {
        for (int k = 0; k < KINDS; k++)
            OK(pthread_kill(threads[k], SIGUSR1));
        wait_until(&handled, KINDS * s); /* while all of them wait */
        WANT(get(&done), 0);
    }
    set(&released, 1);
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_rwlock_unlock(&rwlock));
    int r = pthread_barrier_wait(&barrier);
    CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD, "expected 0 or the serial thread");
    DONE(sem_post(&sem));
    OK(pthread_mutex_lock(&cond_mutex));
    predicate = 1;
    OK(pthread_mutex_unlock(&cond_mutex));
    OK(pthread_cond_signal(&cond));
    join_all(threads, KINDS);
    join(first);
    WANT(get(&once_runs), 1);
    return 0;
}
