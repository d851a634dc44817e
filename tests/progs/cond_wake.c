/* cond_wake.c - signal wakes at least one waiter, broadcast all of them */
#include "check.h"

enum { N = 30 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int waiting, tokens, woken, finish;

/* Takes one token for each wake-up it acts on; spurious wake-ups find no token and wait again. */
static void *waiter(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    waiting++;
    while (!tokens && !finish)
        OK(pthread_cond_wait(&cond, &mutex));
    if (tokens)
        tokens--;
    add(&woken, 1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void all_wait(void) {
    for (int n = 0; n < N;) {
        OK(pthread_mutex_lock(&mutex));
        n = waiting; /* under the mutex: who has counted himself does wait */
        OK(pthread_mutex_unlock(&mutex));
        sched_yield();
    }
}

static void give_token(bool locked) {
    OK(pthread_mutex_lock(&mutex));
    tokens++;
    if (locked)
        OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    if (!locked)
        OK(pthread_cond_signal(&cond));
}

int main(void) {
    check_start();
    pthread_t threads[N];
    OK(pthread_cond_signal(&cond)); /* nobody waits: nothing happens, nothing is kept */
    OK(pthread_cond_broadcast(&cond));
    spawn_all(threads, N, waiter);
    all_wait();
    pause_ms(20);
    WANT(get(&woken), 0);
    for (int i = 1; i <= N / 2; i++) { /* one token, one signal: exactly one more gets through */
        give_token(i % 2);
        wait_until(&woken, i);
        WANT(get(&woken), i);
    }
    OK(pthread_mutex_lock(&mutex));
    finish = 1;
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_cond_broadcast(&cond));
    join_all(threads, N);
    WANT(woken, N);
    OK(pthread_cond_destroy(&cond)); /* as soon as all are awake */
    OK(pthread_mutex_destroy(&mutex));
    return 0;
}
