/* s4_no_stray_eintr.c - DANGERS S4: a call that waits fails with EINTR only if a handler ran on its
 * own thread: other threads' signals, and those that nobody sent to it, do not show. The time left
 * of a sleep and of a poll is kept needs: time */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>

enum { OTHERS = 4 };

static int stop, hits, fd[2];

static void handler(int sig) {
    (void)sig;
    add(&hits, 1);
}

/* Takes the signals; the others do not block them, but none is sent to them. */
static void *target(void *arg) {
    struct timespec t = {0, 1000000};
    while (!get(&stop))
        nanosleep(&t, NULL);
    return arg;
}

static void *sleeper(void *arg) {
    for (int i = 0; i < 3; i++) {
        struct timespec until = time_in(CLOCK_MONOTONIC, 100);
        DONE(usleep(100000));
        NOT_EARLY(CLOCK_MONOTONIC, until);
    }
    return arg;
}

static void *poller(void *arg) {
    for (int i = 0; i < 3; i++) {
        struct pollfd p = {fd[0], POLLIN, 0};
        struct timespec until = time_in(CLOCK_MONOTONIC, 100);
        WANT(poll(&p, 1, 100), 0);
        NOT_EARLY(CLOCK_MONOTONIC, until);
    }
    return arg;
}

static void *reader(void *arg) {
    char c;
    WANT(read(fd[0], &c, 1), 1);
    return arg;
}

int main(void) {
    check_start();
    DONE(pipe(fd));
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    pthread_t t = spawn(target, NULL);
    pthread_t waiters[] = {spawn(sleeper, NULL), spawn(poller, NULL), spawn(sleeper, NULL),
                           spawn(poller, NULL)};
    pthread_t last = spawn(reader, NULL);
    struct timespec until = time_in(CLOCK_MONOTONIC, 350), gap = {0, 50000};
    while (now_ns(CLOCK_MONOTONIC) < to_ns(until)) {
        OK(pthread_kill(t, SIGUSR1));
        nanosleep(&gap, NULL);
    }
    join_all(waiters, OTHERS);
    WANT(write(fd[1], "x", 1), 1);
    join(last);
    set(&stop, 1);
    join(t);
    CHECK(get(&hits) > 10, "expected the target to take signals, came %d", get(&hits));
    return 0;
}
