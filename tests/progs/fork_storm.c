/* fork_storm.c - 100 threads fork at once, among locks, signals and thread creation; each child
 * takes the locks, makes threads, takes a signal and says that it was right needs: time */
#include "check.h"

#include <signal.h>
#include <sys/wait.h>

enum { THREADS = 100, FORKS = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int stop, handled;

static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void *small(void *arg) {
    OK(pthread_mutex_lock(&lock));
    OK(pthread_mutex_unlock(&lock));
    free(malloc(100));
    return arg;
}

static void *noise(void *arg) {
    while (!get(&stop)) {
        pthread_t t = spawn(small, NULL);
        raise(SIGUSR1);
        join(t);
        usleep(500);
    }
    return arg;
}

static void child(void) {
    alarm(60);
    pthread_t threads[3];
    int before = get(&handled);
    spawn_all(threads, 3, small);
    DONE(kill(getpid(), SIGUSR1));
    raise(SIGUSR1);
    join_all(threads, 3);
    CHECK(get(&handled) == before + 2, "expected 2 signals in the child, came %d",
          get(&handled) - before);
    _exit(42);
}

static void *forker(void *arg) {
    for (int i = 0; i < FORKS; i++) {
        int status;
        OK(pthread_mutex_lock(&lock)); /* so that the child finds it in a known state */
        pid_t pid = (pid_t)DONE(fork());
        OK(pthread_mutex_unlock(&lock));
        if (pid == 0)
            child();
        DONE(waitpid(pid, &status, 0));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42,
              "expected the child to exit with 42, came status %#x", status);
    }
    return arg;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART},
                   NULL));
    pthread_t n = spawn(noise, NULL), threads[THREADS];
    spawn_all(threads, THREADS, forker);
    join_all(threads, THREADS);
    set(&stop, 1);
    join(n);
    return 0;
}
