/* attr_values.c - thread attributes give back what was set, refuse what is wrong, and are obeyed */
#include "check.h"

static int started;

static void *count(void *arg) {
    add(&started, 1);
    return arg;
}

#define ROUND_TRIP(name, value, wrong)                                                             \
    do {                                                                                           \
        int got = -7;                                                                              \
        OK(pthread_attr_set##name(&attr, value));                                                  \
        ERR(pthread_attr_set##name(&attr, wrong), EINVAL);                                         \
        OK(pthread_attr_get##name(&attr, &got));                                                   \
        WANT(got, value);                                                                          \
    } while (0)

int main(void) {
    check_start();
    pthread_attr_t attr;
    size_t size, guard;
    int value;
    void *where;
    struct sched_param param = {.sched_priority = 77};
    OK(pthread_attr_init(&attr));

    OK(pthread_attr_getdetachstate(&attr, &value));
    WANT(value, PTHREAD_CREATE_JOINABLE);
    OK(pthread_attr_getscope(&attr, &value));
    WANT(value, PTHREAD_SCOPE_SYSTEM);
    OK(pthread_attr_getinheritsched(&attr, &value));
    WANT(value, PTHREAD_INHERIT_SCHED);
    OK(pthread_attr_getguardsize(&attr, &guard));
    WANT(guard, sysconf(_SC_PAGESIZE));
    OK(pthread_attr_getschedparam(&attr, &param));
    WANT(param.sched_priority, 0);

    ROUND_TRIP(detachstate, PTHREAD_CREATE_DETACHED, 99);
    ROUND_TRIP(inheritsched, PTHREAD_EXPLICIT_SCHED, 99);
    ROUND_TRIP(schedpolicy, SCHED_OTHER, 99);
    ROUND_TRIP(scope, PTHREAD_SCOPE_SYSTEM, 99);
    ERR(pthread_attr_setscope(&attr, PTHREAD_SCOPE_PROCESS), ENOTSUP);
    param.sched_priority = 1;
    ERR(pthread_attr_setschedparam(&attr, &param), EINVAL); /* SCHED_OTHER knows 0 only */

    /* A detached thread with an explicit policy, a guard of many pages and one of none. */
    static const size_t guards[] = {0, 1, 4096, 65536, 1 << 20};
    for (int i = 0; i < 5; i++) {
        OK(pthread_attr_setguardsize(&attr, guards[i]));
        OK(pthread_attr_getguardsize(&attr, &guard));
        WANT(guard, guards[i]);
        spawn_with(&attr, count, NULL);
        wait_until(&started, i + 1);
    }

    OK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_JOINABLE));
    OK(pthread_attr_setguardsize(&attr, 0));
    OK(pthread_attr_setstacksize(&attr, 128 << 10));
    OK(pthread_attr_getstack(&attr, &where, &size));
    WANT(size, 128 << 10);
    WANT(join(spawn_with(&attr, count, as_pointer(4))), 4);
    WANT(started, 6);
    OK(pthread_attr_destroy(&attr));
    return 0;
}
