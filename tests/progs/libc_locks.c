/* libc_locks.c - who waits for a lock that libc takes by itself (a FILE's, an arena's of malloc)
 * waits as a goroutine, without a kernel thread, and is woken whoever drops it: also threads of
 * libc's making, and beside forks and vforks. With patch=off it is as right
 * needs: time */
#include "patch.h"

#include <malloc.h>
#include <signal.h>
#include <spawn.h>

extern char **environ;

enum { WRITERS = 50, LINES = 4, KERNEL_THREADS_MAX = 25 /* 8 Ps' and the runtime's own */ };
enum { HEAPS = 12, FOREIGN = 2, ROUNDS = 4000, HELD = 16, FORKS = 20 };

/* ---- a FILE, whose lock is held while its callback waits ---- */

static int counted, lines_come;

static ssize_t slowly(void *arg, const char *from, size_t n) {
    (void)arg;
    (void)from;
    pause_ms(2);
    if (check_expects("lib") && !counted)
        CHECK(kernel_thread_count() <= KERNEL_THREADS_MAX, "expected at most %d, came %d",
              KERNEL_THREADS_MAX, kernel_thread_count());
    lines_come++;
    return (ssize_t)n;
}

static void *writes(void *arg) {
    for (int i = 0; i < LINES; i++)
        CHECK(fputs("a line\n", arg) >= 0, "fputs: errno %d", errno);
    return NULL;
}

static void one_file(void) {
    FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = slowly});
    CHECK(f && setvbuf(f, NULL, _IONBF, 0) == 0, "fopencookie: errno %d", errno);
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        threads[i] = spawn(writes, f);
    join_all(threads, WRITERS);
    WANT(lines_come, WRITERS * LINES);
    fclose(f);
}

/* ---- malloc with one arena ---- */

static int working, foreign_left;

/* Sizes that no thread keeps for itself. */
static void churn(uint64_t seed) {
    unsigned char *held[HELD] = {0};
    size_t sizes[HELD] = {0};
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&seed);
        int at = (int)(r % HELD);
        if (held[at])
            CHECK(held[at][0] == at && held[at][sizes[at] - 1] == at, "a block was changed");
        free(held[at]);
        sizes[at] = 1200 + (r >> 8) % 6000;
        held[at] = malloc(sizes[at]);
        CHECK(held[at], "malloc failed");
        held[at][0] = held[at][sizes[at] - 1] = (unsigned char)at;
    }
    for (int i = 0; i < HELD; i++)
        free(held[i]);
}

static void *allocates(void *arg) {
    churn(check_seed + (uintptr_t)arg);
    add(&working, -1);
    return arg;
}

/* A thread that is libc's own. */
static void allocates_foreign(union sigval v) {
    churn(check_seed ^ (unsigned)v.sival_int);
    add(&foreign_left, -1);
}

static void start_foreign(int n) {
    struct sigevent by = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = allocates_foreign};
    struct itimerspec soon = {.it_value = {0, 1}};
    timer_t timer;
    by.sigev_value.sival_int = n;
    DONE(timer_create(CLOCK_MONOTONIC, &by, &timer));
    DONE(timer_settime(timer, 0, &soon, NULL));
}

/* Children that share our memory, or a copy of it, and allocate in between. */
static void *makes_children(void *arg) {
    char *const args[] = {(char *)"true", NULL};
    for (int i = 0; i < FORKS || get(&working); i++) {
        pid_t pid;
        if (i % 2)
            OK(posix_spawnp(&pid, "true", NULL, NULL, args, environ));
        else if (!(pid = (pid_t)DONE(fork()))) {
            churn((uint64_t)i);
            _exit(0);
        }
        int status;
        WANT(waitpid(pid, &status, 0), pid);
        WANT(status, 0);
    }
    return arg;
}

static void one_arena(void) {
    pthread_t threads[HEAPS], forker;
    WANT(mallopt(M_ARENA_MAX, 1), 1);
    working = HEAPS;
    foreign_left = FOREIGN;
    for (int i = 0; i < FOREIGN; i++)
        start_foreign(i);
    for (long i = 0; i < HEAPS; i++)
        threads[i] = spawn(allocates, (void *)i);
    forker = spawn(makes_children, NULL);
    join_all(threads, HEAPS);
    join(forker);
    wait_until(&foreign_left, 0);
}

int main(int argc, char **argv) {
    check_start();
    alarm(250);
    if (argc == 1 && check_expects("lib"))
        again(argv[0], "off", "patch=off");
    if (argc > 1)
        counted = 1; /* each takes a kernel thread then */
    one_file();
    if (check_expects("lib") && argc == 1)
        WANT(jumps("__lll_lock_wait_private"), jumps("__lll_lock_wake_private"));
    one_arena();
    return 0;
}
