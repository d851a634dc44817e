/* robust_process_dies.c - a robust mutex in shared memory is given up when its owner's whole
 * process dies, whether the owner runs, waits or is ready to run, and whether it dies by a signal
 * or by exit; so is one that was locked again after a wait for a process-shared condition
 *
 * The one who takes it next is another process, with threads or without. */
#include "util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum how { KILLED_ASLEEP, KILLED_RUNNING, KILLED_READY, EXITS, AFTER_COND, THREAD_ENDS, HOWS };
static const char *const names[] = {
    "killed asleep", "killed while it computes",        "killed while it is ready",
    "exits",         "killed after a condition's wait", "ends its thread"};

struct shared {
    pthread_mutex_t mutex, other;
    pthread_cond_t cond;
    int ready, woken;
};
static struct shared *shared;

static void *compute(void *arg) {
    for (volatile unsigned long n = 0;; n++)
        continue;
    return arg;
}

static void *own(void *arg) {
    enum how how = (enum how)(intptr_t)arg;
    OK(pthread_mutex_lock(&shared->other));
    OK(pthread_mutex_unlock(&shared->other));
    OK(pthread_mutex_lock(&shared->mutex));
    if (how == AFTER_COND)
        while (!shared->woken)
            OK(pthread_cond_wait(&shared->cond, &shared->mutex));
    OK(pthread_mutex_lock(&shared->other));
    if (how == KILLED_READY)
        for (int i = 0; i < 16; i++)
            spawn(compute, NULL);
    set(&shared->ready, 1);
    if (how == EXITS)
        _exit(3);
    if (how == KILLED_RUNNING)
        compute(NULL);
    if (how == THREAD_ENDS)
        return NULL;
    for (;;)
        if (how == KILLED_READY)
            sched_yield();
        else
            pause_ms(1000000);
}

static void wake(void) {
    OK(pthread_mutex_lock(&shared->mutex));
    shared->woken = 1;
    OK(pthread_cond_signal(&shared->cond));
    OK(pthread_mutex_unlock(&shared->mutex));
}

static void takes_over(pthread_mutex_t *m, enum how how) {
    struct timespec limit = time_in(CLOCK_REALTIME, 20000);
    int err = pthread_mutex_timedlock(m, &limit);
    CHECK(err == EOWNERDEAD, "%s: expected EOWNERDEAD, came %s", names[how], check_name_of(err));
    OK(pthread_mutex_consistent(m));
    OK(pthread_mutex_unlock(m));
    OK(pthread_mutex_lock(m));
    OK(pthread_mutex_unlock(m));
}

static void *take_over(void *arg) {
    takes_over(&shared->mutex, (enum how)(intptr_t)arg);
    takes_over(&shared->other, (enum how)(intptr_t)arg);
    return NULL;
}

static void init(void) {
    pthread_mutexattr_t a;
    pthread_condattr_t c;
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    OK(pthread_condattr_init(&c));
    OK(pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED));
    memset(shared, 0, sizeof *shared);
    OK(pthread_mutex_init(&shared->mutex, &a));
    OK(pthread_mutex_init(&shared->other, &a));
    OK(pthread_cond_init(&shared->cond, &c));
}

static void die(enum how how, bool with_threads) {
    init();
    pid_t owner = (pid_t)DONE(fork());
    if (!owner) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        join(spawn(own, as_pointer(how)));
        for (;;)
            pause();
    }
    if (how == AFTER_COND) {
        pause_ms(20);
        wake();
    }
    wait_until(&shared->ready, 1);
    if (how < EXITS || how == AFTER_COND) {
        pause_ms(5);
        DONE(kill(owner, SIGKILL));
    }
    if (with_threads)
        join(spawn(take_over, as_pointer(how)));
    else
        take_over(as_pointer(how));
    kill(owner, SIGKILL);
    WANT(waitpid(owner, NULL, 0), owner);
}

int main(void) {
    check_start();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int how = 0; how < HOWS; how++)
        die((enum how)how, false);
    for (int how = 0; how < HOWS; how++)
        die((enum how)how, true);
    return 0;
}
