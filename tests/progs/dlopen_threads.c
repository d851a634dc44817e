/* dlopen_threads.c - libraries are opened and closed in many threads at once, with constructors
 * that wait and make threads; their thread-local objects are destroyed when their threads end, also
 * when the library has been closed before; and threads that hold the loader's lock, or run its
 * functions, are in nobody's way for good */
#include "util.h"

#include <link.h>

enum { N = 8, ROUNDS = 4 };

static int destroyed, arrived, closed;

typedef int use_fn(int *counter, int value);

static use_fn *open_it(void **library) {
    use_fn *use;
    *library = open_helper("ctor_threads");
    *(void **)&use = find_symbol(*library, "ctor_use");
    return use;
}

/* Each opens and closes it: mostly only counted by the loader, now and then really. */
static void *opens(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        void *library;
        use_fn *use = open_it(&library);
        CHECK(use(&destroyed, (int)(intptr_t)arg + 1) >= 1,
              "the constructor's thread did not work");
        sched_yield();
        OK(dlclose(library));
    }
    return arg;
}

static use_fn *shared_use;

/* Uses it, sees it closed by main, and ends: its object's destructor must still be there. */
static void *outlives(void *arg) {
    CHECK(shared_use(&destroyed, (int)(intptr_t)arg + 100) >= 1, "no thread of the constructor's");
    add(&arrived, 1);
    wait_until(&closed, 1);
    pause_ms((long)(intptr_t)arg % 3);
    return arg;
}

static int look(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)info;
    (void)size;
    if (++*(int *)arg % 3 == 0)
        sched_yield(); /* under the loader's lock */
    return 0;
}

static int stop;
static void *walks(void *arg) {
    while (!get(&stop)) {
        int n = 0;
        WANT(dl_iterate_phdr(look, &n), 0);
        CHECK(n >= 3, "%d objects", n);
        CHECK(dlsym(RTLD_DEFAULT, "printf"), "dlsym found no printf");
        CHECK(!dlopen("no-such-library.so", RTLD_NOW), "dlopen found one");
        CHECK(strstr(dlerror(), "no-such-library"), "another thread's dlerror");
        pause_ms(1);
    }
    return arg;
}

int main(void) {
    check_start();
    pthread_t threads[N], walkers[2];
    spawn_all(walkers, 2, walks);
    spawn_all(threads, N, opens);
    join_all(threads, N);
    CHECK(get(&destroyed) == N, "expected %d objects to be destroyed, came %d", N, destroyed);
    for (int round = 0; round < ROUNDS; round++) {
        void *library;
        set(&arrived, 0);
        set(&closed, 0);
        set(&destroyed, 0);
        shared_use = open_it(&library);
        spawn_all(threads, N, outlives);
        wait_until(&arrived, N);
        OK(dlclose(library));
        set(&closed, 1);
        join_all(threads, N);
        WANT(get(&destroyed), N);
    }
    set(&stop, 1);
    join_all(walkers, 2);
    return 0;
}
