/* preempt_foreign_stack.c - code whose stack pointer stands in memory of its own, with data right
 * below it, as Erlang's compiled code: threads that compute so beside others find the data as it
 * was, for they have an alternate stack for signals. They are stopped all the same: none has to
 * wait for the end of another
 * needs: time */
#include "check.h"

#include <signal.h>
#include <sys/mman.h>

enum { THREADS = 6, TURNS = 40, TURN_MS = 15, AREA = 16384, POINTER = 8192, ALT = 16384 };

static int begun;

/* Counts down from n with the stack pointer at `at`. */
static void count_at(void *at, long n) {
    register void *kept __asm__("rbx");
    __asm__ volatile("mov %%rsp, %0\n\t"
                     "mov %2, %%rsp\n"
                     "1:\tdec %1\n\t"
                     "jnz 1b\n\t"
                     "mov %0, %%rsp"
                     : "=&r"(kept), "+r"(n)
                     : "r"(at)
                     : "memory", "cc");
}

static void *computes(void *arg) {
    unsigned char *area = malloc(AREA), *alternate = malloc(ALT);
    stack_t alt = {.ss_sp = alternate, .ss_size = ALT};
    CHECK(area && alternate, "no memory");
    DONE(sigaltstack(&alt, NULL));
    memset(area, 0x5a, AREA);
    add(&begun, 1);
    for (int i = 0; i < TURNS; i++) {
        int64_t end = now_ns(CLOCK_MONOTONIC) + TURN_MS * MS_NS;
        while (now_ns(CLOCK_MONOTONIC) < end)
            count_at(area + POINTER, 1000000);
        for (int k = 0; k < AREA; k++)
            CHECK(area[k] == 0x5a, "%d bytes from the stack pointer: expected 5a, came %x",
                  k - POINTER, area[k]);
        CHECK(i < TURNS / 2 || get(&begun) == THREADS, "only %d threads have begun", get(&begun));
    }
    alt = (stack_t){.ss_flags = SS_DISABLE};
    DONE(sigaltstack(&alt, NULL));
    free(alternate);
    free(area);
    return arg;
}

int main(void) {
    pthread_t threads[THREADS];
    check_start();
    spawn_all(threads, THREADS, computes);
    join_all(threads, THREADS);
    return 0;
}
