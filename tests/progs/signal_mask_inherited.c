/* signal_mask_inherited.c - a new thread blocks what its creator blocks, or what its attributes
 * say; it has nothing pending, no alternate stack, and a mask that nobody else's calls change */
#include "check.h"

#include <signal.h>

static sigset_t set_of(int a, int b) {
    sigset_t s;
    sigemptyset(&s);
    if (a)
        sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

static void wants_exactly(const sigset_t *want) {
    sigset_t is;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    for (int sig = 1; sig <= SIGRTMAX; sig++)
        CHECK(sigismember(&is, sig) == sigismember(want, sig),
              "signal %d: expected blocked=%d, came %d", sig, sigismember(want, sig),
              sigismember(&is, sig));
}

static void *child(void *want) {
    wants_exactly(want);
    sigset_t pending, other = set_of(SIGHUP, SIGRTMAX);
    DONE(sigpending(&pending));
    WANT(sigismember(&pending, SIGUSR1), 0);
    stack_t ss;
    DONE(sigaltstack(NULL, &ss));
    CHECK(ss.ss_flags & SS_DISABLE, "expected no alternate stack, came flags %d", ss.ss_flags);
    /* Yields in between: the mask follows its thread over kernel threads. */
    for (int i = 0; i < 50; i++) {
        sched_yield();
        wants_exactly(want);
    }
    OK(pthread_sigmask(SIG_SETMASK, &other, NULL));
    for (int i = 0; i < 50; i++) {
        sched_yield();
        wants_exactly(&other);
    }
    return NULL;
}

static void *starter(void *want) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = spawn(child, want);
    join_all(threads, 8);
    wants_exactly(want);
    return NULL;
}

static int handled;
static void count(int sig) { add(&handled, sig == SIGUSR1); }

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = count}, NULL));
    sigset_t main_mask = set_of(SIGUSR1, SIGRTMIN + 3), attr_mask = set_of(SIGUSR2, SIGTERM),
             none = set_of(0, 0);
    static char alternate[1 << 16];
    DONE(sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL));
    wants_exactly(&none);
    OK(pthread_sigmask(SIG_SETMASK, &main_mask, NULL));
    OK(pthread_kill(pthread_self(), SIGUSR1)); /* pending here, and only here */
    starter(&main_mask);
    join(spawn(starter, &main_mask));
    pthread_attr_t attr;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setsigmask_np(&attr, &attr_mask));
    join(spawn_with(&attr, starter, &attr_mask));
    OK(pthread_attr_setsigmask_np(&attr, &none));
    join(spawn_with(&attr, starter, &none));
    OK(pthread_attr_destroy(&attr));
    wants_exactly(&main_mask);
    ERR(pthread_sigmask(77, &none, NULL), EINVAL);
    OK(pthread_sigmask(77, NULL, NULL));
    /* What cannot be blocked is left out without an error. */
    sigset_t unblockable = set_of(SIGKILL, SIGSTOP);
    WANT(get(&handled), 0);
    OK(pthread_sigmask(SIG_SETMASK, &unblockable, NULL));
    WANT(get(&handled), 1); /* it has run when the call returns */
    wants_exactly(&none);
    return 0;
}
