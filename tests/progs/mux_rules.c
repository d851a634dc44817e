/* mux_rules.c - poll, select and epoll_wait on threads: what they report, time-outs to the point,
 * nested epoll, a descriptor added while somebody waits, several waiters, signal masks, a file
 * among them */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static void *volatile nowhere = (void *)8; /* no memory is there */
static int ends[2], epfd, taken, inside, handled;

static void *later(void *arg) {
    pause_ms(10);
    ((void (*)(void))arg)();
    return NULL;
}
#define LATER(fn) spawn(later, (void *)(fn))

static void write_one(void) { WANT(write(ends[1], "x", 1), 1); }
static void close_other(void) { DONE(close(ends[1])); }
static void add_ready(void) {
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = ends[0]};
    WANT(write(ends[1], "x", 1), 1);
    DONE(epoll_ctl(epfd, EPOLL_CTL_ADD, ends[0], &ev));
}

static void polls(void) {
    struct pollfd p[3];
    int file = (int)DONE(open("/proc/self/exe", O_RDONLY));
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    p[0] = (struct pollfd){.fd = -1, .events = POLLIN, .revents = 7};
    p[1] = (struct pollfd){.fd = ends[0], .events = POLLIN};
    p[2] = (struct pollfd){.fd = file}; /* nothing to say */
    pthread_t t = LATER(write_one);
    WANT(poll(p, 3, -1), 1);
    WANT(p[0].revents, 0);
    WANT(p[1].revents, POLLIN);
    WANT(p[2].revents, 0);
    join(t);
    p[2].events = POLLIN;
    WANT(poll(p, 3, -1), 2);
    char c;
    WANT(read(ends[0], &c, 1), 1);
    t = LATER(close_other);
    p[1].events = 0;
    WANT(poll(p, 2, -1), 1);
    WANT(p[1].revents, POLLHUP);
    join(t);
    DONE(close(ends[0]));
    DONE(close(file));
    FAILS(poll(nowhere, 1, -1), EFAULT);
    struct timespec wrong = {0, SECOND_NS};
    FAILS(ppoll(p, 1, &wrong, NULL), EINVAL);
}

static void out_of_band(void) { WANT(send(ends[1], "!", 1, MSG_OOB), 1); }

