/* block_poll.c - 20 threads blocked in poll() and ppoll(); time-outs not early; many descriptors */
#include "blocked.h"

#include <poll.h>

static void blocked_wait(int fd, char expect) {
    /* Two descriptors, one of which never gets ready. */
    struct pollfd fds[2] = {{.fd = blocked_ends[0][1], .events = POLLPRI},
                            {.fd = fd, .events = POLLIN}};
    struct timespec long_time = {50, 0};
    WANT(expect % 2 ? poll(fds, 2, -1) : ppoll(fds, 2, &long_time, NULL), 1);
    WANT(fds[0].revents, 0);
    WANT(fds[1].revents, POLLIN);
    blocked_take(fd, expect);
}

static void *times_out(void *arg) {
    struct pollfd fd = {.fd = blocked_ends[(intptr_t)arg][0], .events = POLLIN};
    struct timespec at = time_in(CLOCK_MONOTONIC, 60);
    WANT(poll(&fd, 1, 60), 0);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    WANT(poll(&fd, 1, 0), 0);
    at = time_in(CLOCK_MONOTONIC, 30);
    WANT(poll(NULL, 0, 30), 0); /* as a sleep */
    NOT_EARLY(CLOCK_MONOTONIC, at);
    fd.fd = 9999;
    WANT(poll(&fd, 1, -1), 1);
    WANT(fd.revents, POLLNVAL);
    return NULL;
}

int main(void) {
    check_start();
    blocked_run(false);
    run_all(BLOCKED, times_out);
    return 0;
}
