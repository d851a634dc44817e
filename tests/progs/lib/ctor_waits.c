/* ctor_waits.c - a library whose constructor and destructor wait for whoever opens or closes it: on
 * a pipe, whose two ends the environment names, for a lock that a thread of its own holds, and for
 * that thread's end */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static int begun;

static void *keeps(void *arg) {
    struct timespec t = {0, 1000000};
    pthread_mutex_lock(&mutex);
    pthread_barrier_wait(&both);
    nanosleep(&t, NULL);
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void wait_in_turns(void) {
    const char *ends = getenv("CTOR_WAITS");
    int ask, answer;
    char c;
    pthread_t t;
    if (!ends || sscanf(ends, "%d %d", &ask, &answer) != 2 || write(ask, "x", 1) != 1 ||
        read(answer, &c, 1) != 1)
        abort();
    pthread_barrier_init(&both, NULL, 2);
    if (pthread_create(&t, NULL, keeps, NULL))
        abort();
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_join(t, NULL);
    pthread_barrier_destroy(&both);
}

__attribute__((constructor)) static void begin(void) {
    wait_in_turns();
    begun = 4711;
}

__attribute__((destructor)) static void end(void) { wait_in_turns(); }

int ctor_begun(void) { return begun; }
