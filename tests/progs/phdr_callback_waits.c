/* phdr_callback_waits.c - a callback of dl_iterate_phdr waits, in any way, under the loader's lock:
 * others that iterate, open and close libraries or make threads wait for so long, more threads than
 * processors too; who ends its wait comes to run, and no kernel thread is lost to this */
#include "held.h"
#include "util.h"

#include <link.h>

enum { N = 6, ROUNDS = 3 * HELD_WAYS };

static int stop, opening, passed;

static int look(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    *(int *)arg += info->dlpi_phnum > 0;
    return 0;
}

static void *iterates(void *arg) {
    while (!get(&stop)) {
        int n = 0;
        WANT(dl_iterate_phdr(look, &n), 0);
        CHECK(n >= 3, "%d objects", n);
        add(&passed, 1);
        pause_ms(1);
    }
    return arg;
}

static void *opens(void *arg) {
    while (get(&opening)) {
        void *library = open_helper("tls_dynamic");
        int *(*number)(void);
        *(void **)&number = find_symbol(library, "tls_number");
        WANT(*number(), 4711);
        OK(dlclose(library));
        pause_ms(1);
    }
    return arg;
}

static void *creates(void *arg) {
    while (!get(&stop)) {
        join(spawn(held_thread, NULL));
        pause_ms(1);
    }
    return arg;
}

static int waits(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)info;
    (void)size;
    held_wait(*(enum held_way *)arg);
    return 4711;
}

static void iterate_in_each_way(bool join_too) {
    for (int round = 0; round < ROUNDS; round++) {
        enum held_way way = (enum held_way)(round % HELD_WAYS);
        /* dlclose wants this lock while it holds that of new threads' TLS: see main. */
        if (way == HELD_JOIN && !join_too)
            continue;
        int before = get(&passed);
        WANT(dl_iterate_phdr(waits, &way), 4711);
        wait_until(&passed, before + N);
        held_kernel_threads(2 * N + 2);
    }
}

int main(void) {
    check_start();
    pthread_t iterators[N], creators[2], openers[N];
    held_start();
    set(&opening, 1);
    spawn_all(iterators, N, iterates);
    spawn_all(creators, 2, creates);
    spawn_all(openers, N, opens);
    iterate_in_each_way(false);
    set(&opening, 0);
    join_all(openers, N);
    iterate_in_each_way(true); /* nobody closes a library: threads can be made in the callback */
    set(&stop, 1);
    join_all(iterators, N);
    join_all(creators, 2);
    held_end();
    return 0;
}
