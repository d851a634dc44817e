/* shared_pi.c - mutexes of which the kernel knows the owner: PTHREAD_PRIO_INHERIT between processes
 * and robust (also of one process), against a process without threads, one with threads, and one
 * that runs without the library. Exclusion, errors, owners that end or are killed with and without
 * somebody waiting, a shared condition and a cancelled wait for it.
 */
#include "util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define TURNS 2000

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    long count;
    int type, robust;
    int held, go_on, waiting, turn;
};
static struct shared *shared;

/* Who the other side is. */
enum { ALONE, THREADS, WITHOUT, KINDS };

/* What it does. */
enum { COUNT, HOLD, DIE, BE_KILLED, TURNS_OF, LOCK_DEAD };
static int memory;

static void *count(void *arg) {
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_mutex_lock(&shared->mutex));
        shared->count++;
        OK(pthread_mutex_unlock(&shared->mutex));
    }
    return arg;
}

static void *hold(void *arg) {
    OK(pthread_mutex_lock(&shared->mutex));
    set(&shared->held, 1);
    wait_until(&shared->go_on, 1);
    OK(pthread_mutex_unlock(&shared->mutex));
    return arg;
}

/* Ends with it. */
static void *die(void *arg) {
    OK(pthread_mutex_lock(&shared->mutex));
    set(&shared->held, 1);
    wait_until(&shared->go_on, 1);
    if (arg)
        kill(getpid(), SIGKILL);
    return arg;
}

static void *take_turns(void *arg) {
    int mine = (int)(intptr_t)arg;
    for (int i = 0; i < 200; i++) {
        OK(pthread_mutex_lock(&shared->mutex));
        while (shared->turn % 2 != mine)
            OK(pthread_cond_wait(&shared->cond, &shared->mutex));
        shared->turn++;
        OK(pthread_cond_signal(&shared->cond));
        OK(pthread_mutex_unlock(&shared->mutex));
    }
    return arg;
}

/* The owner has died: makes it good again. */
static void *lock_dead(void *arg) {
    set(&shared->waiting, 1);
    ERR(pthread_mutex_lock(&shared->mutex), EOWNERDEAD);
    OK(pthread_mutex_consistent(&shared->mutex));
    OK(pthread_mutex_unlock(&shared->mutex));
    OK(pthread_mutex_lock(&shared->mutex));
    OK(pthread_mutex_unlock(&shared->mutex));
    return arg;
}

static void *does(int what, void *(**run)(void *)) {
    static void *(*const runs[])(void *) = {count, hold, die, die, take_turns, lock_dead};
    *run = runs[what];
    return what == BE_KILLED || what == TURNS_OF ? as_pointer(1) : NULL;
}

static void other_does(int kind, int what) {
    void *(*run)(void *), *arg = does(what, &run);
    if (kind == ALONE)
        run(arg);
    else
        join(spawn(run, arg));
}

/* On the other side. DIE alone is the process's end. */
static pid_t other(int kind, int what) {
    char number[16], fd[16];
    pid_t child = (pid_t)DONE(fork());
    if (child)
        return child;
    if (kind == WITHOUT) {
        snprintf(number, sizeof number, "%d", what);
        snprintf(fd, sizeof fd, "%d", memory);
        unsetenv("LD_PRELOAD");
        setenv("GTHREAD_TEST_EXPECT", "nptl", 1);
        execl("/proc/self/exe", "shared_pi", number, fd, (char *)NULL);
        _exit(9);
    }
    alarm(60);
    other_does(kind, what);
    _exit(0);
}

static void make(int type, int robust) {
    pthread_mutexattr_t a;
    pthread_condattr_t c;
    memset(shared, 0, sizeof *shared);
    shared->type = type;
    shared->robust = robust;
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    OK(pthread_mutexattr_settype(&a, type));
    OK(pthread_mutexattr_setrobust(&a, robust));
    OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
    OK(pthread_mutex_init(&shared->mutex, &a));
    OK(pthread_condattr_init(&c));
    OK(pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED));
    OK(pthread_cond_init(&shared->cond, &c));
}

static void *tries(void *arg) {
    struct timespec soon = time_in(CLOCK_REALTIME, 30);
    ERR(pthread_mutex_trylock(&shared->mutex), EBUSY);
    ERR(pthread_mutex_timedlock(&shared->mutex, &soon), ETIMEDOUT);
    ERR(pthread_mutex_unlock(&shared->mutex), EPERM);
    set(&shared->go_on, 1);
    OK(pthread_mutex_lock(&shared->mutex));
    if (shared->type == PTHREAD_MUTEX_NORMAL)
        ERR(pthread_mutex_trylock(&shared->mutex), EBUSY);
    if (shared->type == PTHREAD_MUTEX_RECURSIVE) {
        OK(pthread_mutex_trylock(&shared->mutex));
        OK(pthread_mutex_unlock(&shared->mutex));
    }
    if (shared->type == PTHREAD_MUTEX_ERRORCHECK)
        ERR(pthread_mutex_lock(&shared->mutex), EDEADLK);
    OK(pthread_mutex_unlock(&shared->mutex));
    return arg;
}

static void exclusion_and_errors(int kind, int type, int robust) {
    make(type, robust);
    pid_t child = other(kind, COUNT);
    run_all(3, count);
    child_exits(child, 0);
    WANT(shared->count, 4 * TURNS);
    child = other(kind, HOLD);
    wait_until(&shared->held, 1);
    join(spawn(tries, NULL));
    child_exits(child, 0);
}

