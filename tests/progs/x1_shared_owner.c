/* x1_shared_owner.c - DANGERS X1: a process-shared mutex that knows its owner tells threads of two
 * processes apart: recursive, error-checking and robust ones; whether the other process has threads
 * or not */
#include "util.h"

#include <sys/mman.h>

struct shared {
    pthread_mutex_t mutex;
    int held, go_on;
};
static struct shared *shared;

static void *hold(void *arg) {
    OK(pthread_mutex_lock(&shared->mutex));
    set(&shared->held, 1);
    wait_until(&shared->go_on, 1);
    OK(pthread_mutex_unlock(&shared->mutex));
    return arg;
}

/* It is held in the other process. */
static void *try(void *arg) {
    struct timespec soon = time_in(CLOCK_REALTIME, 30);
    ERR(pthread_mutex_trylock(&shared->mutex), EBUSY);
    ERR(pthread_mutex_timedlock(&shared->mutex, &soon), ETIMEDOUT);
    if ((intptr_t)arg != PTHREAD_MUTEX_NORMAL)
        ERR(pthread_mutex_unlock(&shared->mutex), EPERM);
    set(&shared->go_on, 1);
    OK(pthread_mutex_lock(&shared->mutex));
    if ((intptr_t)arg == PTHREAD_MUTEX_RECURSIVE) {
        OK(pthread_mutex_lock(&shared->mutex));
        OK(pthread_mutex_unlock(&shared->mutex));
    }
    OK(pthread_mutex_unlock(&shared->mutex));
    return NULL;
}

static void with(int type, int robust, bool child_has_threads) {
    pthread_mutexattr_t a;
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    OK(pthread_mutexattr_settype(&a, type));
    OK(pthread_mutexattr_setrobust(&a, robust));
    OK(pthread_mutex_init(&shared->mutex, &a));
    shared->held = shared->go_on = 0;
    pid_t child = (pid_t)DONE(fork());
    if (!child) {
        if (child_has_threads)
            run_all(1, hold);
        else
            hold(NULL);
        _exit(0);
    }
    wait_until(&shared->held, 1);
    join(spawn(try, as_pointer(type)));
    child_exits(child, 0);
    OK(pthread_mutex_destroy(&shared->mutex));
}

/* So that both processes' threads are the first ones that they make. */
static void in_new_process(int type, int robust, bool child_has_threads) {
    pid_t child = (pid_t)DONE(fork());
    if (!child) {
        with(type, robust, child_has_threads);
        _exit(0);
    }
    child_exits(child, 0);
}

int main(void) {
    check_start();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static const int types[] = {PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
    for (int threads = 0; threads < 2; threads++) {
        for (int i = 0; i < 2; i++) {
            in_new_process(types[i], PTHREAD_MUTEX_STALLED, threads);
            in_new_process(types[i], PTHREAD_MUTEX_ROBUST, threads);
        }
        in_new_process(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, threads);
    }
    return 0;
}
