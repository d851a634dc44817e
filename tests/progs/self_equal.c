/* self_equal.c - pthread_self and pthread_equal: the same in the thread and outside, stable */
#include "check.h"

enum { N = 50 };

static pthread_t seen[N];
static int arrived, go;

static void *run(void *arg) {
    int me = (int)(intptr_t)arg;
    pthread_t self = seen[me] = pthread_self();
    add(&arrived, 1);
    while (!get(&go)) {
        sched_yield();
        CHECK(pthread_equal(self, pthread_self()), "expected the same self after a yield");
        pause_ms(1);
        CHECK(pthread_equal(self, pthread_self()), "expected the same self after a sleep");
    }
    return NULL;
}

int main(void) {
    check_start();
    pthread_t threads[N], before = pthread_self();
    spawn_all(threads, N, run);
    wait_until(&arrived, N);
    CHECK(pthread_equal(before, pthread_self()),
          "expected main's self to outlive the first create");
    for (int i = 0; i < N; i++) {
        CHECK(pthread_equal(threads[i], seen[i]), "expected create's handle and self to be equal");
        CHECK(!pthread_equal(threads[i], before), "expected a thread's handle unlike main's");
        for (int k = 0; k < i; k++)
            CHECK(!pthread_equal(threads[i], threads[k]),
                  "expected unlike handles of live threads");
    }
    set(&go, 1);
    join_all(threads, N);
    return 0;
}
