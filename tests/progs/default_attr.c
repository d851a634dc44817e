/* default_attr.c - pthread_setattr_default_np decides about threads made without attributes */
#include "check.h"

static size_t stack_of_self(void) {
    pthread_attr_t attr;
    size_t size;
    OK(pthread_getattr_np(pthread_self(), &attr));
    OK(pthread_attr_getstacksize(&attr, &size));
    OK(pthread_attr_destroy(&attr));
    return size;
}

static void *stack_size(void *arg) {
    (void)arg;
    return as_pointer((intptr_t)stack_of_self());
}

static int stop;

static void *wait_for_end(void *arg) {
    wait_until(&stop, 1);
    return arg;
}

int main(void) {
    check_start();
    pthread_attr_t attr, now;
    size_t size, before = (size_t)join(spawn(stack_size, NULL));
    CHECK(before >= 1 << 20, "expected a default stack of 1 MB at least, came %zu", before);

    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstacksize(&attr, 200 << 10));
    OK(pthread_setattr_default_np(&attr));
    OK(pthread_getattr_default_np(&now));
    OK(pthread_attr_getstacksize(&now, &size));
    WANT(size, 200 << 10);
    size = (size_t)join(spawn(stack_size, NULL));
    CHECK(size >= 200 << 10 && size < before, "expected the new default of 200 KB, came %zu", size);

    /* A default stack of the program's own would be every thread's: refused, changes nothing. */
    static char memory[64 << 10];
    OK(pthread_attr_init(&now));
    OK(pthread_attr_setstack(&now, memory, sizeof memory));
    ERR(pthread_setattr_default_np(&now), EINVAL);
    size = (size_t)join(spawn(stack_size, NULL));
    CHECK(size >= 200 << 10, "expected a stack of 200 KB at least, came %zu", size);

    /* A detached default makes detached threads. */
    OK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
    OK(pthread_setattr_default_np(&attr));
    pthread_t thread = spawn(wait_for_end, NULL);
    ERR(pthread_join(thread, NULL), EINVAL);
    set(&stop, 1);

    /* pthread_attr_init takes its stack size from the default. */
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_getstacksize(&attr, &size));
    WANT(size, 200 << 10);
    return 0;
}
