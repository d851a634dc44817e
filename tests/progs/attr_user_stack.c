/* attr_user_stack.c - a thread on memory of the program's own (pthread_attr_setstack) */
#include "check.h"

#include <sys/mman.h>

enum { SIZE = 256 << 10 };

static char *memory;

static void inside(const void *p, const char *what) {
    const char *at = p;
    CHECK(at >= memory && at < memory + SIZE, "expected %s within the user's stack", what);
}

static void *run(void *arg) {
    volatile char local[64 << 10];
    inside((const void *)local, "a local");
    for (size_t i = 0; i < sizeof local; i += 512)
        local[i] = (char)i;
    sched_yield();
    pthread_attr_t attr;
    void *where;
    size_t size;
    OK(pthread_getattr_np(pthread_self(), &attr));
    OK(pthread_attr_getstack(&attr, &where, &size));
    OK(pthread_attr_destroy(&attr));
    CHECK(where == memory && size == SIZE, "expected getattr_np to give %p+%d, came %p+%zu",
          (void *)memory, SIZE, where, size);
    return arg;
}

static void *other(void *arg) {
    char local;
    CHECK(&local < memory || &local >= memory + SIZE,
          "expected a thread without the attribute not to get the user's stack");
    return arg;
}

int main(void) {
    check_start();
    pthread_attr_t attr;
    /* Inaccessible pages on both sides: the thread must keep to what it was given. */
    char *all = mmap(NULL, SIZE + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED, "expected mmap to succeed");
    memory = all + 4096;
    DONE(mprotect(memory, SIZE, PROT_READ | PROT_WRITE));
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstack(&attr, memory, SIZE));
    ERR(pthread_attr_setstack(&attr, memory, 1000), EINVAL);
    for (int i = 1; i < 50; i++) {
        WANT(join(spawn_with(&attr, run, as_pointer(i))), i);
        memset(memory, i, SIZE); /* ours again after the join, and dirty for the next thread */
    }
    for (int i = 1; i < 20; i++)
        WANT(join(spawn(other, as_pointer(i))), i);

    /* Unmapped: nothing may touch the memory any more, nor think that it is free for use. */
    DONE(munmap(all, SIZE + 8192));
    for (int i = 1; i < 20; i++)
        WANT(join(spawn(other, as_pointer(i))), i);
    OK(pthread_attr_destroy(&attr));
    return 0;
}
