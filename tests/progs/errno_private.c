/* errno_private.c - errno is each thread's own, across yields and everything that blocks */
#include "check.h"

enum { N = 20 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *run(void *arg) {
    int mine = 1000 + (int)(intptr_t)arg, *where = &errno;
    WANT(errno, 0); /* a new thread starts with none */
    for (int i = 0; i < 200; i++) {
        errno = mine;
        sched_yield();
        WANT(errno, mine);
        OK(pthread_mutex_lock(&mutex)); /* pthread functions do not use errno */
        sched_yield();
        OK(pthread_mutex_unlock(&mutex));
        WANT(errno, mine);
        if (i % 20 == 0)
            pause_ms(1);
        WANT(errno, mine);
        CHECK(where == &errno, "expected errno to stay at one address in a thread");
        FAILS(close(-1), EBADF);
        sched_yield();
        WANT(errno, EBADF);
    }
    return where;
}

int main(void) {
    check_start();
    errno = 77;
    for (int round = 0; round < 3; round++) /* later threads take over the stacks of former ones */
        run_all(N, run);
    WANT(errno, 77);
    return 0;
}