/* The other's thread ends with it, or its process is killed; somebody here waits or comes later. */
static void dies_there(int kind, int what, bool waits) {
    make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    pid_t child = other(kind, what);
    pthread_t waiter = 0;
    wait_until(&shared->held, 1);
    if (waits) {
        waiter = spawn(lock_dead, NULL);
        wait_until(&shared->waiting, 1);
        pause_ms(10);
    }
    set(&shared->go_on, 1);
    int status;
    WANT(waitpid(child, &status, 0), child);
    join(waits ? waiter : spawn(lock_dead, NULL));
}

/* A thread here ends with it. */
static void dies_here(int kind, bool waits) {
    make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    pid_t child = 0;
    pthread_t owner = spawn(die, NULL);
    wait_until(&shared->held, 1);
    if (waits) {
        child = other(kind, LOCK_DEAD);
        wait_until(&shared->waiting, 1);
        pause_ms(10);
    }
    set(&shared->go_on, 1);
    join(owner);
    if (!waits)
        child = other(kind, LOCK_DEAD);
    child_exits(child, 0);
}

static void turns(int kind) {
    make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED);
    pid_t child = other(kind, TURNS_OF);
    join(spawn(take_turns, NULL));
    child_exits(child, 0);
    WANT(shared->turn, 400);
}

/* ---- a cancelled wait has the mutex when its cleanup handler runs ---- */

static void cleanup(void *arg) {
    (void)arg;
    ERR(pthread_mutex_lock(&shared->mutex), EDEADLK);
    OK(pthread_mutex_unlock(&shared->mutex));
    set(&shared->held, 2);
}

static void *waits_for_ever(void *arg) {
    OK(pthread_mutex_lock(&shared->mutex));
    pthread_cleanup_push(cleanup, NULL);
    set(&shared->held, 1);
    for (;;)
        OK(pthread_cond_wait(arg, &shared->mutex));
    pthread_cleanup_pop(0);
    return arg;
}

static void cancelled(pthread_cond_t *cond) {
    make(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST);
    pthread_t t = spawn(waits_for_ever, cond);
    wait_until(&shared->held, 1);
    OK(pthread_mutex_lock(&shared->mutex)); /* it waits */
    OK(pthread_mutex_unlock(&shared->mutex));
    OK(pthread_cancel(t));
    WANT(join(t) == PTHREAD_CANCELED, 1);
    WANT(get(&shared->held), 2);
    OK(pthread_mutex_lock(&shared->mutex));
    OK(pthread_mutex_unlock(&shared->mutex));
}

/* ---- priority ceilings ---- */

/* A thread without a real-time priority may not have one: on NPTL it is EINVAL. */
static void *ceiling(void *arg) {
    pthread_mutex_t m;
    pthread_mutexattr_t a;
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_PROTECT));
    OK(pthread_mutexattr_setprioceiling(&a, 10));
    OK(pthread_mutex_init(&m, &a));
    ERR(pthread_mutex_lock(&m), EINVAL);
    return arg;
}

static void *ceiling_real_time(void *arg) {
    pthread_mutex_t m;
    pthread_mutexattr_t a;
    int old;
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE));
    OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_PROTECT));
    OK(pthread_mutexattr_setprioceiling(&a, 10));
    OK(pthread_mutex_init(&m, &a));
    for (int i = 0; i < 3; i++) {
        struct sched_param now;
        OK(pthread_mutex_lock(&m));
        OK(pthread_mutex_lock(&m));
        DONE(syscall(SYS_sched_getparam, 0, &now));
        WANT(now.sched_priority, 10);
        OK(pthread_mutex_setprioceiling(&m, 10, &old));
        WANT(old, 10);
        OK(pthread_mutex_unlock(&m));
        OK(pthread_mutex_unlock(&m));
        DONE(syscall(SYS_sched_getparam, 0, &now));
        WANT(now.sched_priority, 5);
    }
    return arg;
}

static void ceilings(void) {
    pthread_attr_t a;
    pthread_t t;
    struct sched_param fifo = {.sched_priority = 5};
    join(spawn(ceiling, NULL));
    OK(pthread_attr_init(&a));
    OK(pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED));
    OK(pthread_attr_setschedpolicy(&a, SCHED_FIFO));
    OK(pthread_attr_setschedparam(&a, &fifo));
    if (pthread_create(&t, &a, ceiling_real_time, NULL) == 0)
        join(t);
}

int main(int argc, char **argv) {
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                                PTHREAD_MUTEX_ERRORCHECK};
    check_start();
    memory = argc > 2 ? atoi(argv[2]) : (int)DONE(memfd_create("shared", 0));
    DONE(ftruncate(memory, sizeof *shared));
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (argc > 2) {
        other_does(THREADS, atoi(argv[1]));
        return 0;
    }
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < 3; i++) {
            exclusion_and_errors(kind, types[i], PTHREAD_MUTEX_STALLED);
            exclusion_and_errors(kind, types[i], PTHREAD_MUTEX_ROBUST);
        }
        for (int waits = 0; waits < 2; waits++) {
            dies_there(kind, DIE, waits);
            dies_there(kind, BE_KILLED, waits);
            dies_here(kind, waits);
        }
        turns(kind);
    }
    pthread_cond_t private_one = PTHREAD_COND_INITIALIZER;
    cancelled(&private_one);
    cancelled(&shared->cond);
    ceilings();
    return 0;
}
