/* lock.c THREADS N - ns per lock and unlock of one mutex, N in all by all threads together */
#include "bench.h"

static long each;
static volatile long count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *arg) {
    for (long i = 0; i < each; i++) {
        pthread_mutex_lock(&lock);
        count++;
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int threads = atoi(argv[1]);
    each = atol(argv[2]) / threads;
    double start = now_ns();
    run_threads(threads, work);
    return report(now_ns() - start, each * threads, count == each * threads);
}
