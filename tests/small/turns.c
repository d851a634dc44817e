/* turns.c - one thread that sleeps for 10 ms again and again and one that waits for a mutex, until
 * stdin ends: about a hundred switches per second */
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int stop, arrived;

static void *sleeps(void *arg) {
    add(&arrived, 1);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        pause_ms(10);
    return arg;
}

static void *locks(void *arg) {
    add(&arrived, 1);
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

int main(void) {
    char c;
    check_start();
    OK(pthread_mutex_lock(&mutex));
    pthread_t threads[] = {spawn(sleeps, NULL), spawn(locks, NULL)};
    wait_until(&arrived, 2);
    printf("ready\n");
    fflush(stdout);
    while (DONE(read(0, &c, 1)) > 0)
        ;
    OK(pthread_mutex_unlock(&mutex));
    add(&stop, 1);
    join_all(threads, 2);
    printf("went on\n");
    return 0;
}
