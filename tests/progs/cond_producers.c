/* cond_producers.c - producers and consumers over a small ring: no wake-up lost, no item twice */
#include "check.h"

enum { PRODUCERS = 6, CONSUMERS = 6, EACH = 5000, ROOM = 3 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static int ring[ROOM], used, first, produced_all;
static unsigned char seen[PRODUCERS * EACH];

static void *producer(void *arg) {
    int base = (int)(intptr_t)arg * EACH;
    for (int i = 0; i < EACH; i++) {
        OK(pthread_mutex_lock(&mutex));
        while (used == ROOM)
            OK(pthread_cond_wait(&not_full, &mutex));
        ring[(first + used++) % ROOM] = base + i;
        OK(pthread_cond_signal(&not_empty)); /* one signal for one item: a lost one hangs us */
        OK(pthread_mutex_unlock(&mutex));
    }
    return NULL;
}

/* Half of the consumers wait with a short deadline, so that time-outs race with signals. */
static void wait_for_item(bool timed) {
    if (!timed) {
        OK(pthread_cond_wait(&not_empty, &mutex));
        return;
    }
    struct timespec at = time_in(CLOCK_REALTIME, 1);
    int error = pthread_cond_timedwait(&not_empty, &mutex, &at);
    CHECK(error == 0 || error == ETIMEDOUT, "expected 0 or ETIMEDOUT, came %s",
          check_name_of(error));
}

static void *consumer(void *arg) {
    intptr_t taken = 0;
    for (;; taken++) {
        OK(pthread_mutex_lock(&mutex));
        while (used == 0 && !produced_all)
            wait_for_item((intptr_t)arg % 2);
        if (used == 0)
            break;
        int item = ring[first];
        first = (first + 1) % ROOM;
        used--;
        WANT(seen[item]++, 0);
        OK(pthread_mutex_unlock(&mutex));
        OK(pthread_cond_signal(&not_full)); /* signalled without the mutex */
    }
    OK(pthread_mutex_unlock(&mutex));
    return as_pointer(taken);
}

int main(void) {
    check_start();
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];
    long taken = 0;
    spawn_all(consumers, CONSUMERS, consumer);
    spawn_all(producers, PRODUCERS, producer);
    join_all(producers, PRODUCERS);
    OK(pthread_mutex_lock(&mutex));
    produced_all = 1;
    OK(pthread_cond_broadcast(&not_empty));
    OK(pthread_mutex_unlock(&mutex));
    for (int i = 0; i < CONSUMERS; i++)
        taken += (long)join(consumers[i]);
    WANT(taken, PRODUCERS * EACH);
    for (int i = 0; i < PRODUCERS * EACH; i++)
        WANT(seen[i], 1);
    return 0;
}
