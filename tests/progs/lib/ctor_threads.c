/* ctor_threads.c - a library whose constructor waits in several ways and makes threads, and that
 * has thread-local objects with destructors, as a C++ library */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *dso);
extern void *__dso_handle;

static __thread int mine = 41, registered;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int waiting, worked;
static pthread_t left_behind;
static int *destroyed; /* the program's counter */

static void *wakes(void *arg) {
    mine++;
    pthread_mutex_lock(&mutex);
    while (!waiting)
        pthread_cond_wait(&cond, &mutex);
    waiting = 2;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    sem_post(&sem);
    __atomic_add_fetch(&worked, mine == 42, __ATOMIC_SEQ_CST);
    return arg;
}

static void *goes_on(void *arg) {
    struct timespec t = {0, 2000000};
    nanosleep(&t, NULL);
    __atomic_add_fetch(&worked, 1, __ATOMIC_SEQ_CST);
    return arg;
}

__attribute__((constructor)) static void begin(void) {
    pthread_t t;
    struct timespec short_time = {0, 1000000};
    sem_init(&sem, 0, 0);
    pthread_create(&t, NULL, wakes, NULL);
    pthread_mutex_lock(&mutex);
    waiting = 1;
    pthread_cond_broadcast(&cond);
    while (waiting == 1)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
    sem_wait(&sem);
    nanosleep(&short_time, NULL);
    pthread_join(t, NULL);
    pthread_create(&left_behind, NULL, goes_on, NULL);
    sched_yield();
}

__attribute__((destructor)) static void end(void) { pthread_join(left_behind, NULL); }

static void destroy(void *object) {
    int *counter = destroyed;
    if (*(int *)object == mine && counter)
        __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

/* The caller gets an object of its own that is destroyed when it ends; *counter counts those. */
int ctor_use(int *counter, int value) {
    destroyed = counter;
    if (!registered) {
        registered = 1;
        if (mine != 41)
            return -1;
        __cxa_thread_atexit_impl(destroy, &mine, &__dso_handle);
    }
    mine = value;
    return __atomic_load_n(&worked, __ATOMIC_SEQ_CST);
}
