/* create_order.c - of threads made in a row on one CPU the last one does not begin before the
 * others
 *
 * POSIX promises no order. But programs are written where the first one made mostly runs first, and
 * go wrong where the last one does: a worker that installs a handler, then a thread that signals.
 */
#include "check.h"

#define ROUNDS 50
#define N 3

static int begun, last_first;

static void *begin(void *arg) {
    if (add(&begun, 1) == 1 && (intptr_t)arg == N - 1)
        add(&last_first, 1);
    return NULL;
}

int main(void) {
    check_start();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    DONE(sched_setaffinity(0, sizeof one, &one));
    for (int i = 0; i < ROUNDS; i++) {
        set(&begun, 0);
        run_all(N, begin);
    }
    /* By chance (chaos, a busy machine) it is a third of them at most. */
    CHECK(last_first < ROUNDS * 4 / 5, "the last of %d threads began first in %d of %d rounds", N,
          last_first, ROUNDS);
    return 0;
}
