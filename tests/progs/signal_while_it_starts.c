/* signal_while_it_starts.c - signals that another process sends while the first thread is made,
 * when the library takes over masks and actions, are handled, and so are all later ones: on the
 * thread that made it, whether it computes or waits, and on the new one. Each round is a process of
 * its own, since a process starts once; every other one blocks the signal at first. */
#include "check.h"

#include <signal.h>
#include <sys/wait.h>

enum { ROUNDS = 24, MORE = 1, LIMIT_S = 30 };

static int handled, inside;
static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

/* A process that sends the signal all the time, until its parent ends: not by the clock, whose
 * 50 us are longer than what is to be met, nor so often that the receiver comes to nothing else. */
static void sender(void) {
    pid_t parent = getpid();
    if (DONE(fork()))
        return;
    uint64_t random = check_seed;
    while (kill(parent, SIGUSR1) == 0)
        for (int pause = (int)(random_next(&random) % 200); pause >= 0; pause--)
            if (getppid() != parent)
                _exit(0);
    _exit(0);
}

static void want_more(bool compute) {
    int from = get(&handled);
    int64_t until = now_ns(CLOCK_MONOTONIC) + LIMIT_S * SECOND_NS;
    while (get(&handled) < from + MORE) {
        CHECK(now_ns(CLOCK_MONOTONIC) < until, "expected signals to be handled %s",
              compute ? "while the thread computes" : "while the thread waits");
        if (!compute)
            usleep(100);
    }
}

static void change_mask(int how) {
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(pthread_sigmask(how, &usr1, NULL));
}

static void *other(void *arg) {
    int before = get(&handled);
    set(&inside, 1);
    if (*(bool *)arg) { /* inherited */
        usleep(2000);
        WANT(get(&handled), before);
        change_mask(SIG_UNBLOCK);
    }
    want_more(true);
    want_more(false);
    return NULL;
}

static void round_of(bool blocked) {
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    sender();
    want_more(false);
    if (blocked)
        change_mask(SIG_BLOCK);
    pthread_t t = spawn(other, &blocked);
    join(t);
    WANT(inside, 1);
    if (blocked)
        change_mask(SIG_UNBLOCK);
    want_more(true);
    want_more(false);
}

int main(void) {
    check_start();
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = (pid_t)DONE(fork());
        if (pid == 0) {
            check_start(); /* its own watchdog */
            round_of(i % 2);
            _exit(0);
        }
        int status;
        WANT(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "round %d: expected 0, came status %#x", i, status);
    }
    return 0;
}
