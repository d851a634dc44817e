/* destroy_rules.c - destroying what is in use is refused as glibc refuses it, what is free can be
 * destroyed at once after its last use, also by the thread that was just woken, and be initialised
 * again in the same place; a barrier and a condition are destroyed when the last waiter has left
 */
#include "check.h"

#include <semaphore.h>

static int held, go_on;

static void *holds(void *arg) {
    OK(pthread_mutex_lock(arg));
    set(&held, 1);
    wait_until(&go_on, 1);
    OK(pthread_mutex_unlock(arg));
    return arg;
}

static void mutex_in_use(int type) {
    pthread_mutex_t m;
    pthread_mutexattr_t a;
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_settype(&a, type));
    OK(pthread_mutex_init(&m, &a));
    OK(pthread_mutex_lock(&m));
    ERR(pthread_mutex_destroy(&m), EBUSY);
    OK(pthread_mutex_unlock(&m));
    held = go_on = 0;
    pthread_t t = spawn(holds, &m);
    wait_until(&held, 1);
    ERR(pthread_mutex_destroy(&m), EBUSY);
    set(&go_on, 1);
    join(t);
    OK(pthread_mutex_destroy(&m));
    ERR(pthread_mutex_destroy(&m), 0); /* glibc says nothing; it must not hang or crash */
    OK(pthread_mutex_init(&m, &a));
    OK(pthread_mutex_lock(&m));
    OK(pthread_mutex_unlock(&m));
    OK(pthread_mutex_destroy(&m));
}

/* ---- at once: an object with a count of users, which the last one frees ---- */

struct object {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    int users;
};

static void *uses(void *arg) {
    struct object *o = arg;
    OK(pthread_rwlock_rdlock(&o->rwlock));
    OK(pthread_rwlock_unlock(&o->rwlock));
    int r = pthread_barrier_wait(&o->barrier);
    if (r == PTHREAD_BARRIER_SERIAL_THREAD)
        OK(pthread_barrier_destroy(&o->barrier)); /* waits for those who have yet to leave */
    else
        OK(r);
    OK(pthread_mutex_lock(&o->mutex));
    o->users--;
    OK(pthread_cond_broadcast(&o->cond));
    while (o->users > 0)
        OK(pthread_cond_wait(&o->cond, &o->mutex));
    int left = --o->users;
    OK(pthread_mutex_unlock(&o->mutex));
    if (left > -4)
        return NULL;
    OK(pthread_cond_destroy(&o->cond)); /* the others may not yet have come out of it */
    OK(pthread_mutex_destroy(&o->mutex));
    OK(pthread_rwlock_destroy(&o->rwlock));
    memset(o, 0xa5, sizeof *o);
    free(o);
    return NULL;
}

static void last_one_frees(void) {
    for (int round = 0; round < 200; round++) {
        struct object *o = calloc(1, sizeof *o);
        pthread_t threads[4];
        OK(pthread_mutex_init(&o->mutex, NULL));
        OK(pthread_cond_init(&o->cond, NULL));
        OK(pthread_rwlock_init(&o->rwlock, NULL));
        OK(pthread_barrier_init(&o->barrier, NULL, 4));
        o->users = 4;
        for (int i = 0; i < 4; i++)
            threads[i] = spawn(uses, o);
        join_all(threads, 4);
    }
}

/* ---- a condition: destroyed by who has sent the broadcast, while the woken are on their way ----
 */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t *cond;
static int waiting, turn;

static void *waits(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    int mine = turn;
    waiting++;
    while (turn == mine)
        OK(pthread_cond_wait(cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void broadcast_and_destroy(void) {
    for (int round = 0; round < 200; round++) {
        pthread_t threads[4];
        cond = malloc(sizeof *cond);
        OK(pthread_cond_init(cond, NULL));
        waiting = 0;
        spawn_all(threads, 4, waits);
        for (int all = 0; !all; sched_yield()) {
            OK(pthread_mutex_lock(&mutex));
            all = waiting == 4;
            if (all) {
                turn++;
                OK(pthread_cond_broadcast(cond));
            }
            OK(pthread_mutex_unlock(&mutex));
        }
        OK(pthread_cond_destroy(cond));
        memset(cond, 0xa5, sizeof *cond);
        free(cond);
        join_all(threads, 4);
    }
}

int main(void) {
    check_start();
    mutex_in_use(PTHREAD_MUTEX_NORMAL);
    mutex_in_use(PTHREAD_MUTEX_RECURSIVE);
    mutex_in_use(PTHREAD_MUTEX_ERRORCHECK);
    last_one_frees();
    broadcast_and_destroy();
    return 0;
}
