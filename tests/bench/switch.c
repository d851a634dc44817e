/* switch.c yield|pingpong N - ns per turn of two threads that take turns
 *
 * yield counts only turns that the other thread took, so that a yield that returns at once does
 * not count; pingpong is one mutex and two conditions in strict alternation. */
#include "bench.h"

#include <sched.h>
#include <string.h>

static long n, turns;
static volatile long last = -1;
static int turn;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t go[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};

static void *yielder(void *arg) {
    long me = (intptr_t)arg;
    for (long i = 0; i < n; i++) {
        if (last != me) {
            last = me;
            __atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);
        }
        sched_yield();
    }
    return NULL;
}

static void *player(void *arg) {
    int me = (int)(intptr_t)arg;
    pthread_mutex_lock(&lock);
    for (long i = 0; i < n; i++) {
        while (turn != me)
            pthread_cond_wait(&go[me], &lock);
        turn = !me;
        turns++;
        pthread_cond_signal(&go[!me]);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    n = atol(argv[2]);
    int yields = !strcmp(argv[1], "yield");
    double start = now_ns();
    run_threads(2, yields ? yielder : player);
    return report(now_ns() - start, turns ? turns : 1, yields ? turns > 1 : turns == 2 * n);
}
