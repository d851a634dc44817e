/* burst_gives_back.c - after 4000 threads at once have ended most of their memory goes back to the
 * system by and by, and 4000 more start afterwards as fresh as the first
 * needs: time */
#include "util.h"

enum { THREADS = 4000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate = PTHREAD_COND_INITIALIZER;
static int open_gate, fresh;
static __thread int counted = 7;
static pthread_t threads[THREADS];

static void *wait_at_gate(void *arg) {
    pthread_mutex_lock(&lock);
    fresh += counted++ == 7 && errno == 0;
    while (!open_gate)
        pthread_cond_wait(&gate, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

/* Returns what the threads had in memory all together. */
static long burst(void) {
    long before = resident_kb();
    open_gate = fresh = 0;
    for (long i = 0; i < THREADS; i++)
        threads[i] = spawn(wait_at_gate, (void *)i);
    for (bool all = false; !all; pause_ms(1)) {
        pthread_mutex_lock(&lock);
        all = fresh == THREADS;
        pthread_mutex_unlock(&lock);
    }
    long used = resident_kb() - before;
    pthread_mutex_lock(&lock);
    open_gate = 1;
    pthread_cond_broadcast(&gate);
    pthread_mutex_unlock(&lock);
    join_all(threads, THREADS);
    return used;
}

int main(void) {
    check_start();
    alarm(200);
    long before = resident_kb(), used = burst(), left;
    int64_t deadline = now_ns(CLOCK_MONOTONIC) + 90 * SECOND_NS;
    while ((left = resident_kb() - before) > used / 2 && now_ns(CLOCK_MONOTONIC) < deadline)
        pause_ms(100);
    CHECK(left <= used / 2, "of %ld kB %ld are still there", used, left);
    burst();
    return 0;
}
