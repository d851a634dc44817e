/* rwlock_torture.c - readers and writers over one lock, all ways of taking it: never a torn value
 */
#include "check.h"

enum { N = 16, ROUNDS = 1500 };

static pthread_rwlock_t lock;
static volatile long left, right; /* equal whenever no writer is inside */
static int readers, written, shared;

static void take_to_read(uint64_t r) {
    struct timespec at = time_in(CLOCK_REALTIME, 0);
    if (r % 3 == 0)
        while (pthread_rwlock_tryrdlock(&lock) == EBUSY)
            sched_yield();
    else if (r % 3 == 1)
        while (pthread_rwlock_timedrdlock(&lock, &at) == ETIMEDOUT)
            at = time_in(CLOCK_REALTIME, 1);
    else
        OK(pthread_rwlock_rdlock(&lock));
}

static void take_to_write(uint64_t r) {
    struct timespec at = time_in(CLOCK_MONOTONIC, 0);
    if (r % 3 == 0)
        while (pthread_rwlock_trywrlock(&lock) == EBUSY)
            sched_yield();
    else if (r % 3 == 1)
        while (pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &at) == ETIMEDOUT)
            at = time_in(CLOCK_MONOTONIC, 1);
    else
        OK(pthread_rwlock_wrlock(&lock));
}

static void *work(void *arg) {
    uint64_t random = check_seed + (uint64_t)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&random);
        if (r % 5 == 0) {
            take_to_write(r >> 8);
            WANT(get(&readers), 0);
            left++;
            if (r >> 20 & 1)
                sched_yield();
            right++;
            written++; /* no atomic: the lock protects it */
        } else {
            take_to_read(r >> 8);
            if (add(&readers, 1) > 1)
                set(&shared, 1);
            long was = left;
            if (r >> 20 & 1)
                sched_yield();
            WANT(right, was);
            add(&readers, -1);
        }
        OK(pthread_rwlock_unlock(&lock));
    }
    return NULL;
}

int main(void) {
    check_start();
    static const int kinds[] = {PTHREAD_RWLOCK_PREFER_READER_NP,
                                PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP};
    for (int i = 0; i < 2; i++) {
        pthread_rwlockattr_t attr;
        OK(pthread_rwlockattr_init(&attr));
        OK(pthread_rwlockattr_setkind_np(&attr, kinds[i]));
        OK(pthread_rwlock_init(&lock, &attr));
        left = right = written = 0;
        run_all(N, work);
        WANT(left, written);
        WANT(right, written);
        OK(pthread_rwlock_destroy(&lock));
    }
    WANT(shared, 1); /* readers do share it */
    return 0;
}
