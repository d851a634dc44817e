/* pipe_small.c - pipes that hold less than 64 KB, since their user has many or a program wants it
 * so: fifty writers wait for readers as goroutines, with no kernel thread for each; every byte
 * arrives in order */
#include "check.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { PAIRS = 50, PIECE = 1000, PIECES = 30, KERNEL_THREADS_MAX = 25, MANY = 4000 };

static int ends[PAIRS][2], writing;

static void *writer(void *arg) {
    int me = (int)(intptr_t)arg;
    char piece[PIECE];
    add(&writing, 1);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + (me + i) % 26, sizeof piece);
        WANT(write(ends[me][1], piece, sizeof piece), PIECE);
    }
    DONE(close(ends[me][1]));
    return NULL;
}

static void *reader(void *arg) {
    int me = (int)(intptr_t)arg;
    char buffer[3000];
    int received = 0;
    for (long n; (n = DONE(read(ends[me][0], buffer, sizeof buffer))) > 0;)
        for (long i = 0; i < n; i++, received++)
            WANT(buffer[i], 'a' + (me + received / PIECE) % 26);
    WANT(received, PIECE * PIECES);
    DONE(close(ends[me][0]));
    return NULL;
}

static void write_and_read(void) {
    pthread_t writers[PAIRS], readers[PAIRS];
    writing = 0;
    spawn_all(writers, PAIRS, writer);
    wait_until(&writing, PAIRS);
    pause_ms(50); /* none fits: all wait */
    int n = kernel_thread_count();
    if (check_expects("lib"))
        CHECK(n <= KERNEL_THREADS_MAX, "expected at most %d kernel threads, came %d",
              KERNEL_THREADS_MAX, n);
    spawn_all(readers, PAIRS, reader);
    join_all(writers, PAIRS);
    join_all(readers, PAIRS);
}

/* The rights to have more pipes of full size than others. */
static void give_up_rights(void) {
    struct __user_cap_header_struct self = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2];
    DONE(syscall(SYS_capget, &self, caps));
    caps[0].effective &= ~(1U << CAP_SYS_RESOURCE | 1U << CAP_SYS_ADMIN);
    DONE(syscall(SYS_capset, &self, caps));
}

/* Pipes until the user has so many that one more is small. */
static bool one_is_small(void) {
    int p[2];
    for (int many = 0; many < MANY && pipe(p) == 0; many++)
        if (fcntl(p[1], F_GETPIPE_SZ) < 65536)
            return true;
    return false;
}

static void *limit_is_reached(void *arg) {
    for (int i = 0; i < PAIRS; i++) {
        DONE(pipe(ends[i]));
        int size = (int)DONE(fcntl(ends[i][1], F_GETPIPE_SZ));
        CHECK(size <= PIECE * PIECES / 2, "expected a small pipe, came %d bytes", size);
    }
    write_and_read();
    return arg;
}

static void *made_small(void *arg) {
    for (int i = 0; i < PAIRS; i++) {
        DONE(pipe(ends[i]));
        DONE(fcntl(ends[i][i % 2], F_SETPIPE_SZ, 4096));
    }
    write_and_read();
    return arg;
}

int main(void) {
    check_start();
    struct rlimit files;
    DONE(getrlimit(RLIMIT_NOFILE, &files));
    files.rlim_cur = files.rlim_max;
    DONE(setrlimit(RLIMIT_NOFILE, &files));
    give_up_rights();
    join(spawn(made_small, NULL));
    if (!one_is_small())
        check_skip("this user may have any number of pipes of full size, or not enough at all");
    join(spawn(limit_is_reached, NULL));
    return 0;
}
