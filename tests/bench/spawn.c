/* spawn.c seq|batch N - ns per create and join of an empty thread, one by one or all at once */
#include "bench.h"

#include <string.h>

static long ran;

static void *empty(void *arg) {
    __atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
    return arg;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    long n = atol(argv[2]);
    double start = now_ns();
    if (!strcmp(argv[1], "batch"))
        run_threads((int)n, empty);
    else
        for (long i = 0; i < n; i++)
            run_threads(1, empty);
    return report(now_ns() - start, n, ran == n);
}
