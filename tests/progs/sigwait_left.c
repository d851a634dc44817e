/* sigwait_left.c - a thread that leaves sigwaitinfo by a handler's siglongjmp, or ends in that
 * handler, waits no more: the signals go to those that do, and to the handler */
#include "check.h"

#include <setjmp.h>
#include <signal.h>

enum { ROUNDS = 30 };

static __thread sigjmp_buf back;
static int inside, left, ends, go_on, handled;

static void leave(int sig) {
    (void)sig;
    if (get(&ends))
        pthread_exit(NULL);
    siglongjmp(back, 1);
}

static void count(int sig) {
    WANT(sig, SIGRTMIN);
    add(&handled, 1);
}

static void wait_here(void) {
    sigset_t s;
    siginfo_t info;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    add(&inside, 1);
    sigwaitinfo(&s, &info);
    check_fail("expected sigwaitinfo never to return");
}

static int spoil(int n) { /* writes over the stack that the wait has used */
    volatile char a[3000];
    memset((char *)a, n, sizeof a);
    return a[n] + a[2999 - n];
}

static void *waiter(void *arg) {
    if (!sigsetjmp(back, 1))
        wait_here();
    spoil(7);
    add(&left, 1);
    wait_until(&go_on, 1);
    return arg;
}

int main(void) {
    check_start();
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = leave}, NULL));
    DONE(sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = count}, NULL));
    OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        inside = left = handled = go_on = 0;
        set(&ends, i % 2);
        pthread_t t = spawn(waiter, NULL);
        wait_until(&inside, 1);
        pause_ms(2);
        OK(pthread_kill(t, SIGUSR1));
        if (get(&ends))
            join(t);
        else
            wait_until(&left, 1);
        DONE(kill(getpid(), SIGRTMIN)); /* nobody waits: it is pending, and then ours */
        OK(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
        WANT(get(&handled), 1);
        OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
        __atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
        if (!get(&ends))
            join(t);
    }
    return 0;
}
