/* mutex_exclusion.c - mutual exclusion among 16 threads, for each kind and way of locking */
#include "check.h"

enum { THREADS = 16, ROUNDS = 4000 };

static pthread_mutex_t mutex;
static volatile long counter; /* no atomic: only the mutex protects it */
static volatile int inside;
static int trylocks;

static void take(int how) {
    struct timespec at;
    switch (how) {
    case 0:
        while (pthread_mutex_trylock(&mutex) == EBUSY)
            sched_yield();
        add(&trylocks, 1);
        break;
    case 1:
        at = time_in(CLOCK_REALTIME, 50000);
        OK(pthread_mutex_timedlock(&mutex, &at));
        break;
    default:
        OK(pthread_mutex_lock(&mutex));
    }
}

static void *work(void *arg) {
    uint64_t random = check_seed + (uint64_t)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&random);
        take((int)(r % 8));
        long before = counter;
        WANT(inside, 0);
        inside = 1;
        if (r >> 20 & 1 && i % 50 == 0)
            sched_yield(); /* give others every chance to get in */
        inside = 0;
        counter = before + 1;
        OK(pthread_mutex_unlock(&mutex));
    }
    return NULL;
}

int main(void) {
    check_start();
    static const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                                PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP};
    for (int i = 0; i < 4; i++) {
        pthread_mutexattr_t attr;
        OK(pthread_mutexattr_init(&attr));
        OK(pthread_mutexattr_settype(&attr, kinds[i]));
        OK(pthread_mutex_init(&mutex, &attr));
        counter = 0;
        run_all(THREADS, work);
        WANT(counter, THREADS * ROUNDS);
        OK(pthread_mutex_destroy(&mutex));
    }
    CHECK(trylocks > 0, "expected some of the locks to come from trylock");
    return 0;
}
