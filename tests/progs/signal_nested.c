/* signal_nested.c - handlers that interrupt handlers: which signals a handler blocks (its own,
 * sa_mask; not with SA_NODEFER), that the mask is as before after each return, that what was
 * blocked meanwhile runs afterwards, once, and that a handler may run inside itself */
#include "check.h"

#include <signal.h>

enum { THREADS = 8, ROUNDS = 100, DEPTH = 5 };

static __thread volatile int depth, deepest, order[8], n_order;

static bool blocked(int sig) {
    sigset_t is;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    return sigismember(&is, sig);
}

static void note(int what) { order[n_order++] = what; }

/* SIGUSR1, sa_mask {SIGUSR2}: raises both; neither may run before it has returned. */
static void outer(int sig) {
    note(1);
    WANT(sig, SIGUSR1);
    CHECK(blocked(SIGUSR1) && blocked(SIGUSR2) && !blocked(SIGHUP), "expected the handler's mask");
    WANT(raise(SIGUSR2), 0);
    sched_yield();
    WANT(raise(SIGHUP), 0); /* this one is not blocked: it runs now */
    note(2);
}

static void second(int sig) {
    WANT(sig, SIGUSR2);
    CHECK(blocked(SIGUSR2) && !blocked(SIGUSR1), "expected only SIGUSR2 to be blocked");
    note(3);
}

static void inner(int sig) {
    WANT(sig, SIGHUP);
    CHECK(blocked(SIGUSR1) && blocked(SIGUSR2) && blocked(SIGHUP),
          "expected the masks of both handlers");
    sched_yield();
    note(4);
}

/* SA_NODEFER */
static void again(int sig) {
    CHECK(!blocked(sig), "expected SA_NODEFER to leave it unblocked");
    if (++depth > deepest)
        deepest = depth;
    if (depth < DEPTH)
        WANT(raise(sig), 0);
    sched_yield();
    depth--;
}

static void *run(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        n_order = 0;
        WANT(raise(SIGUSR1), 0);
        WANT(n_order, 4);
        WANT(order[0], 1);
        WANT(order[1], 4);
        WANT(order[2], 2);
        WANT(order[3], 3);
        CHECK(!blocked(SIGUSR1) && !blocked(SIGUSR2) && !blocked(SIGHUP),
              "expected nothing to be blocked");
        deepest = 0;
        WANT(raise(SIGRTMIN), 0);
        WANT(deepest, DEPTH);
        WANT(depth, 0);
    }
    return arg;
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_handler = outer};
    sigaddset(&sa.sa_mask, SIGUSR2);
    DONE(sigaction(SIGUSR1, &sa, NULL));
    DONE(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = second}, NULL));
    DONE(sigaction(SIGHUP, &(struct sigaction){.sa_handler = inner}, NULL));
    DONE(sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = again, .sa_flags = SA_NODEFER},
                   NULL));
    run_all(THREADS, run);
    run(NULL);
    return 0;
}
