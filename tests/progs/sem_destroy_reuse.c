/* sem_destroy_reuse.c - a semaphore may be destroyed and its memory used again as soon as the wait
 * has returned, though the poster may still be inside sem_post */
#include "check.h"

#include <semaphore.h>

enum { ROUNDS = 3000 };

static union {
    sem_t sem;
    pthread_mutex_t mutex;
    int word;
} u;
static int locked, released;

static void *poster(void *arg) {
    DONE(sem_post(&u.sem));
    return arg;
}

static void *locker(void *arg) {
    OK(pthread_mutex_lock(&u.mutex));
    set(&locked, 1);
    CHECK(get(&released), "expected the mutex to be locked only after it was released");
    OK(pthread_mutex_unlock(&u.mutex));
    return arg;
}

int main(void) {
    check_start();
    for (int i = 0; i < ROUNDS; i++) {
        locked = released = 0;
        DONE(sem_init(&u.sem, 0, 0));
        pthread_t p = spawn(poster, NULL);
        DONE(sem_wait(&u.sem));
        DONE(sem_destroy(&u.sem));
        OK(pthread_mutex_init(&u.mutex, NULL));
        OK(pthread_mutex_lock(&u.mutex));
        pthread_t l = spawn(locker, NULL);
        sched_yield();
        set(&released, 1);
        OK(pthread_mutex_unlock(&u.mutex));
        join(l);
        OK(pthread_mutex_destroy(&u.mutex));
        join(p);
    }
    return 0;
}
