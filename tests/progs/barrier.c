/* barrier.c - all wait for all, one of them is told so, round after round on one barrier */
#include "check.h"

enum { N = 12, ROUNDS = 300 };

static pthread_barrier_t barrier;
static int arrived[ROUNDS], serial[ROUNDS];

static void *run(void *arg) {
    for (int r = 0; r < ROUNDS; r++) {
        add(&arrived[r], 1);
        int result = pthread_barrier_wait(&barrier);
        CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD,
              "expected 0 or PTHREAD_BARRIER_SERIAL_THREAD, came %d", result);
        WANT(get(&arrived[r]), N); /* nobody passes before the last has come */
        if (result)
            add(&serial[r], 1);
        if (((intptr_t)arg + r) % 7 == 0)
            sched_yield();
    }
    return NULL;
}

static void *destroyer(void *arg) {
    pthread_barrier_t *own = arg;
    if (pthread_barrier_wait(own) == PTHREAD_BARRIER_SERIAL_THREAD) {
        OK(pthread_barrier_destroy(own)); /* allowed at once: waits for those still leaving */
        memset(own, 0xff, sizeof *own);
    }
    return NULL;
}

int main(void) {
    check_start();
    pthread_barrierattr_t attr;
    int shared;
    ERR(pthread_barrier_init(&barrier, NULL, 0), EINVAL);
    OK(pthread_barrierattr_init(&attr));
    OK(pthread_barrierattr_getpshared(&attr, &shared));
    WANT(shared, PTHREAD_PROCESS_PRIVATE);
    ERR(pthread_barrierattr_setpshared(&attr, 99), EINVAL);

    OK(pthread_barrier_init(&barrier, &attr, 1));
    for (int i = 0; i < 3; i++)
        WANT(pthread_barrier_wait(&barrier), PTHREAD_BARRIER_SERIAL_THREAD);
    OK(pthread_barrier_destroy(&barrier));

    OK(pthread_barrier_init(&barrier, NULL, N));
    run_all(N, run);
    for (int r = 0; r < ROUNDS; r++)
        WANT(serial[r], 1);
    OK(pthread_barrier_destroy(&barrier));

    for (int i = 0; i < 50; i++) {
        pthread_barrier_t own;
        pthread_t threads[4];
        OK(pthread_barrier_init(&own, NULL, 4));
        for (int k = 0; k < 4; k++)
            threads[k] = spawn(destroyer, &own);
        join_all(threads, 4);
    }
    return 0;
}
