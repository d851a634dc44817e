/* signal_fork_child.c - what a fork's child has of signals: the mask of the thread that called
 * fork, its actions and alternate stack, nothing pending; it can send itself signals, wait for
 * them, and make threads that do. A child made in a handler returns from that handler. */
#include "util.h"

#include <signal.h>

static volatile int handled;
static volatile pid_t made;
static __thread char *mine;

static void count(int sig) {
    (void)sig;
    handled++;
}

static void on_alternate(int sig) {
    char here;
    (void)sig;
    CHECK(&here >= mine && &here < mine + (1 << 16), "expected to run on the alternate stack");
    handled++;
}

static void forks(int sig) {
    sigset_t is;
    made = DONE(fork());
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    CHECK(sigismember(&is, sig), "expected the handler's signal to be blocked");
}

static bool blocked(int sig) {
    sigset_t is;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    return sigismember(&is, sig);
}

static void *thread_of_child(void *arg) {
    handled = 0;
    CHECK(blocked(SIGUSR2), "expected the inherited mask");
    WANT(raise(SIGUSR1), 0);
    WANT(handled, 1);
    return arg;
}

static void child(void) {
    sigset_t pending, usr2;
    CHECK(blocked(SIGUSR2) && !blocked(SIGUSR1), "expected the mask of fork's caller");
    DONE(sigpending(&pending));
    WANT(sigismember(&pending, SIGUSR2), 0);
    handled = 0;
    WANT(raise(SIGUSR1), 0);
    WANT(handled, 1);
    stack_t ss;
    DONE(sigaltstack(NULL, &ss));
    CHECK(ss.ss_sp == mine, "expected the alternate stack of fork's caller");
    WANT(raise(SIGHUP), 0);
    WANT(handled, 2);
    for (int i = 0; i < 3; i++)
        join(spawn(thread_of_child, NULL));
    /* Now that it has threads again. */
    handled = 0;
    WANT(raise(SIGHUP), 0);
    WANT(handled, 1);
    DONE(kill(getpid(), SIGUSR2));
    WANT(handled, 1);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    int sig;
    OK(sigwait(&usr2, &sig));
    WANT(sig, SIGUSR2);
    _exit(3);
}

/* Its child goes on behind the handler. */
static void child_of_handler(bool again) {
    CHECK(!blocked(SIGURG), "expected the mask from before the handler");
    if (again)
        join(spawn(thread_of_child, NULL));
    handled = 0;
    WANT(raise(SIGUSR1), 0);
    WANT(handled, 1);
    if (again) {
        DONE(raise(SIGURG)); /* a handler that forks, in a child of one */
        if (made == 0)
            _exit(4);
        child_exits(made, 4);
    }
    exit(5);
}

static void *run(void *arg) {
    mine = malloc(1 << 16);
    DONE(sigaltstack(&(stack_t){.ss_sp = mine, .ss_size = 1 << 16}, NULL));
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    OK(pthread_sigmask(SIG_SETMASK, &usr2, NULL));
    for (int i = 0; i < 5; i++) {
        OK(pthread_kill(pthread_self(), SIGUSR2)); /* pending here, not in the child */
        pid_t pid = DONE(fork());
        if (!pid)
            child();
        child_exits(pid, 3);
        WANT(raise(SIGURG), 0);
        if (made == 0)
            child_of_handler(i % 2);
        child_exits(made, 5);
        CHECK(!blocked(SIGURG), "expected the mask from before the handler");
    }
    return arg;
}

static void *sleeper(void *arg) {
    wait_until(arg, 1);
    return NULL;
}

int main(void) {
    check_start();
    static int stop;
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = count}, NULL));
    DONE(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = count}, NULL));
    DONE(sigaction(SIGHUP, &(struct sigaction){.sa_handler = on_alternate, .sa_flags = SA_ONSTACK},
                   NULL));
    DONE(sigaction(SIGURG, &(struct sigaction){.sa_handler = forks}, NULL));
    pthread_t t = spawn(sleeper, &stop);
    join(spawn(run, NULL));
    run(NULL);
    set(&stop, 1);
    join(t);
    return 0;
}
