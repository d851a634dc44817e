/* kill_fresh.c - pthread_kill of threads that have not run yet, wait, or are about to end */
#include "check.h"

#include <signal.h>

enum { ROUNDS = 200 };

static int handled;

static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void *body(void *arg) {
    sched_yield();
    return arg;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART},
                   NULL));
    int sent = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t threads[4];
        spawn_all(threads, 4, body);
        for (int k = 0; k < 4; k++) {
            OK(pthread_kill(threads[k], 0));
            if (k % 2 == 0 && pthread_kill(threads[k], SIGUSR1) == 0)
                sent++;
        }
        join_all(threads, 4);
    }
    ERR(pthread_kill(pthread_self(), 65), EINVAL);
    CHECK(get(&handled) <= sent, "expected at most %d signals, came %d", sent, get(&handled));
    return 0;
}
