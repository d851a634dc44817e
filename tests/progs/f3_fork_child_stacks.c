/* f3_fork_child_stacks.c - DANGERS F3: a child of fork makes many threads, ends them, makes more
 * and forks again: no stack of the parent's serves two, none is unmapped under a thread needs: time
 */
#include "check.h"

#include <sys/wait.h>

enum { DEPTH = 3, THREADS = 100, ROUNDS = 3 };

static void *body(void *arg) {
    volatile char pad[20000];
    for (size_t i = 0; i < sizeof pad; i += 512)
        pad[i] = (char)(long)arg;
    sched_yield();
    usleep(100);
    for (size_t i = 0; i < sizeof pad; i += 512)
        WANT(pad[i], (char)(long)arg);
    free(malloc(1000));
    return arg;
}

static void generation(int left);

static void *forks(void *arg) {
    pid_t pid = (pid_t)DONE(fork());
    int status;
    if (pid == 0) {
        alarm(60);
        generation((int)(long)arg);
        _exit(0);
    }
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
    return NULL;
}

static void generation(int left) {
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (long i = 0; i < THREADS; i++)
            threads[i] = spawn(body, (void *)i);
        join_all(threads, THREADS);
    }
    if (left) {
        pthread_t t = spawn(forks, (void *)(long)(left - 1));
        join(t);
        forks((void *)(long)(left - 1));
    }
}

int main(void) {
    check_start();
    generation(DEPTH);
    return 0;
}
