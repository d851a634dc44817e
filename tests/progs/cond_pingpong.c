/* cond_pingpong.c - pairs of threads hand a turn to each other by condition variable */
#include "check.h"

enum { PAIRS = 4, TURNS = 5000 };

static struct pair {
    pthread_mutex_t mutex;
    pthread_cond_t cond[2];
    int turn, count;
} pairs[PAIRS];

static void *play(void *arg) {
    struct pair *pair = &pairs[(intptr_t)arg / 2];
    int me = (int)(intptr_t)arg % 2;
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_mutex_lock(&pair->mutex));
        while (pair->turn != me)
            OK(pthread_cond_wait(&pair->cond[me], &pair->mutex));
        WANT(pair->count % 2, me);
        pair->count++;
        pair->turn = !me;
        OK(pthread_cond_signal(&pair->cond[!me]));
        OK(pthread_mutex_unlock(&pair->mutex));
    }
    return NULL;
}

int main(void) {
    check_start();
    for (int i = 0; i < PAIRS; i++) {
        OK(pthread_mutex_init(&pairs[i].mutex, NULL));
        OK(pthread_cond_init(&pairs[i].cond[0], NULL));
        OK(pthread_cond_init(&pairs[i].cond[1], NULL));
    }
    run_all(PAIRS * 2, play);
    for (int i = 0; i < PAIRS; i++)
        WANT(pairs[i].count, 2 * TURNS);
    return 0;
}
