/* sleep_parallel.c - 100 sleepers sleep at the same time, not one after the other */
#include "check.h"

static void *sleeper(void *arg) {
    struct timespec at = time_in(CLOCK_MONOTONIC, 300);
    OK(usleep(300000));
    NOT_EARLY(CLOCK_MONOTONIC, at);
    return arg;
}

int main(void) {
    check_start();
    int64_t start = now_ns(CLOCK_MONOTONIC);
    run_all(100, sleeper);
    int64_t took = now_ns(CLOCK_MONOTONIC) - start;
    /* Two at a time, as if each held one of two Ps, would be 15 s. */
    CHECK(took < 7 * SECOND_NS, "100 sleeps of 0.3 s: expected 0.3 s, 7 s at most, came %.1f s",
          (double)took / 1e9);
    return 0;
}
