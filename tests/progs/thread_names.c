/* thread_names.c - pthread_setname_np and getname_np: 15 characters, ERANGE, each its own */
#include "check.h"

#include <sys/prctl.h>

enum { N = 20 };

static int arrived, stop;

static void name_is(pthread_t thread, const char *want) {
    char name[16];
    OK(pthread_getname_np(thread, name, sizeof name));
    CHECK(strcmp(name, want) == 0, "expected the name %s, came %s", want, name);
}

static void *named(void *arg) {
    char want[16], name[17];
    name_is(pthread_self(), "first");
    snprintf(want, sizeof want, "thread-%d", (int)(intptr_t)arg);
    OK(pthread_setname_np(pthread_self(), want));
    for (int i = 0; i < 20; i++) {
        sched_yield();
        name_is(pthread_self(), want);
        DONE(prctl(PR_GET_NAME, name)); /* the kernel's own way of asking */
        CHECK(strcmp(name, want) == 0, "expected PR_GET_NAME to give %s, came %s", want, name);
    }
    add(&arrived, 1);
    wait_until(&stop, 1);
    return NULL;
}

int main(void) {
    check_start();
    char small[15], text[16];
    pthread_t threads[N];
    name_is(pthread_self(), "thread_names");
    OK(pthread_setname_np(pthread_self(), "first")); /* inherited by those made from now on */
    spawn_all(threads, N, named);
    wait_until(&arrived, N);
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "thread-%d", i);
        name_is(threads[i], text);
    }
    OK(pthread_setname_np(threads[0], "123456789012345")); /* by another thread */
    name_is(threads[0], "123456789012345");
    ERR(pthread_setname_np(threads[0], "1234567890123456"), ERANGE);
    name_is(threads[0], "123456789012345");
    ERR(pthread_getname_np(threads[0], small, sizeof small), ERANGE);
    OK(pthread_setname_np(threads[1], ""));
    name_is(threads[1], "");
    set(&stop, 1);
    join_all(threads, N);
    name_is(pthread_self(), "first");
    return 0;
}
