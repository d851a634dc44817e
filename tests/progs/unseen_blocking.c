/* unseen_blocking.c - threads that block where no call announces it (fgets on a pipe, a read by an
 * inline system call, a FILE that another thread has locked) keep nobody from running: who ends
 * their wait does so, with fewer processors than blocked threads needs: time */
#include "check.h"

#include <sys/syscall.h>

enum { EACH = 6, ROUNDS = 5 };

static int pipes[2 * EACH][2], passed;
static FILE *shared;

static long raw_read(int fd, void *buf, size_t n) {
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(SYS_read), "D"(fd), "S"(buf), "d"(n)
                     : "rcx", "r11", "memory");
    return r;
}

static void *in_stdio(void *arg) {
    char line[32];
    FILE *f = fdopen(pipes[(long)arg][0], "r");
    CHECK(f, "fdopen: errno %d", errno);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(fgets(line, sizeof line, f), "expected a line");
        WANT(atoi(line), i);
        add(&passed, 1);
    }
    fclose(f);
    return NULL;
}

static void *in_line(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        char c = 0;
        long r = raw_read(pipes[(long)arg][0], &c, 1);
        WANT(r, 1);
        WANT(c, 'a' + i);
        add(&passed, 1);
    }
    return NULL;
}

static void *in_file_lock(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        flockfile(shared);
        usleep(2000); /* the others wait for the lock in the kernel */
        fprintf(shared, "%ld %d\n", (long)arg, i);
        funlockfile(shared);
        add(&passed, 1);
    }
    return NULL;
}

static void *writes(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        usleep(3000);
        for (int k = 0; k < EACH; k++) {
            char c = (char)('a' + i);
            CHECK(dprintf(pipes[k][1], "%d\n", i) > 0, "dprintf: errno %d", errno);
            WANT(write(pipes[EACH + k][1], &c, 1), 1);
        }
        int want = (i + 1) * 2 * EACH;
        while (get(&passed) < want)
            usleep(100);
    }
    return arg;
}

int main(void) {
    check_start();
    pthread_t threads[3 * EACH + 1];
    char name[] = "/tmp/unseen_blocking.XXXXXX";
    shared = fdopen((int)DONE(mkstemp(name)), "w");
    for (int i = 0; i < 2 * EACH; i++)
        DONE(pipe(pipes[i]));
    for (long i = 0; i < EACH; i++) {
        threads[3 * i] = spawn(in_stdio, (void *)i);
        threads[3 * i + 1] = spawn(in_line, (void *)(EACH + i));
        threads[3 * i + 2] = spawn(in_file_lock, (void *)i);
    }
    threads[3 * EACH] = spawn(writes, NULL);
    join_all(threads, 3 * EACH + 1);
    WANT(get(&passed), 3 * EACH * ROUNDS);
    fclose(shared);
    unlink(name);
    return 0;
}
