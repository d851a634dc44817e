/* barrier_cancel.c - pthread_barrier_wait is no cancellation point: the round is completed, and the
 * request acts afterwards */
#include "check.h"

enum { N = 6, ROUNDS = 50 };

static pthread_barrier_t *barrier;
static int arrived, passed;

static void *member(void *arg) {
    add(&arrived, 1);
    pthread_barrier_wait(barrier);
    add(&passed, 1);
    for (;;)
        pthread_testcancel();
    return arg;
}

int main(void) {
    check_start();
    for (int r = 0; r < ROUNDS; r++) {
        pthread_t threads[N];
        barrier = malloc(sizeof *barrier);
        OK(pthread_barrier_init(barrier, NULL, N + 1));
        arrived = passed = 0;
        spawn_all(threads, N, member);
        wait_until(&arrived, N);
        for (int i = 0; i < N; i++)
            OK(pthread_cancel(threads[i]));
        WANT(get(&passed), 0);
        pthread_barrier_wait(barrier);
        wait_until(&passed, N);
        OK(pthread_barrier_destroy(barrier));
        memset(barrier, 0x55, sizeof *barrier);
        for (int i = 0; i < N; i++)
            CHECK(join(threads[i]) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
        free(barrier);
    }
    return 0;
}
