/* own_table_waits.c - a thread with a descriptor table of its own (unshare(2)) waits for a
 * descriptor with a signal mask of the call's (ppoll, pselect, epoll_pwait): each signal ends it,
 * at whatever moment it comes, and so do data, the time and cancellation */
#include "own_table.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

static int ends[2], step;

enum { SIGNALS = 150, CALLS = 5 };
static int handled, asks;
static pthread_t waiter;

static void on_signal(int sig) {
    (void)sig;
    add(&handled, 1);
}

/* Waits for fd or a signal. */
static int wait_by(int call, int fd, const sigset_t *open, int ms) {
    struct pollfd p = {fd, POLLIN, 0};
    struct timespec t = {ms / 1000, ms % 1000 * MS_NS}, *time = ms < 0 ? NULL : &t;
    struct epoll_event e = {.events = EPOLLIN};
    fd_set set;
    int r;
    switch (call) {
    case 0:
        return ppoll(&p, 1, time, open);
    case 1:
        return (int)syscall(SYS_ppoll, &p, 1, time, open, 8);
    case 2:
        FD_ZERO(&set);
        FD_SET(fd, &set);
        r = pselect(fd + 1, &set, NULL, NULL, time, open);
        CHECK(r < 1 || FD_ISSET(fd, &set), "pselect: expected the descriptor in the set");
        return r;
    default: {
        static int epoll;
        if (!epoll) {
            epoll = (int)DONE(epoll_create1(0));
            DONE(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
        }
        return call == 3 ? epoll_pwait(epoll, &e, 1, ms, open)
                         : epoll_pwait2(epoll, &e, 1, time, open);
    }
    }
}

static void *is_interrupted(void *arg) {
    sigset_t none;
    int n = 0;
    sigemptyset(&none);
    get_own_table(0);
    waiter = pthread_self();
    for (int call = 0; call < CALLS; call++) {
        for (int i = 0; i < SIGNALS; i++) {
            add(&asks, 1);
            FAILS(wait_by(call, ends[0], &none, i % 2 ? -1 : 30000), EINTR);
            WANT(get(&handled), ++n);
        }
        struct timespec end = time_in(CLOCK_MONOTONIC, 10);
        WANT(wait_by(call, ends[0], &none, 10), 0);
        NOT_EARLY(CLOCK_MONOTONIC, end);
        set(&step, call + 1);
        WANT(wait_by(call, ends[0], &none, -1), 1);
        get_char(ends[0], (char)call);
    }
    return arg;
}

static void interruptions(void) {
    uint64_t rng = check_seed;
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigset_t usr;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    OK(pthread_sigmask(SIG_BLOCK, &usr, NULL)); /* of all that are made from here on */
    DONE(sigaction(SIGUSR1, &sa, NULL));
    ends_make(false, ends);
    set(&step, 0);
    pthread_t other = spawn(is_interrupted, NULL);
    for (int n = 0, call = 0; call < CALLS; call++) {
        for (int i = 0; i < SIGNALS; i++) {
            wait_until(&asks, ++n);
            for (volatile uint64_t spin = random_next(&rng) % 20000; spin; spin--)
                ;
            if (i % 3)
                OK(pthread_kill(waiter, SIGUSR1));
            else
                DONE(kill(getpid(), SIGUSR1));
        }
        wait_until(&step, call + 1);
        if (call % 2)
            pause_ms(2);
        send_char(ends[1], (char)call);
    }
    join(other);
    OK(pthread_sigmask(SIG_UNBLOCK, &usr, NULL));
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

static int cleaned;
static void cleans(void *arg) {
    (void)arg;
    add(&cleaned, 1);
}

static void *is_cancelled(void *arg) {
    int how = (int)(intptr_t)arg;
    struct pollfd p = {ends[0], POLLIN, 0};
    sigset_t none;
    char c;
    sigemptyset(&none);
    get_own_table(0);
    pthread_cleanup_push(cleans, NULL);
    set(&step, 1);
    if (how == 0)
        read(ends[0], &c, 1);
    else if (how == 1)
        poll(&p, 1, -1);
    else if (how == 2)
        ppoll(&p, 1, NULL, &none);
    else if (how == 3)
        wait_by(2, ends[0], &none, -1);
    else
        epoll_pwait(ends[1], &(struct epoll_event){0}, 1, -1, &none);
    pthread_cleanup_pop(0);
    check_fail("way %d of waiting: expected to be cancelled", how);
}

static void cancellations(void) {
    uint64_t rng = check_seed;
    DONE(pipe(ends));
    int write_end = ends[1];
    ends[1] = (int)DONE(epoll_create1(0));
    for (int i = 0; i < 100; i++) {
        set(&step, 0);
        pthread_t other = spawn(is_cancelled, as_pointer(i % 5));
        wait_until(&step, 1);
        for (volatile uint64_t spin = random_next(&rng) % 50000; spin; spin--)
            ;
        if (i % 10 > 4)
            pause_ms(1);
        OK(pthread_cancel(other));
        CHECK(join(other) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
        WANT(cleaned, i + 1);
    }
    DONE(close(write_end));
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

int main(void) {
    check_start();
    interruptions();
    cancellations();
    return 0;
}
