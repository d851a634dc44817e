/* sigaction_discards.c - a pending signal whose action becomes SIG_IGN, or SIG_DFL where that is to
 * ignore it, is thrown away, for each thread and for the process; later ones are not */
#include "check.h"

#include <signal.h>

static volatile int handled;

static void handler(int sig) {
    (void)sig;
    handled++;
}

static bool pending(int sig) {
    sigset_t is;
    DONE(sigpending(&is));
    return sigismember(&is, sig);
}

static void check_one(int sig, __sighandler_t ignore) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    DONE(sigaction(sig, &(struct sigaction){.sa_handler = handler}, NULL));
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    handled = 0;
    for (int i = 0; i < 3; i++) {
        OK(pthread_kill(pthread_self(), sig));
        DONE(kill(getpid(), sig));
    }
    CHECK(pending(sig), "expected signal %d to be pending", sig);
    DONE(sigaction(sig, &(struct sigaction){.sa_handler = ignore}, NULL));
    CHECK(!pending(sig), "expected signal %d to be thrown away", sig);
    DONE(sigaction(sig, &(struct sigaction){.sa_handler = handler}, NULL));
    OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    WANT(handled, 0);
    OK(pthread_kill(pthread_self(), sig));
    WANT(handled, 1);
}

static void *run(void *arg) {
    check_one(SIGUSR1, SIG_IGN);
    check_one(SIGRTMIN + 1, SIG_IGN);
    check_one(SIGURG, SIG_IGN);
    check_one(SIGURG, SIG_DFL);
    check_one(SIGCHLD, SIG_DFL);
    return arg;
}

int main(void) {
    check_start();
    sigset_t set, old;
    sigfillset(&set);
    sigdelset(&set, SIGALRM);
    OK(pthread_sigmask(SIG_SETMASK, &set, &old));
    pthread_t t = spawn(run, NULL);
    join(t);
    join(spawn(run, NULL));
    OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
    run(NULL);
    return 0;
}
