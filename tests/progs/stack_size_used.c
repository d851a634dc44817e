/* stack_size_used.c - 90 % of the stack a thread asked for can really be used */
#include "check.h"

/* Recurse until that many bytes are used, and write to each frame. */
__attribute__((noinline)) static int descend(const char *from, size_t bytes, int depth) {
    volatile char frame[512];
    frame[0] = frame[511] = (char)depth;
    int below = 0;
    if ((size_t)(from - (const char *)frame) < bytes)
        below = descend(from, bytes, depth + 1);
    CHECK(frame[0] == (char)depth && frame[511] == (char)depth, "expected frames to stay intact");
    return below + 1;
}

static int deep;

static void *use(void *arg) {
    char top = 0;
    size_t bytes = (size_t)arg;
    int frames = descend(&top, bytes / 2, 0); /* twice: the second time with a switch before */
    sched_yield();
    frames += descend(&top, bytes, 0);
    add(&deep, 1);
    return as_pointer(frames);
}

int main(void) {
    check_start();
    static const size_t sizes[] = {256 << 10, 1 << 20, 8 << 20};
    pthread_attr_t attr;
    size_t size;
    for (int i = 0; i < 3; i++) {
        OK(pthread_attr_init(&attr));
        OK(pthread_attr_setstacksize(&attr, sizes[i]));
        OK(pthread_attr_getstacksize(&attr, &size));
        WANT(size, sizes[i]);
        pthread_t threads[8];
        for (int k = 0; k < 8; k++)
            threads[k] = spawn_with(&attr, use, as_pointer((intptr_t)(size / 10 * 9)));
        for (int k = 0; k < 8; k++) {
            long frames = (long)join(threads[k]);
            CHECK(frames > 100, "expected more than 100 frames, came %ld", frames);
        }
        OK(pthread_attr_destroy(&attr));
    }
    /* The default: RLIMIT_STACK, 8 MB on Debian; whatever pthread_attr_init says. */
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_getstacksize(&attr, &size));
    CHECK(size >= 1 << 20, "expected a default stack of 1 MB at least, came %zu", size);
    join(spawn(use, as_pointer((intptr_t)(size / 10 * 9))));
    WANT(deep, 25);
    return 0;
}
