/* getattr_np.c - pthread_getattr_np tells the true stack bounds, sizes and detach state */
#include "check.h"

static void bounds_of(pthread_t thread, const volatile char *local, size_t at_least, int detached) {
    pthread_attr_t attr;
    void *where;
    size_t size, guard;
    int state;
    OK(pthread_getattr_np(thread, &attr));
    OK(pthread_attr_getstack(&attr, &where, &size));
    OK(pthread_attr_getguardsize(&attr, &guard));
    OK(pthread_attr_getdetachstate(&attr, &state));
    OK(pthread_attr_destroy(&attr));
    const char *low = where, *at = (const char *)local;
    CHECK(at >= low && at < low + size, "expected a local (%p) in the bounds, came %p+%zx", at,
          where, size);
    CHECK(size >= at_least, "expected a stack of %zu at least, came %zu", at_least, size);
    CHECK((uintptr_t)low % 4096 == 0, "expected the low end on a page, came %p", where);
    WANT(state, detached);
    /* What is left below us can be used: a JVM or a garbage collector walks all of it. */
    size_t below = (size_t)(at - low);
    CHECK(below + 65536 > at_least / 10 * 9, "expected most of the stack below a first frame");
}

struct plan {
    size_t size;
    int state, done;
};

static void *look(void *arg) {
    struct plan *plan = arg;
    volatile char local = 0;
    bounds_of(pthread_self(), &local, plan->size, plan->state);
    sched_yield();
    bounds_of(pthread_self(), &local, plan->size, plan->state);
    set(&plan->done, 1);
    return &plan->done;
}

static int seen, stop;

static void *show_local(void *arg) {
    volatile char local = 0;
    *(volatile char **)arg = &local;
    set(&seen, 1);
    wait_until(&stop, 1);
    return NULL;
}

int main(void) {
    check_start();
    volatile char local = 0, *theirs = NULL;
    bounds_of(pthread_self(), &local, 1 << 20, PTHREAD_CREATE_JOINABLE);
    static struct plan plans[] = {{128 << 10, PTHREAD_CREATE_JOINABLE, 0},
                                  {1 << 20, PTHREAD_CREATE_DETACHED, 0},
                                  {8 << 20, PTHREAD_CREATE_JOINABLE, 0}};
    for (int i = 0; i < 3; i++) {
        pthread_attr_t attr;
        OK(pthread_attr_init(&attr));
        OK(pthread_attr_setstacksize(&attr, plans[i].size));
        OK(pthread_attr_setdetachstate(&attr, plans[i].state));
        pthread_t thread = spawn_with(&attr, look, &plans[i]);
        if (plans[i].state == PTHREAD_CREATE_JOINABLE)
            join(thread);
        wait_until(&plans[i].done, 1);
        OK(pthread_attr_destroy(&attr));
    }
    pthread_t thread = spawn(show_local, &theirs); /* another's bounds, while it waits */
    wait_until(&seen, 1);
    bounds_of(thread, theirs, 1 << 20, PTHREAD_CREATE_JOINABLE);
    set(&stop, 1);
    join(thread);
    bounds_of(pthread_self(), &local, 1 << 20, PTHREAD_CREATE_JOINABLE); /* main, threads made */
    return 0;
}
