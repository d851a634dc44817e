/* signal_queue_full.c - when the user may queue no more signals (RLIMIT_SIGPENDING), handlers still
 * run on the thread that a signal is for, with what the sender said where POSIX promises a queue
 * entry of its own */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>

enum { THREADS = 8, ROUNDS = 100 };

static __thread int mine;
static int stop;

static void handler(int sig, siginfo_t *info, void *context) {
    (void)sig;
    (void)context;
    CHECK(info->si_code == SI_TKILL || info->si_code == SI_USER, "came si_code %d", info->si_code);
    mine++;
}

static void *to_itself(void *arg) {
    for (int i = 0; i < ROUNDS; i++)
        OK(pthread_kill(pthread_self(), SIGUSR1));
    WANT(mine, ROUNDS);
    return arg;
}

static void *receives(void *arg) {
    while (!get(&stop))
        usleep(100);
    CHECK(mine > 0, "expected signals, came none");
    return arg;
}

int main(void) {
    check_start();
    struct rlimit one = {1, 1};
    DONE(setrlimit(RLIMIT_SIGPENDING, &one));
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    pthread_t threads[THREADS];
    spawn_all(threads, THREADS, to_itself);
    join_all(threads, THREADS);
    spawn_all(threads, THREADS, receives);
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < THREADS; k++)
            OK(pthread_kill(threads[k], SIGUSR1));
        usleep(100);
    }
    set(&stop, 1);
    join_all(threads, THREADS);
    WANT(mine, 0);
    return 0;
}
