/* futex_mappings.c - a wait on a futex without the private flag is ended by a wake-up, whatever has
 * been mapped meanwhile: hundreds of shared ranges, also around the word itself */
#include "check.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { N = 4, RANGES = 600 };

static int words[N], about[N];

static void *waiter(void *arg) {
    int i = (int)(intptr_t)arg;
    set(&about[i], 1);
    while (!get(&words[i]))
        syscall(SYS_futex, &words[i], FUTEX_WAIT, 0, NULL, NULL, 0);
    return NULL;
}

int main(void) {
    check_start();
    pthread_t threads[N];
    long page = sysconf(_SC_PAGESIZE);
    spawn_all(threads, N, waiter);
    for (int i = 0; i < N; i++)
        wait_until(&about[i], 1);
    pause_ms(20);
    /* Each apart from the others, so that they stay single ranges. */
    char *at =
        mmap(NULL, (size_t)(2 * RANGES * page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED, "mmap: errno %d", errno);
    for (int i = 0; i < RANGES; i++)
        CHECK(mmap(at + 2 * i * page, (size_t)page, PROT_READ,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
              "mmap: errno %d", errno);
    for (int i = 0; i < N; i++) {
        set(&words[i], 1);
        if (i % 2)
            DONE(syscall(SYS_futex, &words[i], FUTEX_WAKE, 1, NULL, NULL, 0));
        else
            DONE(syscall(SYS_futex, &words[i], FUTEX_WAKE_OP, 1, as_pointer(0), &about[i],
                         FUTEX_OP(FUTEX_OP_SET, 2, FUTEX_OP_CMP_EQ, 99)));
    }
    join_all(threads, N);
    WANT(about[0], 2);
    /* And a new wait, where all memory in between may count as shared by now. */
    set(&words[0], 0);
    set(&about[0], 0);
    pthread_t again = spawn(waiter, as_pointer(0));
    wait_until(&about[0], 1);
    pause_ms(20);
    set(&words[0], 1);
    DONE(syscall(SYS_futex, &words[0], FUTEX_WAKE, 1, NULL, NULL, 0));
    join(again);
    return 0;
}
