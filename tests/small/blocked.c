/* blocked.c - as many threads as asked for, all blocked; says how many kernel threads that takes
 *
 * That is how the tests of the library's switches see from outside whether it is at work.
 */
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int arrived, go;

static void *wait(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    arrived++;
    while (!go)
        OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

int main(int argc, char **argv) {
    check_start();
    int n = argc > 1 ? atoi(argv[1]) : 0, seen = 0;
    pthread_t threads[n + 1];
    spawn_all(threads, n, wait);
    while (seen < n) {
        OK(pthread_mutex_lock(&mutex));
        seen = arrived;
        OK(pthread_mutex_unlock(&mutex));
        pause_ms(1);
    }
    pause_ms(200); /* long enough for some lines of trace */
    printf("kernel threads %d\n", kernel_thread_count());
    OK(pthread_mutex_lock(&mutex));
    go = 1;
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&mutex));
    for (int i = 0; i < n; i++)
        WANT(join(threads[i]), i);
    printf("all joined\n");
    return 0;
}
