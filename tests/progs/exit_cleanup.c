/* exit_cleanup.c - pthread_exit from nested calls runs the cleanup handlers, last pushed first */
#include "check.h"

struct trail {
    int seen[8], n;
};

static __thread struct trail *mine;

static void note(void *arg) { mine->seen[mine->n++] = (int)(intptr_t)arg; }

__attribute__((noinline)) static void deep(int level, void *result) {
    if (level > 5)
        return; /* never, but the compiler must not know that we do not return */
    pthread_cleanup_push(note, as_pointer(level));
    if (level < 5)
        deep(level + 1, result);
    pthread_exit(result);
    pthread_cleanup_pop(0);
}

static void *exits_deep(void *arg) {
    mine = arg;
    pthread_cleanup_push(note, as_pointer(1));
    pthread_cleanup_push(note, as_pointer(77));
    pthread_cleanup_pop(0); /* popped and not run */
    sched_yield();          /* the handlers of others must not mix with ours */
    deep(2, as_pointer(42));
    pthread_cleanup_pop(0);
    return NULL;
}

static void *pops(void *arg) {
    mine = arg;
    pthread_cleanup_push(note, as_pointer(1));
    pthread_cleanup_push(note, as_pointer(2));
    sched_yield();
    pthread_cleanup_pop(1);
    pthread_cleanup_pop(0);
    return as_pointer(43); /* returning runs no handler: none is left */
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void unlock(void *arg) { OK(pthread_mutex_unlock(arg)); }

static void *exits_locked(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    pthread_cleanup_push(unlock, &mutex);
    pthread_exit(arg);
    pthread_cleanup_pop(0);
}

int main(void) {
    check_start();
    enum { N = 20 };
    pthread_t threads[N];
    struct trail trails[N];
    memset(trails, 0, sizeof trails);
    for (int i = 0; i < N; i++)
        threads[i] = spawn(i % 2 ? pops : exits_deep, &trails[i]);
    for (int i = 0; i < N; i++) {
        const struct trail *t = &trails[i];
        WANT(join(threads[i]), i % 2 ? 43 : 42);
        WANT(t->n, i % 2 ? 1 : 5);
        if (i % 2)
            WANT(t->seen[0], 2);
        for (int k = 0; i % 2 == 0 && k < 5; k++)
            WANT(t->seen[k], 5 - k);
    }
    WANT(join(spawn(exits_locked, as_pointer(3))), 3);
    OK(pthread_mutex_trylock(&mutex)); /* the handler has unlocked it */
    return 0;
}
