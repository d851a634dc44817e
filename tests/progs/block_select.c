/* block_select.c - 20 threads blocked in select() and pselect(); time-outs not early */
#include "blocked.h"

#include <sys/select.h>

static void blocked_wait(int fd, char expect) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    struct timespec long_time = {50, 0};
    WANT(expect % 2 ? select(fd + 1, &in, NULL, NULL, NULL)
                    : pselect(fd + 1, &in, NULL, NULL, &long_time, NULL),
         1);
    CHECK(FD_ISSET(fd, &in), "expected the descriptor in the set");
    blocked_take(fd, expect);
}

static void *times_out(void *arg) {
    int fd = blocked_ends[(intptr_t)arg][0];
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    struct timeval nap = {0, 60000};
    struct timespec at = time_in(CLOCK_MONOTONIC, 60);
    WANT(select(fd + 1, &in, NULL, NULL, &nap), 0);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    CHECK(!FD_ISSET(fd, &in), "expected an empty set after the time-out");
    nap.tv_usec = 30000;
    at = time_in(CLOCK_MONOTONIC, 30);
    WANT(select(0, NULL, NULL, NULL, &nap), 0); /* as a sleep */
    NOT_EARLY(CLOCK_MONOTONIC, at);
    FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    return NULL;
}

int main(void) {
    check_start();
    blocked_run(false);
    run_all(BLOCKED, times_out);
    return 0;
}
