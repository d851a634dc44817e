/* wait_kinds.c - threads that wait in different ways, until stdin ends: something to dump */
#include "check.h"

#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int stop, arrived;

static void *in_mutex(void *arg) {
    add(&arrived, 1);
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *in_cond(void *arg) {
    add(&arrived, 1);
    OK(pthread_mutex_lock(&other));
    while (!stop)
        OK(pthread_cond_wait(&cond, &other));
    OK(pthread_mutex_unlock(&other));
    return arg;
}

static void *in_sem(void *arg) {
    add(&arrived, 1);
    DONE(sem_wait(&sem));
    return arg;
}

static void *in_sleep(void *arg) {
    add(&arrived, 1);
    while (!get(&stop))
        usleep(50000);
    return arg;
}

int main(void) {
    check_start();
    char c;
    DONE(sem_init(&sem, 0, 0));
    OK(pthread_mutex_lock(&mutex));
    pthread_t threads[] = {spawn(in_mutex, NULL), spawn(in_cond, NULL), spawn(in_sem, NULL),
                           spawn(in_sleep, NULL)};
    wait_until(&arrived, 4);
    pause_ms(20);
    printf("ready\n");
    fflush(stdout);
    while (DONE(read(0, &c, 1)) > 0)
        ;
    OK(pthread_mutex_lock(&other));
    set(&stop, 1);
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&other));
    OK(pthread_mutex_unlock(&mutex));
    DONE(sem_post(&sem));
    join_all(threads, 4);
    printf("went on\n");
    return 0;
}
