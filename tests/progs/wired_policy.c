/* wired_policy.c - a real-time policy that a thread gets, by itself, by another thread or by its
 * attributes, is what the kernel has for it; others and later threads do not have it, threads that
 * it makes do; without the right to it the error is EPERM. Such threads use all primitives with
 * the others. */
#include "check.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn, go;

static long raw(long nr, long a, long b) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return r;
}

/* What the kernel has for the thread that runs this. */
static int kernel_policy(void) { return (int)raw(SYS_sched_getscheduler, 0, 0); }
static int kernel_priority(void) {
    struct sched_param p = {0};
    WANT(raw(SYS_sched_getparam, 0, (long)&p), 0);
    return p.sched_priority;
}

static void expect_kernel(int policy, int priority) {
    struct sched_param p;
    WANT(kernel_policy(), policy);
    WANT(kernel_priority(), priority);
    WANT(sched_getscheduler(0), policy);
    WANT(sched_getscheduler(gettid()), policy);
    DONE(sched_getparam(gettid(), &p));
    WANT(p.sched_priority, priority);
}

/* glibc remembers what its own functions have set. */
static void expect(int policy, int priority) {
    int got;
    struct sched_param p;
    expect_kernel(policy, priority);
    OK(pthread_getschedparam(pthread_self(), &got, &p));
    WANT(got, policy);
    WANT(p.sched_priority, priority);
}

static void *plain(void *arg) {
    expect(SCHED_OTHER, 0);
    return arg;
}

static void *plain_kernel(void *arg) {
    expect_kernel(SCHED_OTHER, 0);
    return arg;
}

static void *child(void *arg) {
    expect(SCHED_FIFO, 7);
    return arg;
}

/* Turns with main, by a condition. */
static void take_turns(int me) {
    for (int i = 0; i < 50; i++) {
        OK(pthread_mutex_lock(&mutex));
        while (turn % 2 != me)
            OK(pthread_cond_wait(&cond, &mutex));
        turn++;
        OK(pthread_cond_broadcast(&cond));
        OK(pthread_mutex_unlock(&mutex));
        if (i % 10 == 0)
            pause_ms(1);
    }
}

static void *by_itself(void *arg) {
    struct sched_param p = {.sched_priority = 7};
    int before = gettid();
    expect(SCHED_OTHER, 0);
    OK(pthread_setschedparam(pthread_self(), SCHED_FIFO, &p));
    expect(SCHED_FIFO, 7);
    WANT(gettid(), before);
    take_turns(1);
    join(spawn(child, NULL));
    pthread_attr_t attr;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
    join(spawn_with(&attr, child, NULL)); /* glibc: nothing was set explicitly */
    p.sched_priority = 0;
    OK(pthread_attr_setschedpolicy(&attr, SCHED_OTHER));
    OK(pthread_attr_setschedparam(&attr, &p));
    join(spawn_with(&attr, plain, NULL));
    OK(pthread_attr_destroy(&attr));
    p.sched_priority = 9;
    DONE(sched_setparam(0, &p));
    expect_kernel(SCHED_FIFO, 9);
    OK(pthread_setschedprio(pthread_self(), 11));
    expect(SCHED_FIFO, 11);
    p.sched_priority = 0;
    DONE(sched_setscheduler(gettid(), SCHED_OTHER, &p));
    expect_kernel(SCHED_OTHER, 0);
    p.sched_priority = 3;
    DONE(sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p));
    WANT(kernel_policy(), SCHED_RR | SCHED_RESET_ON_FORK);
    join(spawn(plain_kernel, NULL));
    return arg;
}

static int has_it, tid;

/* Waits in the way that arg names while main sets its policy. */
static void *by_another(void *arg) {
    __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
    switch ((intptr_t)arg) {
    case 0:
        wait_until(&go, 1);
        break;
    case 1:
        while (!get(&go))
            continue;
        break;
    default:
        OK(pthread_mutex_lock(&mutex));
        while (!go)
            OK(pthread_cond_wait(&cond, &mutex));
        OK(pthread_mutex_unlock(&mutex));
    }
    expect_kernel(SCHED_RR, 5);
    set(&has_it, 1);
    return arg;
}

