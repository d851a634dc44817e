/* fork_contended.c - threads that fork all at once, each with libc's lock of the fork handlers and
 * a FILE's, beside others that park and wake all the time: each child can allocate, take the FILE's
 * lock, and end. (libc drops its own lock in the child before any handler has run there.) */
#include "check.h"

#include <sys/wait.h>

enum { FORKERS = 8, FORKS = 20, BUSY = 6, LOCKS = 4, HANDLERS = 20 };

static pthread_mutex_t locks[LOCKS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                       PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static FILE *file;
static int stop;

static void handler(void) {}

static void *forks(void *arg) {
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = (pid_t)DONE(fork());
        if (!pid) {
            alarm(60);
            free(malloc(100));
            putc('x', file);
            _exit(0);
        }
        int status;
        WANT(waitpid(pid, &status, 0), pid);
        WANT(status, 0);
    }
    return arg;
}

static void *busy(void *arg) {
    while (!get(&stop)) {
        for (int i = 0; i < LOCKS; i++) {
            pthread_mutex_lock(&locks[i]);
            sched_yield();
            pthread_mutex_unlock(&locks[i]);
        }
        putc('x', file);
    }
    return arg;
}

int main(void) {
    check_start();
    pthread_t forkers[FORKERS], others[BUSY];
    file = fopen("/dev/null", "w");
    CHECK(file, "/dev/null: errno %d", errno);
    for (int i = 0; i < HANDLERS; i++)
        OK(pthread_atfork(handler, handler, handler));
    spawn_all(others, BUSY, busy);
    spawn_all(forkers, FORKERS, forks);
    join_all(forkers, FORKERS);
    add(&stop, 1);
    join_all(others, BUSY);
    return 0;
}
