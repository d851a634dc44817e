/* bench.h - what the micro-benchmarks share: a clock, and the one result line */
#ifndef BENCH_H
#define BENCH_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The line that tests/bench/run reads; the exit status of main. */
static inline int report(double ns, long ops, int ok) {
    printf("ns_per_op=%.1f\n", ns / (double)ops);
    return !ok;
}

/* Starts n threads, waits for all. */
static inline void run_threads(int n, void *(*fn)(void *)) {
    pthread_t *t = calloc((size_t)n, sizeof *t);
    for (int i = 0; i < n; i++)
        if (pthread_create(&t[i], NULL, fn, (void *)(intptr_t)i))
            exit(2);
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
    free(t);
}

#endif
