/* hotpaths.c - one hot path, N times: what tests/instructions.sh counts
 *
 * usage: hotpaths lock|recursive|sem|yield|park|cond|create N
 */
#include "../progs/check.h"

#include <semaphore.h>

static int n;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem, sems[2];
static int turn;

static void *lock_unlock(void *arg) {
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static void *lock_recursive(void *arg) {
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&recursive);
        pthread_mutex_unlock(&recursive);
    }
    return arg;
}

static void *post_wait(void *arg) {
    for (int i = 0; i < n; i++) {
        sem_post(&sem);
        sem_wait(&sem);
    }
    return arg;
}

static void *yields(void *arg) {
    for (int i = 0; i < n / 2; i++)
        sched_yield();
    return arg;
}

/* Each turn is one post that readies and one wait that parks. */
static void *parks(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < n / 2; i++) {
        sem_wait(&sems[me]);
        sem_post(&sems[!me]);
    }
    return NULL;
}

static void *conds(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < n / 2; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&cond, &mutex);
        turn = !me;
        pthread_cond_signal(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *nothing(void *arg) { return arg; }

static void creates(void) {
    for (int i = 0; i < n; i++)
        join(spawn(nothing, NULL));
}

int main(int argc, char **argv) {
    check_start();
    CHECK(argc == 3 && atoi(argv[2]) > 0, "usage: hotpaths PATH N");
    const char *path = argv[1];
    n = atoi(argv[2]);
    sem_init(&sem, 0, 0);
    sem_init(&sems[0], 0, 1);
    sem_init(&sems[1], 0, 0);
    run_all(2, nothing);
    if (strcmp(path, "lock") == 0)
        run_all(1, lock_unlock);
    else if (strcmp(path, "recursive") == 0)
        run_all(1, lock_recursive);
    else if (strcmp(path, "sem") == 0)
        run_all(1, post_wait);
    else if (strcmp(path, "yield") == 0)
        run_all(2, yields);
    else if (strcmp(path, "park") == 0)
        run_all(2, parks);
    else if (strcmp(path, "cond") == 0)
        run_all(2, conds);
    else if (strcmp(path, "create") == 0)
        creates();
    else
        check_fail("no such path: %s", path);
    return 0;
}
