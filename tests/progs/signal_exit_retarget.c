/* signal_exit_retarget.c - signals for the process while the threads that may take them come, block
 * them and end: each of a known number arrives, in some thread that lets it through, never in one
 * that does not, and what a thread leaves behind goes to the next */
#include "check.h"

#include <signal.h>

enum { SENT = 3000, TAKERS = 6 };

static int handled, stop, wrong;
static __thread volatile int open_now;

static void handler(int sig) {
    (void)sig;
    if (!open_now)
        add(&wrong, 1);
    add(&handled, 1);
}

static void change(int how) {
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    OK(pthread_sigmask(how, &s, NULL));
}

/* Lets it through for a short while, then blocks it, or ends with it open. */
static void *taker(void *arg) {
    for (int i = 0; i < 5; i++) {
        open_now = 1;
        change(SIG_UNBLOCK);
        if (i % 2)
            sched_yield();
        if (i == 4 && (intptr_t)arg % 2)
            return NULL;
        change(SIG_BLOCK);
        open_now = 0;
    }
    return NULL;
}

static void *takers(void *arg) {
    for (intptr_t i = (intptr_t)arg; !get(&stop); i++)
        join(spawn(taker, as_pointer(i)));
    return NULL;
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_handler = handler};
    DONE(sigaction(SIGRTMIN, &sa, NULL));
    change(SIG_BLOCK);
    pthread_t threads[TAKERS];
    spawn_all(threads, TAKERS, takers);
    for (int i = 0; i < SENT; i++) {
        DONE(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
        if (i % 50 == 0)
            pause_ms(1);
    }
    for (int i = 0; get(&handled) < SENT && i < 3000; i++)
        pause_ms(1);
    set(&stop, 1);
    join_all(threads, TAKERS);
    WANT(get(&handled), SENT);
    WANT(get(&wrong), 0);
    return 0;
}
