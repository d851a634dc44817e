/* sigsuspend_race.c - sigsuspend changes the mask and waits in one step: a signal that comes at any
 * moment after it was blocked ends the wait, none is lost, and each call lets exactly one of a
 * queue through. It returns EINTR with the old mask back, which is also what its handler returns
 * to. */
#include "check.h"

#include <signal.h>

enum { THREADS = 6, ROUNDS = 200, QUEUED = 5 };

static __thread volatile int handled, mask_in_handler;
static pthread_t threads[THREADS];
static int turn[THREADS], answered[THREADS];

static bool blocked(int sig) {
    sigset_t is;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    return sigismember(&is, sig);
}

static void handler(int sig, siginfo_t *info, void *context) {
    (void)info;
    ucontext_t *uc = context;
    mask_in_handler = sigismember(&uc->uc_sigmask, sig); /* what is restored: the old mask */
    handled++;
}

static void *run(void *arg) {
    int me = (int)(intptr_t)arg;
    sigset_t none;
    sigemptyset(&none);
    for (int i = 1; i <= ROUNDS; i++) {
        handled = 0;
        set(&turn[me], i); /* from here on it may come */
        if (i % 3 == 0)
            sched_yield();
        FAILS(sigsuspend(&none), EINTR);
        WANT(handled, 1);
        WANT(mask_in_handler, 1);
        CHECK(blocked(SIGUSR1) && !blocked(SIGUSR2), "expected the old mask");
        set(&answered[me], i);
    }
    /* As many calls as signals. */
    for (int i = 0; i < QUEUED; i++)
        OK(pthread_kill(pthread_self(), SIGRTMIN));
    for (int i = 1; i <= QUEUED; i++) {
        handled = 0;
        FAILS(sigsuspend(&none), EINTR);
        WANT(handled, 1);
    }
    /* Two kinds, and a handler that blocks all: one call for each. */
    OK(pthread_kill(pthread_self(), SIGUSR1));
    OK(pthread_kill(pthread_self(), SIGRTMIN));
    for (int i = 0; i < 2; i++) {
        handled = 0;
        FAILS(sigsuspend(&none), EINTR);
        WANT(handled, 1);
    }
    sigset_t pending;
    DONE(sigpending(&pending));
    WANT(sigismember(&pending, SIGRTMIN) + sigismember(&pending, SIGUSR1), 0);
    return arg;
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_RESTART};
    sa.sa_sigaction = handler;
    sigfillset(&sa.sa_mask);
    DONE(sigaction(SIGUSR1, &sa, NULL));
    DONE(sigaction(SIGRTMIN, &sa, NULL));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    spawn_all(threads, THREADS, run);
    for (int i = 1; i <= ROUNDS; i++) {
        for (int k = 0; k < THREADS; k++) {
            wait_until(&turn[k], i);
            OK(pthread_kill(threads[k], SIGUSR1));
        }
        for (int k = 0; k < THREADS; k++)
            wait_until(&answered[k], i);
    }
    join_all(threads, THREADS);
    return 0;
}
