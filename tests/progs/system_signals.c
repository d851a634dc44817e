/* system_signals.c - system(): meanwhile SIGINT and SIGQUIT are ignored and this thread blocks
 * SIGCHLD, afterwards all is as before; several threads at once; a handler of another signal runs
 * meanwhile and does not end it; the status and the errors */
#include "util.h"

#include <signal.h>

enum { THREADS = 4, ROUNDS = 4 };

static int handled, started, finished;

static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void fatal(int sig) { check_fail("expected signal %d to be ignored", sig); }

static void *run(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        add(&started, 1);
        int status = system("sleep 0.05; exit 5");
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5, "came status %x", (unsigned)status);
        sigset_t is;
        OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
        WANT(sigismember(&is, SIGCHLD), 0);
    }
    add(&finished, 1);
    return arg;
}

int main(void) {
    check_start();
    struct sigaction sa;
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    DONE(sigaction(SIGINT, &(struct sigaction){.sa_handler = fatal}, NULL));
    pthread_t threads[THREADS];
    spawn_all(threads, THREADS, run);
    while (get(&finished) < THREADS) {
        for (int k = 0; k < THREADS; k++)
            OK(pthread_kill(threads[k], SIGUSR1));
        pause_ms(5);
    }
    join_all(threads, THREADS);
    CHECK(get(&handled) > 0, "expected handlers to run");
    DONE(sigaction(SIGINT, NULL, &sa));
    CHECK(sa.sa_handler == fatal, "expected the handler back");
    int status = system("kill -INT $PPID; kill -TERM $$");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "came status %x", (unsigned)status);
    CHECK(system(NULL) != 0, "expected a shell");
    status = system("/does/not/exist 2>/dev/null");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 127, "came status %x", (unsigned)status);
    return 0;
}
