/* many.c - so many threads at a time, with stacks of 64 KB, that wait until all are there
 *
 * usage: many N: says how many could be made, and what hindered the next one; then all end */
#include "check.h"

#include <semaphore.h>

static sem_t go_on;

static void *waits(void *arg) {
    while (sem_wait(&go_on) < 0)
        WANT(errno, EINTR);
    return arg;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 0, made = 0, err = 0;
    check_start();
    CHECK(n > 0, "usage: many N");
    pthread_t *th = calloc((size_t)n, sizeof *th);
    pthread_attr_t attr;
    CHECK(th, "out of memory");
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstacksize(&attr, 65536));
    DONE(sem_init(&go_on, 0, 0));
    while (made < n && (err = pthread_create(&th[made], &attr, waits, NULL)) == 0)
        made++;
    printf("%d threads, %s\n", made, strerror(err));
    fflush(stdout);
    for (int i = 0; i < made; i++)
        DONE(sem_post(&go_on));
    for (int i = 0; i < made; i++)
        OK(pthread_join(th[i], NULL));
    puts("joined");
    free(th);
    return 0;
}
