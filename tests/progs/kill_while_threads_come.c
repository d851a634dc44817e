/* kill_while_threads_come.c - kill(2) of the own process finds a thread for the signal while
 * threads that let it through come and go: each signal is handled, none twice
 *
 * The sender goes on only when the last signal has been handled, so that they do not merge. */
#include "check.h"

#include <semaphore.h>
#include <signal.h>

#define SIGNALS 2000
#define WAIT_S 30

static sem_t handled, done;
static int sent, came, stop;

static void on_signal(int sig) {
    (void)sig;
    add(&came, 1);
    sem_post(&handled);
}

static void mask(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    OK(pthread_sigmask(how, &set, NULL));
}

static void *sender(void *arg) {
    (void)arg;
    for (int i = 0; i < SIGNALS; i++) {
        add(&sent, 1);
        DONE(kill(getpid(), SIGUSR1));
        struct timespec limit = time_in(CLOCK_REALTIME, WAIT_S * 1000L);
        CHECK(sem_timedwait(&handled, &limit) == 0, "signal %d was not handled within %d s", i,
              WAIT_S);
    }
    set(&stop, 1);
    return NULL;
}

static void *taker(void *arg) {
    mask(SIG_UNBLOCK);
    sem_post(&done);
    return arg;
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    DONE(sem_init(&handled, 0, 0));
    DONE(sem_init(&done, 0, 0));
    mask(SIG_BLOCK);
    pthread_attr_t detached;
    OK(pthread_attr_init(&detached));
    OK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED));
    pthread_t s = spawn(sender, NULL);
    for (int n = 0; !get(&stop); n++) {
        pthread_t t = spawn_with(n % 2 ? &detached : NULL, taker, NULL);
        while (sem_wait(&done) != 0)
            WANT(errno, EINTR);
        if (n % 2 == 0)
            join(t);
    }
    join(s);
    WANT(get(&came), SIGNALS);
    return 0;
}
