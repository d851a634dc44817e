/* held_cancelled.c - a thread is cancelled while it waits with a lock of libc's held: one that it
 * has locked itself (flockfile), the one of a stream whose function waits (fopencookie), the
 * loader's (dl_iterate_phdr). The lock is free then, and those who waited for it get it */
#include "check.h"

#include <link.h>
#include <semaphore.h>

enum { OTHERS = 8, ROUNDS = 5 };

static FILE *file, *stream;
static sem_t never;
static int inside, coming, next_letter, had[26];

static void wait_for_ever(void) {
    set(&inside, 1);
    for (;;)
        sem_wait(&never);
}

/* ---- the three locks: who holds it, and others who want it ---- */

static void unlock(void *arg) { funlockfile(arg); }

static void *holds_file(void *arg) {
    flockfile(file);
    pthread_cleanup_push(unlock, file);
    fputs("held", file);
    wait_for_ever();
    pthread_cleanup_pop(0);
    return arg;
}

static void *wants_file(void *arg) {
    add(&coming, 1);
    CHECK(fputs("other", file) >= 0, "fputs: errno %d", errno);
    return arg;
}

/* One letter after the other; the first who comes waits. */
static ssize_t read_letter(void *cookie, char *buf, size_t n) {
    if (__atomic_exchange_n((int *)cookie, 0, __ATOMIC_SEQ_CST))
        wait_for_ever();
    *buf = (char)('a' + next_letter++);
    return n > 0;
}

static void *reads(void *arg) {
    add(&coming, 1);
    int c = fgetc(stream);
    CHECK(c >= 'a' && c <= 'z', "expected a letter, came %d", c);
    add(&had[c - 'a'], 1);
    return arg;
}

static int waits_in(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)info, (void)size, (void)arg;
    wait_for_ever();
    return 0;
}

static int counts(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)info, (void)size;
    ++*(int *)arg;
    return 0;
}

static void *holds_list(void *arg) {
    dl_iterate_phdr(waits_in, NULL);
    return arg;
}

static void *wants_list(void *arg) {
    int n = 0;
    add(&coming, 1);
    WANT(dl_iterate_phdr(counts, &n), 0);
    CHECK(n >= 3, "expected 3 objects or more, came %d", n);
    return arg;
}

/* ---- the same for each ---- */

static void cancel(pthread_t holder) {
    OK(pthread_cancel(holder));
    CHECK(join(holder) == PTHREAD_CANCELED, "expected the holder to be cancelled");
}

static void try_lock(void *(*holds)(void *), void *(*wants)(void *)) {
    pthread_t threads[OTHERS];
    set(&inside, 0);
    set(&coming, 0);
    pthread_t holder = spawn(holds, NULL);
    wait_until(&inside, 1);
    spawn_all(threads, OTHERS, wants);
    wait_until(&coming, OTHERS);
    if (check_seed++ % 2)
        pause_ms(5); /* they sleep; else some still come */
    cancel(holder);
    join_all(threads, OTHERS);
    CHECK(wants(NULL) == NULL, "the lock is not free");
}

static void test_stream(void) {
    int waits = 1;
    stream = fopencookie(&waits, "r", (cookie_io_functions_t){.read = read_letter});
    CHECK(stream, "fopencookie: errno %d", errno);
    setvbuf(stream, NULL, _IONBF, 0);
    next_letter = 0;
    memset(had, 0, sizeof had);
    try_lock(reads, reads);
    for (int i = 0; i <= OTHERS; i++)
        WANT(had[i], 1);
    fclose(stream);
}

static void *waits(void *arg) {
    wait_for_ever();
    return arg;
}

int main(void) {
    check_start();
    sem_init(&never, 0, 0);
    file = tmpfile();
    CHECK(file, "tmpfile: errno %d", errno);
    pthread_t first = spawn(waits, NULL);
    cancel(first); /* libc loads what unwinds: later it would want the loader's lock for that */
    for (int i = 0; i < ROUNDS; i++) {
        try_lock(holds_file, wants_file);
        test_stream();
        try_lock(holds_list, wants_list);
    }
    WANT(ftell(file), ROUNDS * (4 + 5 * (OTHERS + 1)));
    fclose(file);
    return 0;
}
