/* cond_errors.c - a condition wait with a mutex that is not the caller's: EPERM for the kinds that
 * know their owner, and nobody is left waiting */
#include "check.h"

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int held, release;

static void *holder(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&held, 1);
    wait_until(&release, 1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void run(int type, int robust) {
    pthread_mutexattr_t attr;
    OK(pthread_mutexattr_init(&attr));
    OK(pthread_mutexattr_settype(&attr, type));
    OK(pthread_mutexattr_setrobust(&attr, robust));
    OK(pthread_mutex_init(&mutex, &attr));
    struct timespec end = time_in(CLOCK_REALTIME, 10000), bad = {end.tv_sec, 1000000000};
    held = release = 0;
    ERR(pthread_cond_wait(&cond, &mutex), EPERM); /* nobody's */
    pthread_t thread = spawn(holder, NULL);
    wait_until(&held, 1);
    ERR(pthread_cond_wait(&cond, &mutex), EPERM); /* another one's */
    ERR(pthread_cond_timedwait(&cond, &mutex, &end), EPERM);
    set(&release, 1);
    join(thread);
    OK(pthread_mutex_lock(&mutex));
    ERR(pthread_cond_timedwait(&cond, &mutex, &bad), EINVAL);
    OK(pthread_mutex_unlock(&mutex)); /* still ours */
    OK(pthread_cond_signal(&cond));
    OK(pthread_cond_destroy(&cond));
    OK(pthread_mutex_destroy(&mutex));
}

int main(void) {
    check_start();
    run(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);
    run(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
    run(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    return 0;
}
