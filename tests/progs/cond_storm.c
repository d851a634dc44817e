/* cond_storm.c - 200 waiters and a broadcast with the mutex held, again and again: none is lost */
#include "check.h"

enum { N = 200, ROUNDS = 30 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t next = PTHREAD_COND_INITIALIZER, all_here = PTHREAD_COND_INITIALIZER;
static int round_now, here;

static void *waiter(void *arg) {
    for (int r = 0; r < ROUNDS; r++) {
        OK(pthread_mutex_lock(&mutex));
        if (++here == N)
            OK(pthread_cond_signal(&all_here));
        while (round_now == r)
            OK(pthread_cond_wait(&next, &mutex));
        WANT(round_now, r + 1); /* the next broadcast cannot come before we are back */
        OK(pthread_mutex_unlock(&mutex));
    }
    return arg;
}

int main(void) {
    check_start();
    static pthread_t threads[N];
    spawn_all(threads, N, waiter);
    for (int r = 0; r < ROUNDS; r++) {
        OK(pthread_mutex_lock(&mutex));
        while (here < N)
            OK(pthread_cond_wait(&all_here, &mutex));
        here = 0;
        round_now++;
        OK(pthread_cond_broadcast(&next)); /* all are requeued to the mutex, which we hold */
        for (int i = 0; i < 5; i++)
            sched_yield();
        WANT(here, 0); /* nobody runs past while we hold it */
        OK(pthread_mutex_unlock(&mutex));
    }
    join_all(threads, N);
    return 0;
}
