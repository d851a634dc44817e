/* signal_rt_order.c - realtime signals queue: each one sent arrives, those of one number in the
 * order in which they were sent, lower numbers first, with their values; sent to a thread, to the
 * process; taken by a handler and by sigwaitinfo. Standard signals do not queue. */
#include "check.h"

#include <signal.h>

enum { N = 200 };

static volatile int got[3], order_bad, total, usr1;

static void handler(int sig, siginfo_t *info, void *context) {
    (void)context;
    int k = sig - SIGRTMIN;
    WANT(info->si_code, SI_QUEUE);
    if (info->si_value.sival_int != got[k]++)
        order_bad++;
    total++;
}

static void on_usr1(int sig) { usr1 += sig == SIGUSR1; }

static sigset_t rt_set(void) {
    sigset_t set;
    sigemptyset(&set);
    for (int k = 0; k < 3; k++)
        sigaddset(&set, SIGRTMIN + k);
    sigaddset(&set, SIGUSR1);
    return set;
}

static union sigval value(int i) {
    union sigval v = {.sival_int = i};
    return v;
}

static void send_all(pid_t process, const pthread_t *thread) {
    for (int i = 0; i < N; i++)
        for (int k = 2; k >= 0; k--) {
            if (thread)
                OK(pthread_sigqueue(*thread, SIGRTMIN + k, value(i)));
            else
                DONE(sigqueue(process, SIGRTMIN + k, value(i)));
        }
    for (int i = 0; i < 5; i++)
        if (thread)
            OK(pthread_kill(*thread, SIGUSR1));
        else
            DONE(kill(process, SIGUSR1));
}

/* All are pending; by sigwaitinfo they come by number, then by age. */
static void take_waiting(void) {
    sigset_t set = rt_set();
    siginfo_t info;
    WANT(sigwaitinfo(&set, &info), SIGUSR1);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < N; i++) {
            WANT(sigwaitinfo(&set, &info), SIGRTMIN + k);
            WANT(info.si_value.sival_int, i);
            WANT(info.si_code, SI_QUEUE);
            WANT(info.si_signo, SIGRTMIN + k);
        }
    struct timespec none = {0, 0};
    FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
}

static void take_by_handler(void) {
    sigset_t set = rt_set();
    got[0] = got[1] = got[2] = 0;
    total = order_bad = usr1 = 0;
    OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    WANT(total, 3 * N);
    WANT(order_bad, 0);
    WANT(usr1, 1);
}

static void *rounds(void *arg) {
    pthread_t self = pthread_self();
    for (int i = 0; i < 3; i++) {
        send_all(0, &self);
        take_waiting();
        send_all(0, &self);
        take_by_handler();
        send_all(getpid(), NULL);
        take_waiting();
        send_all(getpid(), NULL);
        take_by_handler();
    }
    return arg;
}

static void *idle(void *arg) {
    wait_until(arg, 1);
    return arg;
}

int main(void) {
    check_start();
    static int stop;
    struct sigaction sa = {.sa_flags = SA_SIGINFO};
    sa.sa_sigaction = handler;
    for (int k = 0; k < 3; k++)
        DONE(sigaction(SIGRTMIN + k, &sa, NULL));
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_usr1}, NULL));
    sigset_t set = rt_set();
    pthread_t other = spawn(idle, &stop);
    /* The runtime runs already when these are blocked, if it does; idle does not block them. */
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    join(other);
    rounds(NULL);
    join(spawn(rounds, NULL));
    return 0;
}
