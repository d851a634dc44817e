/* old_bindings.c - the old names and versions of thread functions, and those found by dlsym, work
 * on the same objects as the usual ones: __pthread_* aliases, GLIBC_2.2.5 references, a condition
 * made by the old pthread_cond_init in memory that is not zero */
#include "check.h"

#include <dlfcn.h>

int __pthread_mutex_lock(pthread_mutex_t *m);
int __pthread_mutex_unlock(pthread_mutex_t *m);
int __pthread_mutex_trylock(pthread_mutex_t *m);
int __pthread_rwlock_wrlock(pthread_rwlock_t *l);
int __pthread_rwlock_rdlock(pthread_rwlock_t *l);
int __pthread_rwlock_unlock(pthread_rwlock_t *l);
int __pthread_once(pthread_once_t *once, void (*fn)(void));

int old_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int old_join(pthread_t t, void **result);
int old_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int old_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int old_cond_signal(pthread_cond_t *c);
int old_cond_destroy(pthread_cond_t *c);
__asm__(".symver __pthread_mutex_lock, __pthread_mutex_lock@GLIBC_2.2.5");
__asm__(".symver __pthread_mutex_unlock, __pthread_mutex_unlock@GLIBC_2.2.5");
__asm__(".symver __pthread_mutex_trylock, __pthread_mutex_trylock@GLIBC_2.2.5");
__asm__(".symver __pthread_rwlock_wrlock, __pthread_rwlock_wrlock@GLIBC_2.2.5");
__asm__(".symver __pthread_rwlock_rdlock, __pthread_rwlock_rdlock@GLIBC_2.2.5");
__asm__(".symver __pthread_rwlock_unlock, __pthread_rwlock_unlock@GLIBC_2.2.5");
__asm__(".symver __pthread_once, __pthread_once@GLIBC_2.2.5");
__asm__(".symver old_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver old_join, pthread_join@GLIBC_2.2.5");
__asm__(".symver old_cond_init, pthread_cond_init@GLIBC_2.2.5");
__asm__(".symver old_cond_wait, pthread_cond_wait@GLIBC_2.2.5");
__asm__(".symver old_cond_signal, pthread_cond_signal@GLIBC_2.2.5");
__asm__(".symver old_cond_destroy, pthread_cond_destroy@GLIBC_2.2.5");

enum { THREADS = 6, ROUNDS = 2000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int count, writes, turn, onces;
static int (*found_lock)(pthread_mutex_t *), (*found_unlock)(pthread_mutex_t *);

static void first(void) { onces++; }

static void lock(int way) {
    switch (way % 4) {
    case 0:
        OK(pthread_mutex_lock(&mutex));
        break;
    case 1:
        OK(__pthread_mutex_lock(&mutex));
        break;
    case 2:
        OK(found_lock(&mutex));
        break;
    default:
        while (__pthread_mutex_trylock(&mutex) != 0)
            sched_yield();
    }
}

static void unlock(int way) {
    switch (way % 3) {
    case 0:
        OK(pthread_mutex_unlock(&mutex));
        break;
    case 1:
        OK(__pthread_mutex_unlock(&mutex));
        break;
    default:
        OK(found_unlock(&mutex));
    }
}

static void *run(void *arg) {
    int me = (int)(intptr_t)arg;
    if (me % 2)
        OK(pthread_once(&once, first));
    else
        OK(__pthread_once(&once, first));
    for (int i = 0; i < ROUNDS; i++) {
        lock(me + i);
        count++;
        unlock(me + i / 4);
        OK(me % 2 ? __pthread_rwlock_wrlock(&rwlock) : pthread_rwlock_wrlock(&rwlock));
        writes++;
        OK(i % 2 ? __pthread_rwlock_unlock(&rwlock) : pthread_rwlock_unlock(&rwlock));
        OK(__pthread_rwlock_rdlock(&rwlock));
        OK(pthread_rwlock_unlock(&rwlock));
    }
    return arg;
}

static void *waits(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    while (!turn)
        OK(old_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

int main(void) {
    check_start();
    void *(*get_lock)(void *, const char *) = dlsym;
    found_lock = (int (*)(pthread_mutex_t *))get_lock(RTLD_DEFAULT, "pthread_mutex_lock");
    found_unlock = (int (*)(pthread_mutex_t *))get_lock(RTLD_NEXT, "pthread_mutex_unlock");
    CHECK(found_lock && found_unlock, "expected dlsym to find both");
    memset(&cond, 0xa5, sizeof cond);
    OK(old_cond_init(&cond, NULL));
    pthread_t threads[THREADS], waiter;
    for (int i = 0; i < THREADS; i++)
        OK(old_create(&threads[i], NULL, run, as_pointer(i)));
    OK(old_create(&waiter, NULL, waits, NULL));
    for (int i = 0; i < THREADS; i++)
        OK(old_join(threads[i], NULL));
    WANT(count, THREADS * ROUNDS);
    WANT(writes, THREADS * ROUNDS);
    WANT(onces, 1);
    OK(pthread_mutex_lock(&mutex));
    turn = 1;
    OK(old_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    join(waiter);
    OK(old_cond_destroy(&cond));
    return 0;
}
