/* dlopen_waits.c - a library's constructor and destructor wait for a thread of the program, for a
 * lock and for a thread of their own, under the loader's lock: others that open, close, look up,
 * make threads or iterate go on or wait for so long, more threads than processors too; all see it
 * constructed; and no kernel thread is lost to this */
#include "util.h"

#include "held.h"

#include <link.h>

enum { N = 5, ROUNDS = 6 };

static int ask[2], answer[2], stop, looked;

/* Answers the constructor, some time after it asked. Wants no lock of the loader's. */
static void *answers(void *arg) {
    char c;
    while (read(ask[0], &c, 1) == 1) {
        pause_ms(HELD_MS);
        WANT(write(answer[1], "x", 1), 1);
    }
    return arg;
}

static void *opens(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        void *library = open_helper("ctor_waits");
        int (*begun)(void);
        *(void **)&begun = find_symbol(library, "ctor_begun");
        WANT(begun(), 4711);
        sched_yield();
        OK(dlclose(library));
    }
    return arg;
}

static int count(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    *(int *)arg += info->dlpi_phnum > 0;
    return 0;
}

static void *looks(void *arg) {
    while (!get(&stop)) {
        int n = 0;
        CHECK(dlsym(RTLD_DEFAULT, "qsort"), "dlsym found no qsort");
        CHECK(!dlopen("no-such-library.so", RTLD_NOW), "dlopen found one");
        CHECK(strstr(dlerror(), "no-such-library"), "another thread's dlerror");
        WANT(dl_iterate_phdr(count, &n), 0);
        CHECK(n >= 3, "%d objects", n);
        join(spawn(held_thread, NULL));
        add(&looked, 1);
        pause_ms(1);
    }
    return arg;
}

int main(void) {
    check_start();
    char ends[32];
    pthread_t openers[N], lookers[N], answerer;
    DONE(pipe(ask));
    DONE(pipe(answer));
    snprintf(ends, sizeof ends, "%d %d", ask[1], answer[0]);
    setenv("CTOR_WAITS", ends, 1);
    answerer = spawn(answers, NULL);
    spawn_all(lookers, N, looks);
    for (int i = 0; i < 2; i++) {
        spawn_all(openers, N, opens);
        join_all(openers, N);
        held_kernel_threads(2 * N);
    }
    wait_until(&looked, 2 * N);
    set(&stop, 1);
    join_all(lookers, N);
    held_kernel_threads(2 * N);
    DONE(close(ask[1]));
    join(answerer);
    return 0;
}
