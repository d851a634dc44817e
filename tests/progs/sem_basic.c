/* sem_basic.c - semaphores: values, trywait, overflow, what sem_init refuses, posts before threads
 */
#include "check.h"

#include <limits.h>
#include <semaphore.h>

static sem_t early, zero, done;

static void value_is(sem_t *sem, int want) {
    int value = -1;
    DONE(sem_getvalue(sem, &value));
    WANT(value, want);
}

/* Posted before the first create, waited for after it. */
static void *takes_early(void *arg) {
    DONE(sem_wait(&early));
    DONE(sem_wait(&zero));
    DONE(sem_post(&done));
    return arg;
}

int main(void) {
    check_start();
    sem_t sem;
    FAILS(sem_init(&sem, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
    DONE(sem_init(&sem, 0, SEM_VALUE_MAX - 1));
    DONE(sem_post(&sem));
    FAILS(sem_post(&sem), EOVERFLOW);
    value_is(&sem, SEM_VALUE_MAX);
    DONE(sem_destroy(&sem));

    DONE(sem_init(&sem, 0, 3));
    for (int i = 3; i > 0; i--) {
        value_is(&sem, i);
        DONE(i % 2 ? sem_wait(&sem) : sem_trywait(&sem));
    }
    FAILS(sem_trywait(&sem), EAGAIN);
    value_is(&sem, 0);
    DONE(sem_destroy(&sem));

    enum { N = 20 };
    pthread_t threads[N];
    DONE(sem_init(&early, 0, 0));
    DONE(sem_init(&zero, 0, 0));
    DONE(sem_init(&done, 0, 0));
    for (int i = 0; i < N; i++)
        DONE(sem_post(&early));
    value_is(&early, N);
    spawn_all(threads, N, takes_early);
    pause_ms(20);
    FAILS(sem_trywait(&done), EAGAIN); /* all wait for zero, or have not come to it */
    value_is(&zero, 0);                /* as many waiters as you like: the value stays 0 */
    for (int i = 0; i < N; i++)
        DONE(sem_post(&zero));
    for (int i = 0; i < N; i++)
        DONE(sem_wait(&done));
    value_is(&early, 0);
    value_is(&zero, 0);
    value_is(&done, 0);
    join_all(threads, N);
    return 0;
}
