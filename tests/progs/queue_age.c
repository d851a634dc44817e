/* queue_age.c - more threads are runnable than a P's own queue holds (256), and all of them go on
 * taking short turns: who had to go to the queue of all Ps is not forgotten there. Each has had
 * three turns before any has had many times as many. By the count of switches alone one comes in
 * for each 65 turns of the others, the last when these have had more than 400 (300 when all the
 * yielding ones kept their places): the time that the queue has waited counts too, and who
 * yields goes behind it
 * needs: lib, time */
#include "check.h"

enum { THREADS = 1000, WANTED = 3, MOST = 150 };

static int started, stop, served;
static int turns[THREADS];

static void compute_a_little(void) {
    for (volatile int i = 0; i < 50000; i = i + 1)
        ;
}

static void *take_turns(void *arg) {
    int *mine = &turns[(long)arg];
    add(&started, 1);
    while (get(&started) < THREADS)
        sched_yield();
    while (!get(&stop)) {
        compute_a_little();
        if (add(mine, 1) == WANTED && add(&served, 1) == THREADS)
            set(&stop, 1);
        sched_yield();
    }
    return NULL;
}

int main(void) {
    check_start();
    const char *debug = getenv("GTHREAD_DEBUG");
    if (debug && (strstr(debug, "chaos=") || strstr(debug, "preempt=")))
        check_skip("there other rules decide whose turn it is");
    pthread_t threads[THREADS];
    int64_t start = now_ns(CLOCK_MONOTONIC);
    spawn_all(threads, THREADS, take_turns);
    join_all(threads, THREADS);
    int most = 0;
    for (int i = 0; i < THREADS; i++)
        most = turns[i] > most ? turns[i] : most;
    printf("%d turns of each took %lld ms, the most were %d\n", WANTED,
           (long long)(now_ns(CLOCK_MONOTONIC) - start) / MS_NS, most);
    CHECK(most <= MOST, "all have had %d turns when one has had %d, expected %d at most", WANTED,
          most, MOST);
    return 0;
}
