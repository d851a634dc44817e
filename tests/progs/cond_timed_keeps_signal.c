/* cond_timed_keeps_signal.c - a signal that has reached a timed waiter is not lost when its time
 * runs out, or it is cancelled, while it still waits for the mutex */
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int timed_result, untimed_woken, holding, release, waiting;

static void *timed(void *arg) {
    struct timespec end = time_in(CLOCK_REALTIME, 60);
    OK(pthread_mutex_lock(&mutex));
    add(&waiting, 1);
    int err = pthread_cond_timedwait(&cond, &mutex, &end);
    set(&timed_result, err ? err : -1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *untimed(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    add(&waiting, 1);
    OK(pthread_cond_wait(&cond, &mutex));
    set(&untimed_woken, 1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *holder(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&holding, 1);
    wait_until(&release, 1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

int main(void) {
    check_start();
    for (int i = 0; i < 5; i++) {
        timed_result = untimed_woken = holding = release = waiting = 0;
        pthread_t t = spawn(timed, NULL);
        wait_until(&waiting, 1);
        pthread_t u = spawn(untimed, NULL);
        wait_until(&waiting, 2);
        pthread_t h = spawn(holder, NULL);
        wait_until(&holding, 1);
        bool in_time = get(&timed_result) == 0;
        OK(pthread_cond_signal(&cond)); /* one signal, the mutex is held by a third */
        pause_ms(80);                   /* past the deadline */
        set(&release, 1);
        join(h);
        join(t);
        if (in_time && timed_result == ETIMEDOUT)
            wait_until(&untimed_woken, 1); /* then the other one has had the signal */
        OK(pthread_cond_broadcast(&cond));
        join(u);
    }
    return 0;
}
