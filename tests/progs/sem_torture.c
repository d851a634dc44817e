/* sem_torture.c - a semaphore with few units among many threads: never more inside, none lost */
#include "check.h"

#include <semaphore.h>

enum { THREADS = 20, UNITS = 3, ROUNDS = 2000 };

static sem_t sem;
static int inside, most;

static void *work(void *arg) {
    uint64_t random = check_seed + (uint64_t)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&random);
        struct timespec soon = time_in(CLOCK_REALTIME, 0);
        if (r % 3 == 0)
            while (sem_trywait(&sem) == -1)
                sched_yield();
        else if (r % 3 == 1)
            while (sem_timedwait(&sem, &soon) == -1) /* time-outs race with posts */
                soon = time_in(CLOCK_REALTIME, 1);
        else
            DONE(sem_wait(&sem));
        int now = add(&inside, 1);
        CHECK(now <= UNITS, "expected %d inside at most, came %d", UNITS, now);
        if (now > get(&most))
            set(&most, now);
        if (r >> 30 & 1)
            sched_yield();
        add(&inside, -1);
        DONE(sem_post(&sem));
    }
    return NULL;
}

int main(void) {
    check_start();
    int value;
    DONE(sem_init(&sem, 0, UNITS));
    run_all(THREADS, work);
    DONE(sem_getvalue(&sem, &value));
    WANT(value, UNITS);
    CHECK(most > 1, "expected more than one inside at some time, came %d", most);
    return 0;
}
