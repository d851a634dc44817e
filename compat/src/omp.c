/* omp.c SECONDS THREADS - OpenMP: loops, reductions, critical sections, ordered loops, tasks,
 * barriers */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

static long fib(int n) {
    long a, b;
    if (n < 2)
        return n;
    if (n < 10)
        return fib(n - 1) + fib(n - 2);
#pragma omp task shared(a)
    a = fib(n - 1);
#pragma omp task shared(b)
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

static int round_is_right(void) {
    enum { N = 20000 };
    static int square[N];
    long sum = 0, count = 0, result = 0;
    int order = 0, in_order = 1;
#pragma omp parallel for schedule(dynamic, 64)
    for (int i = 0; i < N; i++)
        square[i] = i % 1000 * (i % 1000);
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < N; i++)
        sum += square[i];
#pragma omp parallel
    {
        for (int i = 0; i < 50; i++) {
#pragma omp critical
            count++;
#pragma omp barrier
        }
    }
#pragma omp parallel for ordered
    for (int i = 0; i < 100; i++) {
#pragma omp ordered
        in_order &= order++ == i;
    }
#pragma omp parallel
#pragma omp single
    result = fib(18);
    return sum == 20 * 332833500L && count == 50L * omp_get_max_threads() && in_order &&
           result == 2584;
}

int main(int argc, char **argv) {
    double seconds = atof(argv[1]), begin = omp_get_wtime();
    long rounds = 0;
    int good = argc == 3;
    omp_set_num_threads(atoi(argv[2]));
    do {
        good &= round_is_right();
        rounds++;
    } while (good && omp_get_wtime() - begin < seconds);
    printf("%s rate=%.1f\n", good ? "ok" : "wrong", (double)rounds / (omp_get_wtime() - begin));
    return !good;
}
