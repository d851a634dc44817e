/* gettid_identity.c - the thread id: one per live thread, stable, the same by all ways of asking */
#include "check.h"

#include <sys/syscall.h>

enum { N = 50 };

static pid_t ids[N];
static int arrived, stop;

static void *run(void *arg) {
    pid_t me = ids[(intptr_t)arg] = gettid();
    add(&arrived, 1);
    for (int i = 0; i < 50 || !get(&stop); i++) {
        WANT(gettid(), me);
        WANT(syscall(SYS_gettid), me);
        if (i % 8)
            sched_yield();
        else
            pause_ms(1); /* wakes up on any kernel thread, and is the same all the same */
    }
    WANT(getpid(), syscall(SYS_getpid));
    CHECK(me != getpid(), "expected only main's thread id to be the process id");
    return NULL;
}

int main(void) {
    check_start();
    pthread_t threads[N];
    pid_t pid = getpid();
    WANT(gettid(), pid);
    spawn_all(threads, N, run);
    wait_until(&arrived, N);
    for (int i = 0; i < N; i++) {
        CHECK(ids[i] > 0, "expected a positive thread id, came %d", ids[i]);
        for (int k = 0; k < i; k++)
            CHECK(ids[i] != ids[k], "expected thread ids of live threads to differ, came %d twice",
                  ids[i]);
    }
    WANT(gettid(), pid);
    WANT(syscall(SYS_gettid), pid);
    set(&stop, 1);
    join_all(threads, N);
    WANT(gettid(), pid);
    return 0;
}
