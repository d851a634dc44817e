/* key_limit.c - PTHREAD_KEYS_MAX keys and no more; a deleted key's successor starts with NULL */
#include "check.h"

#include <limits.h>

static pthread_key_t keys[PTHREAD_KEYS_MAX];
static int n, destroyed, step;

static void destroy(void *value) {
    (void)value;
    add(&destroyed, 1);
}

static void *use_all(void *arg) {
    for (int i = 0; i < n; i++)
        CHECK(!pthread_getspecific(keys[i]), "expected NULL in key %d of a new thread", i);
    for (int i = 0; i < n; i++)
        OK(pthread_setspecific(keys[i], as_pointer(i + 1 + (intptr_t)arg)));
    sched_yield();
    for (int i = 0; i < n; i++)
        WANT(pthread_getspecific(keys[i]), i + 1 + (intptr_t)arg);
    return NULL;
}

/* Holds a value in the key that main deletes and makes anew. */
static void *hold(void *arg) {
    OK(pthread_setspecific(keys[0], as_pointer(9)));
    set(&step, 1);
    wait_until(&step, 2);
    CHECK(!pthread_getspecific(keys[0]), "expected NULL in a key made after the old was deleted");
    return arg;
}

int main(void) {
    check_start();
    pthread_key_t one_more;
    int error = 0;
    while (n < PTHREAD_KEYS_MAX && (error = pthread_key_create(&keys[n], destroy)) == 0)
        n++;
    /* libc and the C++ library may hold a few, no more. */
    CHECK(n > PTHREAD_KEYS_MAX - 24, "expected about %d keys, came %d", PTHREAD_KEYS_MAX, n);
    ERR(pthread_key_create(&one_more, NULL), EAGAIN);

    run_all(5, use_all);
    WANT(destroyed, 5 * n);

    destroyed = 0;
    OK(pthread_setspecific(keys[0], as_pointer(4)));
    pthread_t thread = spawn(hold, NULL);
    wait_until(&step, 1);
    pthread_key_t old = keys[0];
    OK(pthread_key_delete(old));
    ERR(pthread_key_delete(old), EINVAL);
    ERR(pthread_setspecific(old, as_pointer(1)), EINVAL);
    CHECK(!pthread_getspecific(old), "expected NULL in a deleted key");
    OK(pthread_key_create(&keys[0], destroy)); /* the only free one: the same place */
    CHECK(!pthread_getspecific(keys[0]), "expected NULL in main's reused key");
    set(&step, 2);
    join(thread);
    WANT(destroyed, 0); /* the value under the deleted key is nobody's now */

    for (int i = 0; i < n; i++)
        OK(pthread_key_delete(keys[i]));
    ERR(pthread_key_delete((pthread_key_t)PTHREAD_KEYS_MAX), EINVAL);
    ERR(pthread_setspecific((pthread_key_t)PTHREAD_KEYS_MAX, &n), EINVAL);
    return 0;
}
