/* mutex_static_init.c - static initialisers, and locks taken before the first pthread_create
 *
 * What was locked while there was no thread is released, waited for and seen as busy after it.
 */
#include "check.h"

static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t read_locked = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static int arrived, passed;

static void *other(void *arg) {
    ERR(pthread_mutex_trylock(&normal), EBUSY);
    ERR(pthread_mutex_trylock(&recursive), EBUSY);
    ERR(pthread_mutex_trylock(&errorcheck), EBUSY);
    ERR(pthread_mutex_trylock(&adaptive), EBUSY);
    ERR(pthread_mutex_unlock(&recursive), EPERM);
    ERR(pthread_mutex_unlock(&errorcheck), EPERM);
    ERR(pthread_rwlock_tryrdlock(&written), EBUSY);
    ERR(pthread_rwlock_trywrlock(&read_locked), EBUSY);
    OK(pthread_rwlock_tryrdlock(&read_locked));
    OK(pthread_rwlock_unlock(&read_locked));
    add(&arrived, 1);
    pthread_mutex_t *const all[] = {&normal, &recursive, &errorcheck, &adaptive};
    for (int i = 0; i < 4; i++)
        OK(pthread_mutex_lock(all[i]));
    OK(pthread_rwlock_wrlock(&written));
    add(&passed, 1);
    OK(pthread_rwlock_unlock(&written));
    for (int i = 3; i >= 0; i--)
        OK(pthread_mutex_unlock(all[i]));
    return arg;
}

int main(void) {
    check_start();
    enum { N = 10 };
    pthread_t threads[N];
    OK(pthread_mutex_lock(&normal));
    OK(pthread_mutex_lock(&recursive));
    OK(pthread_mutex_lock(&recursive));
    OK(pthread_mutex_lock(&errorcheck));
    ERR(pthread_mutex_lock(&errorcheck), EDEADLK);
    OK(pthread_mutex_lock(&adaptive));
    OK(pthread_rwlock_wrlock(&written));
    OK(pthread_rwlock_rdlock(&read_locked));

    spawn_all(threads, N, other);
    wait_until(&arrived, N);
    pause_ms(20);
    WANT(get(&passed), 0);
    ERR(pthread_mutex_lock(&errorcheck), EDEADLK); /* still known to be ours */
    OK(pthread_mutex_unlock(&recursive));
    OK(pthread_mutex_unlock(&errorcheck));
    OK(pthread_mutex_unlock(&adaptive));
    OK(pthread_rwlock_unlock(&written));
    OK(pthread_rwlock_unlock(&read_locked));
    OK(pthread_mutex_unlock(&normal));
    pause_ms(20);
    WANT(get(&passed), 0); /* recursive was locked twice */
    OK(pthread_mutex_unlock(&recursive));
    join_all(threads, N);
    WANT(passed, N);
    return 0;
}
