/* spin.c - spin locks: exclusion, EBUSY, and a holder that is switched away while others spin */
#include "check.h"

enum { N = 8, ROUNDS = 3000 };

static pthread_spinlock_t lock;
static volatile long counter;

static void *work(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        if ((i + (intptr_t)arg) % 3)
            OK(pthread_spin_lock(&lock));
        else
            while (pthread_spin_trylock(&lock) != 0)
                sched_yield();
        long before = counter;
        if (i % 500 == 0)
            sched_yield(); /* the others spin meanwhile; with one P the spinner must give way */
        counter = before + 1;
        OK(pthread_spin_unlock(&lock));
    }
    return NULL;
}

static void *busy(void *arg) {
    ERR(pthread_spin_trylock(&lock), EBUSY);
    return arg;
}

int main(void) {
    check_start();
    OK(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE));
    OK(pthread_spin_lock(&lock));
    ERR(pthread_spin_trylock(&lock), EBUSY);
    join(spawn(busy, NULL));
    OK(pthread_spin_unlock(&lock));
    run_all(N, work);
    WANT(counter, N * ROUNDS);
    OK(pthread_spin_trylock(&lock));
    OK(pthread_spin_unlock(&lock));
    OK(pthread_spin_destroy(&lock));
    return 0;
}
