/* rwlock_rules.c - who gets a read-write lock when, what is refused, and the timed variants */
#include "check.h"

static pthread_rwlock_t lock;

static void *try_read(void *arg) {
    (void)arg;
    int error = pthread_rwlock_tryrdlock(&lock);
    if (error == 0)
        OK(pthread_rwlock_unlock(&lock));
    return as_pointer(error);
}

static void *try_write(void *arg) {
    (void)arg;
    int error = pthread_rwlock_trywrlock(&lock);
    if (error == 0)
        OK(pthread_rwlock_unlock(&lock));
    return as_pointer(error);
}

static int elsewhere(void *(*what)(void *)) { return (int)(intptr_t)join(spawn(what, NULL)); }

/* Whether a write or a read lock is held, timed ones give up at their time and not before. */
static void *time_out(void *arg) {
    bool written = arg;
    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    struct timespec past = {1, 0}, bad = {1, 1000000000};
    for (int i = 0; i < 2; i++) {
        struct timespec at = time_in(clocks[i], 40);
        ERR(pthread_rwlock_clockwrlock(&lock, clocks[i], &at), ETIMEDOUT);
        NOT_EARLY(clocks[i], at);
        ERR(pthread_rwlock_clockwrlock(&lock, clocks[i], &past), ETIMEDOUT);
        at = time_in(clocks[i], 40);
        ERR(pthread_rwlock_clockrdlock(&lock, clocks[i], &at), written ? ETIMEDOUT : 0);
        if (written)
            NOT_EARLY(clocks[i], at);
        else
            OK(pthread_rwlock_unlock(&lock));
    }
    struct timespec at = time_in(CLOCK_REALTIME, 30);
    ERR(pthread_rwlock_timedwrlock(&lock, &at), ETIMEDOUT);
    NOT_EARLY(CLOCK_REALTIME, at);
    ERR(pthread_rwlock_timedrdlock(&lock, &past), written ? ETIMEDOUT : 0);
    if (!written)
        OK(pthread_rwlock_unlock(&lock));
    ERR(pthread_rwlock_timedwrlock(&lock, &bad), EINVAL);
    ERR(pthread_rwlock_clockwrlock(&lock, CLOCK_PROCESS_CPUTIME_ID, &past), EINVAL);
    return NULL;
}

static void rules(int kind) {
    pthread_rwlockattr_t attr;
    int got;
    OK(pthread_rwlockattr_init(&attr));
    OK(pthread_rwlockattr_setkind_np(&attr, kind));
    OK(pthread_rwlockattr_getkind_np(&attr, &got));
    WANT(got, kind);
    OK(pthread_rwlock_init(&lock, &attr));

    struct timespec later = time_in(CLOCK_REALTIME, 50000);
    OK(pthread_rwlock_wrlock(&lock));
    ERR(pthread_rwlock_wrlock(&lock), EDEADLK);
    ERR(pthread_rwlock_rdlock(&lock), EDEADLK);
    ERR(pthread_rwlock_timedwrlock(&lock, &later), EDEADLK);
    ERR(pthread_rwlock_tryrdlock(&lock), EBUSY);
    ERR(pthread_rwlock_trywrlock(&lock), EBUSY);
    ERR(elsewhere(try_read), EBUSY);
    ERR(elsewhere(try_write), EBUSY);
    join(spawn(time_out, &lock));
    OK(pthread_rwlock_unlock(&lock));
    OK(elsewhere(try_write));

    for (int i = 0; i < 3; i++)
        OK(i % 2 ? pthread_rwlock_tryrdlock(&lock) : pthread_rwlock_rdlock(&lock));
    for (int i = 0; i < 3; i++) {
        OK(elsewhere(try_read)); /* after the time-outs of writers too */
        ERR(elsewhere(try_write), EBUSY);
        if (i == 0)
            join(spawn(time_out, NULL));
        OK(pthread_rwlock_unlock(&lock));
    }
    OK(elsewhere(try_write));
    OK(pthread_rwlock_destroy(&lock));
    OK(pthread_rwlockattr_destroy(&attr));
}

int main(void) {
    check_start();
    pthread_rwlockattr_t attr;
    OK(pthread_rwlockattr_init(&attr));
    ERR(pthread_rwlockattr_setkind_np(&attr, 77), EINVAL);
    rules(PTHREAD_RWLOCK_PREFER_READER_NP);
    rules(PTHREAD_RWLOCK_PREFER_WRITER_NP);
    rules(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    return 0;
}
