/* held_fork_exit.c - a process forks, and exits, while a thread waits in a stream's function
 * (fopencookie) with libc's locks held: fork waits for the list of streams, which fflush(NULL) has,
 * the child may use stdio and threads at once, with a stream that was locked too; exit waits for
 * nobody */
#include "util.h"

#include <semaphore.h>

enum { FORKERS = 4, OPENERS = 4, ROUNDS = 5, CHILD_S = 50 };

static sem_t go;
static FILE *slow, *file;
static int inside, coming;

static ssize_t write_slowly(void *cookie, const char *from, size_t n) {
    (void)cookie, (void)from;
    set(&inside, 1);
    while (sem_wait(&go))
        ;
    return (ssize_t)n;
}

/* For a stream that has nothing to be written at exit. */
static ssize_t read_slowly(void *cookie, char *to, size_t n) {
    *to = 0;
    return write_slowly(cookie, to, n) > 0;
}

static void *reads(void *stream) {
    getc(stream);
    return NULL;
}

static void *flushes(void *all) {
    WANT(fflush(all ? NULL : slow), 0);
    return NULL;
}

static void *opens(void *arg) {
    char line[100];
    add(&coming, 1);
    FILE *f = fopen("/proc/self/status", "r");
    CHECK(f, "fopen: errno %d", errno);
    CHECK(fgets(line, sizeof line, f), "expected a line");
    OK(fclose(f));
    return arg;
}

/* What a child does with all that its parent's threads had locked. */
static void child(void) {
    alarm(CHILD_S);
    free(malloc(1 << 20));
    join(spawn(opens, NULL));
    opens(NULL);
    WANT(fprintf(file, "child\n"), 6);
    WANT(fflush(file), 0);
    sem_post(&go);
    fputs("child\n", slow); /* not the parent's lock: nobody has it here */
    _exit(7);
}

static void *forks(void *arg) {
    add(&coming, 1);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid)
        child();
    child_exits(pid, 7);
    return arg;
}

static void begin(bool all) {
    set(&inside, 0);
    set(&coming, 0);
    CHECK(fputs("parent\n", slow) >= 0, "fputs: errno %d", errno);
    pthread_t flusher = spawn(flushes, as_pointer(all));
    OK(pthread_detach(flusher));
    wait_until(&inside, 1);
}

/* fflush(NULL) has the list: both forks and fopen wait. */
static void test_list(void) {
    pthread_t forkers[FORKERS], openers[OPENERS];
    begin(true);
    spawn_all(forkers, FORKERS, forks);
    spawn_all(openers, OPENERS, opens);
    wait_until(&coming, FORKERS + OPENERS);
    pause_ms(5); /* they wait, or still come */
    sem_post(&go);
    join_all(openers, OPENERS);
    join_all(forkers, FORKERS);
}

/* fflush has the one stream: nobody waits for it. */
static void test_stream(void) {
    pthread_t forkers[FORKERS];
    begin(false);
    spawn_all(forkers, FORKERS, forks);
    join_all(forkers, FORKERS);
    sem_post(&go);
    flockfile(slow); /* the flusher is through */
    funlockfile(slow);
}

static void test_exit(void) {
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        alarm(CHILD_S);
        FILE *f = fopencookie(NULL, "r", (cookie_io_functions_t){.read = read_slowly});
        CHECK(f, "fopencookie: errno %d", errno);
        set(&inside, 0);
        OK(pthread_detach(spawn(reads, f)));
        wait_until(&inside, 1);
        exit(9);
    }
    child_exits(pid, 9);
}

int main(void) {
    check_start();
    sem_init(&go, 0, 0);
    file = tmpfile();
    CHECK(file, "tmpfile: errno %d", errno);
    slow = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_slowly});
    CHECK(slow, "fopencookie: errno %d", errno);
    for (int i = 0; i < ROUNDS; i++) {
        test_list();
        test_stream();
    }
    test_exit();
    return 0;
}
