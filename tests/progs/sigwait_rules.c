/* sigwait_rules.c - sigwait, sigwaitinfo, sigtimedwait: take what is pending and what comes, no
 * handler runs for it, one signal for one waiter, the siginfo; EINTR after a handler (also with
 * SA_RESTART, but sigwait goes on), EAGAIN at the deadline, not before, EINVAL; a waiter for one
 * thread's signal */
#include "check.h"

#include <signal.h>

enum { WAITERS = 8, EACH = 25 };

static volatile int handled;
static int taken, started, interrupted;
static sigset_t usr1;

static void handler(int sig) {
    (void)sig;
    handled++;
}

static sigset_t only(int sig) {
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, sig);
    return s;
}

static void *many(void *arg) {
    sigset_t s = only(SIGRTMIN);
    int sig;
    for (int i = 0; i < EACH; i++) {
        OK(sigwait(&s, &sig));
        WANT(sig, SIGRTMIN);
        add(&taken, 1);
    }
    return arg;
}

/* Realtime signals queue: as many as were sent are taken, by whomever. */
static void shared_by_many(void) {
    pthread_t threads[WAITERS];
    taken = 0;
    spawn_all(threads, WAITERS, many);
    for (int i = 0; i < WAITERS * EACH; i++) {
        DONE(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
        if (i % 16 == 0)
            pause_ms(1);
    }
    join_all(threads, WAITERS);
    WANT(taken, WAITERS * EACH);
}

static void *for_me(void *arg) {
    siginfo_t info;
    sigset_t s = only(SIGUSR1);
    for (int i = 0; i < EACH; i++) {
        add(&started, 1);
        WANT(sigwaitinfo(&s, &info), SIGUSR1);
        WANT(info.si_signo, SIGUSR1);
        WANT(info.si_code, SI_QUEUE);
        WANT(info.si_pid, getpid());
        CHECK(info.si_value.sival_ptr == arg, "expected this thread's own value");
        add(&taken, 1);
    }
    return arg;
}

static void for_each_its_own(void) {
    pthread_t threads[WAITERS];
    taken = started = 0;
    for (int i = 0; i < WAITERS; i++)
        threads[i] = spawn(for_me, as_pointer(i + 1));
    for (int k = 0; k < EACH; k++) {
        for (int i = WAITERS - 1; i >= 0; i--)
            OK(pthread_sigqueue(threads[i], SIGUSR1,
                                (union sigval){.sival_ptr = as_pointer(i + 1)}));
        wait_until(&taken, WAITERS * (k + 1));
    }
    join_all(threads, WAITERS);
}

static void *ended_by_handler(void *arg) {
    siginfo_t info;
    sigset_t s = only(SIGRTMIN), none;
    int sig;
    for (int i = 0; i < EACH; i++) {
        set(&started, i + 1);
        FAILS(sigwaitinfo(&s, NULL), EINTR);
        set(&interrupted, i + 1);
    }
    struct timespec long_time = {50, 0};
    set(&started, EACH + 1);
    FAILS(sigtimedwait(&s, &info, &long_time), EINTR);
    set(&interrupted, EACH + 1);
    sigemptyset(&none);
    set(&started, EACH + 2);
    FAILS(sigwaitinfo(&none, &info), EINTR);
    set(&interrupted, EACH + 2);
    set(&started, EACH + 3);
    OK(sigwait(&s, &sig)); /* does not end with a handler */
    WANT(sig, SIGRTMIN);
    return arg;
}

static void handlers_end_it(int flags) {
    DONE(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = handler, .sa_flags = flags}, NULL));
    started = interrupted = 0;
    pthread_t t = spawn(ended_by_handler, NULL);
    for (int i = 1; i <= EACH + 2; i++) {
        wait_until(&started, i);
        for (int tries = 0; get(&interrupted) < i; tries++) {
            pause_ms(tries ? 5 : 1); /* one that comes before the wait does not end it */
            if (get(&interrupted) < i)
                OK(pthread_kill(t, SIGUSR2));
            pause_ms(1);
        }
    }
    wait_until(&started, EACH + 3);
    int before = handled;
    for (int i = 0; i < 3; i++) {
        pause_ms(2);
        OK(pthread_kill(t, SIGUSR2));
    }
    pause_ms(10);
    CHECK(handled > before, "expected handlers to run during sigwait");
    OK(pthread_kill(t, SIGRTMIN));
    join(t);
}

static void deadlines(void) {
    sigset_t s = only(SIGUSR1);
    siginfo_t info;
    struct timespec t = {0, 30 * 1000000}, end = time_in(CLOCK_MONOTONIC, 30), zero = {0, 0},
                    bad = {0, 1000000000}, bad2 = {0, -1};
    FAILS(sigtimedwait(&s, &info, &t), EAGAIN);
    NOT_EARLY(CLOCK_MONOTONIC, end);
    FAILS(sigtimedwait(&s, &info, &zero), EAGAIN);
    FAILS(sigtimedwait(&s, &info, &bad), EINVAL);
    FAILS(sigtimedwait(&s, &info, &bad2), EINVAL);
    OK(pthread_kill(pthread_self(), SIGUSR1));
    WANT(sigtimedwait(&s, &info, &zero), SIGUSR1);
    WANT(info.si_code, SI_USER); /* not SI_TKILL: glibc says what POSIX has */
    DONE(kill(getpid(), SIGUSR1));
    WANT(sigtimedwait(&s, &info, &t), SIGUSR1);
    WANT(info.si_code, SI_USER);
    FAILS(sigtimedwait(&s, &info, &zero), EAGAIN);
}

int main(void) {
    check_start();
    usr1 = only(SIGUSR1);
    sigset_t both = usr1;
    sigaddset(&both, SIGRTMIN);
    OK(pthread_sigmask(SIG_BLOCK, &both, NULL));
    /* A handler that must not run: it is waited for, and blocked everywhere. */
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    DONE(sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = handler}, NULL));
    shared_by_many();
    for_each_its_own();
    WANT(handled, 0);
    handlers_end_it(0);
    handlers_end_it(SA_RESTART);
    deadlines();
    return 0;
}
