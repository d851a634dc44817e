/* block_recv.c - 20 threads blocked in recv() and its kin on socket pairs; SO_RCVTIMEO */
#include "blocked.h"

static void blocked_wait(int fd, char expect) {
    char c = 0;
    struct iovec piece = {&c, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    switch (expect % 3) {
    case 0:
        WANT(recv(fd, &c, 1, 0), 1);
        break;
    case 1:
        WANT(recvfrom(fd, &c, 1, MSG_WAITALL, NULL, NULL), 1);
        break;
    default:
        WANT(recvmsg(fd, &message, 0), 1);
    }
    WANT(c, expect);
}

static void *other_ways(void *arg) {
    char c;
    int fd = blocked_ends[(intptr_t)arg][0];
    FAILS(recv(fd, &c, 1, MSG_DONTWAIT), EAGAIN);
    struct timeval limit = {0, 50000};
    DONE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    /* The kernel counts this one in its ticks of 4 ms or so, so it may be a tick short. */
    struct timespec at = time_in(CLOCK_MONOTONIC, 40);
    FAILS(recv(fd, &c, 1, 0), EAGAIN);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    return NULL;
}

static void *closed(void *arg) {
    char c;
    struct timeval forever = {0, 0};
    int fd = blocked_ends[(intptr_t)arg][0];
    DONE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever));
    WANT(recv(fd, &c, 1, 0), 0);
    return NULL;
}

int main(void) {
    check_start();
    pthread_t threads[BLOCKED];
    blocked_run(true);
    run_all(BLOCKED, other_ways);
    spawn_all(threads, BLOCKED, closed);
    pause_ms(10);
    for (int i = 0; i < BLOCKED; i++)
        DONE(shutdown(blocked_ends[i][1], SHUT_WR));
    join_all(threads, BLOCKED);
    return 0;
}
