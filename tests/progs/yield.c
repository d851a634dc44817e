/* yield.c - sched_yield, and the old pthread_yield@GLIBC_2.2.5, let the others run
 *
 * Debian's sysbench imports the old symbol; it is hidden from the linker, so bind to its version.
 */
#include "check.h"

__asm__(".symver old_pthread_yield, pthread_yield@GLIBC_2.2.5");
extern int old_pthread_yield(void);

enum { N = 10, TURNS = 300 };

static int turn, ended;

/* Strictly in turn, waiting by yielding only: with one P nothing else lets the others run. */
static void *by_turns(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < TURNS; i++) {
        while (get(&turn) % N != me) {
            if (me % 2)
                OK(sched_yield());
            else
                OK(old_pthread_yield());
        }
        add(&turn, 1);
    }
    add(&ended, 1);
    return NULL;
}

int main(void) {
    check_start();
    OK(sched_yield()); /* before there are threads */
    OK(old_pthread_yield());
    pthread_t threads[N];
    spawn_all(threads, N, by_turns);
    while (get(&ended) < N)
        OK(sched_yield());
    join_all(threads, N);
    WANT(turn, N * TURNS);
    return 0;
}