static void selects(void) {
    fd_set r, e;
    struct timeval limit = {5, 0};
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    FD_ZERO(&r);
    FD_ZERO(&e);
    FD_SET(ends[0], &r);
    pthread_t t = LATER(write_one);
    WANT(select(ends[0] + 1, &r, NULL, &e, &limit), 1);
    CHECK(FD_ISSET(ends[0], &r), "expected the descriptor to be readable");
    CHECK(limit.tv_sec == 4 || (limit.tv_sec == 5 && !limit.tv_usec) || limit.tv_sec == 4,
          "expected what is left of the time, came %ld s", (long)limit.tv_sec);
    join(t);
    char c;
    WANT(read(ends[0], &c, 1), 1);
    FD_SET(ends[0], &r);
    limit = (struct timeval){0, 20000};
    struct timespec at = time_in(CLOCK_MONOTONIC, 20);
    WANT(select(ends[0] + 1, &r, NULL, NULL, &limit), 0);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    CHECK(!FD_ISSET(ends[0], &r), "expected the sets to be empty after a time-out");
    FD_SET(ends[0], &e);
    t = LATER(out_of_band);
    limit = (struct timeval){30, 0};
    WANT(select(ends[0] + 1, NULL, NULL, &e, &limit), 1);
    join(t);
    enum { CLOSED = 900 };
    DONE(dup2(ends[0], CLOSED));
    DONE(close(CLOSED));
    FD_SET(CLOSED, &r);
    FAILS(select(CLOSED + 1, &r, NULL, NULL, NULL), EBADF);
    limit = (struct timeval){0, -1};
    FAILS(select(0, NULL, NULL, NULL, &limit), EINVAL);
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

static void *epoll_taker(void *arg) {
    struct epoll_event ev;
    add(&inside, 1);
    WANT(epoll_wait(epfd, &ev, 1, 30000), 1);
    char c;
    if (read(ev.data.fd, &c, 1) == 1)
        add(&taken, 1);
    return arg;
}

static void epolls(void) {
    struct epoll_event ev = {.events = EPOLLIN};
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    DONE(fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK));
    epfd = (int)DONE(epoll_create1(0));
    /* added while somebody waits */
    taken = inside = 0;
    pthread_t t = spawn(epoll_taker, NULL);
    wait_until(&inside, 1);
    add_ready();
    join(t);
    WANT(taken, 1);
    /* several wait, several come */
    pthread_t many[4];
    taken = inside = 0;
    spawn_all(many, 4, epoll_taker);
    wait_until(&inside, 4);
    pause_ms(3);
    WANT(write(ends[1], "abcd", 4), 4);
    join_all(many, 4);
    CHECK(taken >= 1, "expected at least one to read");
    while (read(ends[0], many, 4) > 0)
        continue;
    /* nested, and polled from outside */
    int outer = (int)DONE(epoll_create1(0));
    ev.data.fd = 42;
    DONE(epoll_ctl(outer, EPOLL_CTL_ADD, epfd, &ev));
    t = LATER(write_one);
    WANT(epoll_wait(outer, &ev, 1, 20000), 1);
    WANT(ev.data.fd, 42);
    struct pollfd p = {outer, POLLIN, 0};
    WANT(poll(&p, 1, -1), 1);
    join(t);
    FAILS(epoll_wait(ends[0], &ev, 1, -1), EINVAL);
    FAILS(epoll_wait(epfd, &ev, 0, -1), EINVAL);
    FAILS(epoll_wait(-1, &ev, 1, -1), EBADF);
    DONE(close(outer));
    DONE(close(epfd));
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

static void times(void) {
    struct epoll_event ev;
    epfd = (int)DONE(epoll_create1(0));
    for (int i = 0; i < 5; i++) {
        struct timespec t = {0, 1300000}, at = time_in(CLOCK_MONOTONIC, 1);
        WANT(epoll_pwait2(epfd, &ev, 1, &t, NULL), 0);
        NOT_EARLY(CLOCK_MONOTONIC, at);
        at = time_in(CLOCK_MONOTONIC, 3);
        WANT(epoll_wait(epfd, &ev, 1, 3), 0);
        NOT_EARLY(CLOCK_MONOTONIC, at);
    }
    DONE(close(epfd));
    uint64_t n = 0;
    int timer = (int)DONE(timerfd_create(CLOCK_MONOTONIC, 0));
    struct itimerspec in = {.it_value = {0, 5000000}};
    DONE(timerfd_settime(timer, 0, &in, NULL));
    WANT(read(timer, &n, sizeof n), sizeof n);
    WANT(n, 1);
    DONE(close(timer));
}

static void on_usr1(int sig) {
    (void)sig;
    add(&handled, 1);
}

static pthread_t waiting;
static void signal_it(void) { OK(pthread_kill(waiting, SIGUSR1)); }

/* Blocked outside, let through by the mask of the call. */
static void masks(void) {
    sigset_t block, none;
    struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    struct timespec long_time = {20, 0};
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    DONE(sigaction(SIGUSR1, &sa, NULL));
    OK(pthread_sigmask(SIG_BLOCK, &block, NULL));
    waiting = pthread_self();
    struct pollfd p = {-1, 0, 0};
    pthread_t t = LATER(signal_it);
    FAILS(ppoll(&p, 1, &long_time, &none), EINTR);
    join(t);
    WANT(handled, 1);
    t = LATER(signal_it);
    FAILS(pselect(0, NULL, NULL, NULL, &long_time, &none), EINTR);
    join(t);
    WANT(handled, 2);
    epfd = (int)DONE(epoll_create1(0));
    struct epoll_event ev;
    t = LATER(signal_it);
    FAILS(epoll_pwait(epfd, &ev, 1, 20000, &none), EINTR);
    join(t);
    WANT(handled, 3);
    t = LATER(signal_it);
    WANT(poll(NULL, 0, 40), 0); /* blocked: it stays pending */
    join(t);
    WANT(handled, 3);
    OK(pthread_sigmask(SIG_UNBLOCK, &block, NULL));
    WANT(handled, 4);
    DONE(close(epfd));
}

static void *all(void *arg) {
    polls();
    selects();
    epolls();
    times();
    masks();
    return arg;
}

int main(void) {
    check_start();
    join(spawn(all, NULL));
    return 0;
}
