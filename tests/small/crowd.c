/* crowd.c - as many threads as asked for, all in the same wait, until stdin ends
 *
 * With a second number it stays at least so many milliseconds (50), so that an onlooker sees it.
 * With `deadlock` in place of the number: two threads, each of which waits for the other's mutex;
 * it ends only when it is killed.
 */
#include "check.h"

#define STAY __attribute__((noinline, noclone)) /* the name shall be in the backtrace */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, left = PTHREAD_MUTEX_INITIALIZER,
                       right = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t both;
static int stop, arrived;

static STAY void wait_in_crowd(void) {
    OK(pthread_mutex_lock(&mutex));
    add(&arrived, 1);
    while (!stop)
        OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
}

static void *crowd_thread(void *arg) {
    wait_in_crowd();
    return arg;
}

static STAY void lock_in_turn(pthread_mutex_t *first, pthread_mutex_t *second) {
    OK(pthread_mutex_lock(first));
    pthread_barrier_wait(&both);
    add(&arrived, 1);
    OK(pthread_mutex_lock(second));
}

static void *left_thread(void *arg) {
    lock_in_turn(&left, &right);
    return arg;
}

static void *right_thread(void *arg) {
    lock_in_turn(&right, &left);
    return arg;
}

int main(int argc, char **argv) {
    check_start();
    bool deadlock = argc > 1 && strcmp(argv[1], "deadlock") == 0;
    int n = deadlock ? 2 : argc > 1 ? atoi(argv[1]) : 100;
    pthread_t *threads = calloc((size_t)n, sizeof *threads);
    char c;
    OK(pthread_barrier_init(&both, NULL, 2));
    for (int i = 0; i < n; i++)
        threads[i] = spawn(!deadlock ? crowd_thread : i ? right_thread : left_thread, NULL);
    wait_until(&arrived, n);
    pause_ms(argc > 2 ? atoi(argv[2]) : 50);
    printf("ready\n");
    fflush(stdout);
    while (!deadlock && DONE(read(0, &c, 1)) > 0)
        ;
    OK(pthread_mutex_lock(&mutex));
    stop = 1;
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&mutex));
    join_all(threads, n);
    free(threads);
    printf("went on\n");
    return 0;
}
