/* mutex_kinds.c - normal, recursive, errorcheck and adaptive mutexes: what each allows and refuses
 */
#include "check.h"

static pthread_mutex_t mutex;

static void make(int kind) {
    pthread_mutexattr_t attr;
    int got;
    OK(pthread_mutexattr_init(&attr));
    OK(pthread_mutexattr_settype(&attr, kind));
    OK(pthread_mutexattr_gettype(&attr, &got));
    WANT(got, kind);
    OK(pthread_mutex_init(&mutex, &attr));
    OK(pthread_mutexattr_destroy(&attr));
}

/* In another thread: what trylock and unlock give there. */
static void *stranger_trylock(void *arg) {
    (void)arg;
    int error = pthread_mutex_trylock(&mutex);
    if (error == 0)
        OK(pthread_mutex_unlock(&mutex));
    return as_pointer(error);
}

static void *stranger_unlock(void *arg) {
    (void)arg;
    return as_pointer(pthread_mutex_unlock(&mutex));
}

#define ELSEWHERE(what) ((int)(intptr_t)join(spawn(stranger_##what, NULL)))

static void held(void) {
    ERR(ELSEWHERE(trylock), EBUSY);
    ERR(pthread_mutex_destroy(&mutex), EBUSY);
}

static void released(void) {
    OK(ELSEWHERE(trylock));
    OK(pthread_mutex_destroy(&mutex));
}

static void plain(int kind) {
    make(kind);
    OK(pthread_mutex_lock(&mutex));
    ERR(pthread_mutex_trylock(&mutex), EBUSY); /* by the owner too */
    held();
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_mutex_trylock(&mutex));
    held();
    OK(pthread_mutex_unlock(&mutex));
    released();
}

static void recursive(void) {
    make(PTHREAD_MUTEX_RECURSIVE);
    ERR(pthread_mutex_unlock(&mutex), EPERM); /* not locked at all */
    for (int i = 0; i < 50; i++)
        OK(i % 2 ? pthread_mutex_trylock(&mutex) : pthread_mutex_lock(&mutex));
    for (int i = 0; i < 50; i++) {
        held();
        ERR(ELSEWHERE(unlock), EPERM);
        OK(pthread_mutex_unlock(&mutex));
    }
    ERR(pthread_mutex_unlock(&mutex), EPERM);
    released();
}

static void errorcheck(void) {
    struct timespec later = time_in(CLOCK_REALTIME, 50000);
    make(PTHREAD_MUTEX_ERRORCHECK);
    ERR(pthread_mutex_unlock(&mutex), EPERM);
    OK(pthread_mutex_lock(&mutex));
    ERR(pthread_mutex_lock(&mutex), EDEADLK);
    ERR(pthread_mutex_timedlock(&mutex, &later), EDEADLK);
    ERR(pthread_mutex_trylock(&mutex), EBUSY);
    held();
    ERR(ELSEWHERE(unlock), EPERM);
    held(); /* the stranger's attempt has changed nothing */
    OK(pthread_mutex_unlock(&mutex));
    ERR(pthread_mutex_unlock(&mutex), EPERM);
    released();
}

static void *all(void *arg) {
    plain(PTHREAD_MUTEX_NORMAL);
    plain(PTHREAD_MUTEX_ADAPTIVE_NP);
    recursive();
    errorcheck();
    return arg;
}

int main(void) {
    check_start();
    pthread_mutexattr_t attr;
    int kind;
    OK(pthread_mutexattr_init(&attr));
    ERR(pthread_mutexattr_settype(&attr, 99), EINVAL);
    OK(pthread_mutexattr_gettype(&attr, &kind));
    WANT(kind, PTHREAD_MUTEX_DEFAULT);
    all(NULL);
    join(spawn(all, NULL));
    return 0;
}
