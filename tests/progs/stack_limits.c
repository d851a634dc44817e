/* stack_limits.c - the smallest stack works, smaller is refused, enormous fails without a crash */
#include "check.h"

#include <limits.h>
#include <locale.h>
#include <math.h>

/* First calls go through the dynamic linker, which saves 3 KB of registers on this stack; printf
 * of a double takes some more. A stack of PTHREAD_STACK_MIN bears that. */
static void *first_calls(void *arg) {
    char text[64];
    snprintf(text, sizeof text, "%.3f %ld", hypot(3, (double)(intptr_t)arg), labs(-5L));
    CHECK(strcmp(text, "5.000 5") == 0, "expected \"5.000 5\", came \"%s\"", text);
    CHECK(localeconv() != NULL, "expected localeconv to give something");
    sched_yield();
    return arg;
}

static void *never(void *arg) {
    CHECK(!arg, "expected a thread with an impossible stack not to run");
    return NULL;
}

static void enormous(size_t size) {
    pthread_attr_t attr;
    pthread_t thread;
    OK(pthread_attr_init(&attr));
    int error = pthread_attr_setstacksize(&attr, size);
    if (error == 0)
        error = pthread_create(&thread, &attr, never, as_pointer(1));
    CHECK(error == EAGAIN || error == EINVAL || error == ENOMEM,
          "a stack of %zx bytes: expected EAGAIN, EINVAL or ENOMEM, came %s", size,
          check_name_of(error));
    OK(pthread_attr_destroy(&attr));
}

int main(void) {
    check_start();
    pthread_attr_t attr;
    size_t size;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN));
    for (int i = 0; i < 50; i++)
        WANT(join(spawn_with(&attr, first_calls, as_pointer(4))), 4);

    ERR(pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN - 1), EINVAL);
    ERR(pthread_attr_setstacksize(&attr, 0), EINVAL);
    OK(pthread_attr_getstacksize(&attr, &size));
    WANT(size, PTHREAD_STACK_MIN); /* what is refused changes nothing */

    /* No page multiple: allowed here, and the thread runs. */
    OK(pthread_attr_setstacksize(&attr, 100001));
    WANT(join(spawn_with(&attr, first_calls, as_pointer(4))), 4);

    enormous((size_t)1 << 47); /* the whole of user space */
    enormous((size_t)1 << 62);
    enormous(~(size_t)0);
    enormous(~(size_t)0 & ~(size_t)4095);
    WANT(join(spawn(first_calls, as_pointer(4))), 4); /* and we go on */
    return 0;
}
