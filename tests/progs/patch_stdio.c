/* patch_stdio.c - fifty threads in fgets on pipes: they wait as goroutines, and no kernel thread is
 * needed for each, since libc's own read comes to the library. With patch=off libc's code is as it
 * was, and all is as right */
#include "patch.h"

enum { READERS = 50, ROUNDS = 3, KERNEL_THREADS_MAX = 25 /* 8 Ps' and the runtime's own */ };

static int pipes[READERS][2], passed;

static void *reads(void *arg) {
    char line[32];
    FILE *f = fdopen(pipes[(long)arg][0], "r");
    CHECK(f, "fdopen: errno %d", errno);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(fgets(line, sizeof line, f), "expected a line");
        WANT(atoi(line), i);
        add(&passed, 1);
    }
    CHECK(!fgets(line, sizeof line, f) && feof(f), "expected the end");
    fclose(f);
    return arg;
}

int main(int argc, char **argv) {
    check_start();
    bool lib = check_expects("lib"), off = argc > 1;
    pthread_t threads[READERS];
    if (lib && !off) {
        bool known = as_known("read");
        again(argv[0], "off", "patch=off");
        if (!known)
            check_skip("another glibc");
    }
    for (int i = 0; i < READERS; i++)
        DONE(pipe(pipes[i]));
    spawn_all(threads, READERS, reads);
    WANT(jumps("read"), lib && !off);
    for (int i = 0; i < ROUNDS; i++) {
        pause_ms(20); /* let them come to wait; if they do not, there are fewer threads still */
        if (lib && !off)
            CHECK(kernel_thread_count() <= KERNEL_THREADS_MAX, "expected at most %d, came %d",
                  KERNEL_THREADS_MAX, kernel_thread_count());
        for (int k = 0; k < READERS; k++)
            CHECK(dprintf(pipes[k][1], "%d\n", i) > 0, "dprintf: errno %d", errno);
        wait_until(&passed, (i + 1) * READERS);
    }
    for (int k = 0; k < READERS; k++)
        DONE(close(pipes[k][1]));
    join_all(threads, READERS);
    return 0;
}
