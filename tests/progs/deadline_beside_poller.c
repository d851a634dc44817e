/* deadline_beside_poller.c - sleeps that begin and events that come while one kernel thread after
 * another becomes the one that waits for deadlines: none is slept through. 2000 rounds on new
 * descriptors (GTHREAD_TEST_ROUNDS)
 *
 * A deadline that was added just as the break of an earlier one was taken away got lost, and the
 * whole process slept: once in some 20,000 rounds on a loaded machine. */
#include "check.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { LIMIT_MS = 20000 };

static int ends[2];
static unsigned seed;

static void *write_later(void *arg) {
    static const long ns[] = {0, 2000, 20000, 200000};
    struct timespec t = {0, ns[(long)arg % 4]};
    if (t.tv_nsec)
        nanosleep(&t, NULL);
    WANT(write(ends[1], "x", 1), 1);
    return NULL;
}

static void expect_event(int ep) {
    struct epoll_event ev;
    char c[8];
    pthread_t t = spawn(write_later, as_pointer(rand_r(&seed)));
    WANT(epoll_wait(ep, &ev, 1, LIMIT_MS), 1);
    join(t);
    while (read(ends[0], c, sizeof c) > 0)
        continue;
}

static void one_round(bool time_out_first) {
    struct epoll_event ev = {.events = EPOLLIN}, none;
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    DONE(fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK));
    int inner = (int)DONE(epoll_create1(0)), outer = (int)DONE(epoll_create1(0));
    DONE(epoll_ctl(inner, EPOLL_CTL_ADD, ends[0], &ev));
    if (time_out_first)
        WANT(epoll_wait(inner, &none, 1, 1), 0);
    DONE(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev));
    expect_event(outer);
    expect_event(outer);
    DONE(close(inner));
    DONE(close(outer));
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

int main(void) {
    check_start();
    alarm(300);
    const char *rounds = getenv("GTHREAD_TEST_ROUNDS");
    seed = (unsigned)check_seed;
    for (int n = rounds ? atoi(rounds) : 2000; n > 0; n--)
        one_round(n % 2);
    return 0;
}
