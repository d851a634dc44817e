/* tls_align.c - aligned __thread variables are aligned in every thread, at any size of stack */
#include "check.h"

static __thread char odd = 1; /* pushes the others off a round address */
static __thread char by_64[3] __attribute__((aligned(64))) = "64";
static __thread char odd_too = 2;
static __thread char by_128[5] __attribute__((aligned(128))) = "128";
static __thread char by_4096[5] __attribute__((aligned(4096))) = "4096";

static void aligned(const char *p, uintptr_t to) {
    CHECK((uintptr_t)p % to == 0, "expected an address aligned to %lu, came %p", (unsigned long)to,
          (const void *)p);
    WANT(atoi(p), to);
}

static void *run(void *arg) {
    WANT(odd + odd_too, 3);
    aligned(by_64, 64);
    aligned(by_128, 128);
    aligned(by_4096, 4096);
    sched_yield();
    strcpy(by_4096, "xyz"); /* for the next thread on this stack */
    /* The stack itself: the ABI wants 16 bytes at a call, compilers rely on it for SSE. */
    volatile __attribute__((aligned(16))) char local[16];
    WANT((uintptr_t)local % 16, 0);
    return arg;
}

int main(void) {
    check_start();
    pthread_attr_t attr;
    aligned(by_64, 64);
    aligned(by_128, 128);
    aligned(by_4096, 4096);
    run_all(20, run);
    run_all(20, run);
    OK(pthread_attr_init(&attr));
    for (size_t size = 64 << 10; size < 400 << 10; size += 13 << 10) {
        OK(pthread_attr_setstacksize(&attr, size + size / 7 % 64));
        join(spawn_with(&attr, run, NULL));
    }
    return 0;
}