static void set_from_outside(intptr_t how) {
    struct sched_param p = {.sched_priority = 5}, got;
    int policy;
    set(&go, 0);
    set(&tid, 0);
    pthread_t t = spawn(by_another, as_pointer(how));
    wait_until(&tid, 1);
    if (how == 2)
        pause_ms(5);
    if (how == 1)
        DONE(sched_setscheduler(get(&tid), SCHED_RR, &p));
    else
        OK(pthread_setschedparam(t, SCHED_RR, &p));
    OK(pthread_getschedparam(t, &policy, &got));
    if (how != 1) {
        WANT(policy, SCHED_RR);
        WANT(got.sched_priority, 5);
    }
    WANT(sched_getscheduler(get(&tid)), SCHED_RR);
    OK(pthread_mutex_lock(&mutex));
    set(&go, 1);
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&mutex));
    join(t);
}

static void by_attributes(void) {
    pthread_attr_t attr;
    struct sched_param p = {.sched_priority = 7};
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setschedpolicy(&attr, SCHED_FIFO));
    OK(pthread_attr_setschedparam(&attr, &p));
    join(spawn_with(&attr, plain, NULL)); /* inherited: main's */
    OK(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
    for (int i = 0; i < 20; i++)
        join(spawn_with(&attr, child, NULL));
    OK(pthread_attr_destroy(&attr));
}

static void *refused(void *arg) {
    struct sched_param p = {.sched_priority = 7};
    pthread_attr_t attr;
    pthread_t t;
    ERR(pthread_setschedparam(pthread_self(), SCHED_FIFO, &p), EPERM);
    FAILS(sched_setscheduler(0, SCHED_FIFO, &p), EPERM);
    FAILS(sched_setscheduler(0, 77, &p), EINVAL);
    p.sched_priority = 1;
    FAILS(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
    FAILS(sched_setscheduler(1 << 30, SCHED_OTHER, &p), ESRCH);
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setschedpolicy(&attr, SCHED_FIFO));
    OK(pthread_attr_setschedparam(&attr, &p));
    OK(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
    ERR(pthread_create(&t, &attr, plain, NULL), EPERM);
    expect(SCHED_OTHER, 0);
    return arg;
}

/* As nobody, in a child. */
static void without_right(void) {
    pid_t pid = (pid_t)DONE(fork());
    int status;
    if (pid == 0) {
        struct rlimit none = {0, 0};
        DONE(setrlimit(RLIMIT_RTPRIO, &none));
        DONE(setuid(65534));
        join(spawn(refused, NULL));
        _exit(0);
    }
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
}

int main(void) {
    check_start();
    struct sched_param p = {.sched_priority = 1};
    if (sched_getscheduler(0) != SCHED_OTHER || sched_setscheduler(0, SCHED_RR, &p))
        check_skip("needs the right to real-time policies");
    p.sched_priority = 0;
    DONE(sched_setscheduler(0, SCHED_OTHER, &p));
    join(spawn(plain, NULL));
    pthread_t t = spawn(by_itself, NULL);
    take_turns(0);
    join(t);
    plain(NULL);
    for (intptr_t how = 0; how < 3; how++)
        set_from_outside(how);
    by_attributes();
    plain(NULL);
    p.sched_priority =
        7; /* main itself, which stays on the process's first kernel thread if it can */
    OK(pthread_setschedparam(pthread_self(), SCHED_FIFO, &p));
    expect(SCHED_FIFO, 7);
    join(spawn(child, NULL));
    p.sched_priority = 0;
    OK(pthread_setschedparam(pthread_self(), SCHED_OTHER, &p));
    expect(SCHED_OTHER, 0);
    join(spawn(plain, NULL));
    without_right();
    return 0;
}
