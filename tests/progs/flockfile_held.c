/* flockfile_held.c - a thread that has locked a FILE and waits, in any way, keeps the others out of
 * it for just so long: who ends its wait comes to run though more threads than processors want the
 * FILE; afterwards it is still the owner, and may lock it again; no kernel thread is lost to this
 */
#include "held.h"

enum { N = 12, ROUNDS = 4 * HELD_WAYS };

static FILE *file;
static int stop, lines, refused;

static void *prints(void *arg) {
    while (!get(&stop)) {
        CHECK(fprintf(file, "other %ld\n", (long)arg) > 0, "fprintf: errno %d", errno);
        add(&lines, 1);
        pause_ms(1);
    }
    return arg;
}

static void *tries(void *arg) {
    while (!get(&stop)) {
        if (ftrylockfile(file))
            add(&refused, 1);
        else
            funlockfile(file);
        pause_ms(1);
    }
    return arg;
}

static void hold(int round) {
    flockfile(file);
    fprintf(file, "begin %d\n", round);
    int refused_before = get(&refused);
    held_wait((enum held_way)(round % HELD_WAYS));
    if (round % HELD_WAYS == HELD_SLEEP)
        wait_until(&refused, refused_before + 1);
    WANT(ftrylockfile(file), 0);
    flockfile(file);
    putc_unlocked('=', file);
    putc('\n', file);
    funlockfile(file);
    funlockfile(file);
    fprintf(file, "end %d\n", round);
    funlockfile(file);
}

/* Between begin and end there is only what the holder wrote. */
static void verify(const char *name) {
    char line[64];
    int others = 0, round;
    FILE *f = fopen(name, "r");
    CHECK(f, "fopen: errno %d", errno);
    for (int want = 0; fgets(line, sizeof line, f);) {
        if (strncmp(line, "other ", 6) == 0) {
            others++;
            continue;
        }
        CHECK(sscanf(line, "begin %d", &round) == 1 && round == want++, "came %s", line);
        CHECK(fgets(line, sizeof line, f) && strcmp(line, "=\n") == 0, "came %s", line);
        CHECK(fgets(line, sizeof line, f) && sscanf(line, "end %d", &round) == 1, "came %s", line);
    }
    WANT(round, ROUNDS - 1);
    WANT(others, get(&lines));
    fclose(f);
}

int main(void) {
    check_start();
    char name[] = "/tmp/flockfile_held.XXXXXX";
    pthread_t threads[N], trier;
    file = fdopen((int)DONE(mkstemp(name)), "w");
    CHECK(file, "fdopen: errno %d", errno);
    held_start();
    spawn_all(threads, N, prints);
    trier = spawn(tries, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        int before = get(&lines);
        hold(round);
        wait_until(&lines, before + N); /* those who waited have had it */
        held_kernel_threads(N);
    }
    set(&stop, 1);
    join_all(threads, N);
    join(trier);
    held_end();
    fclose(file);
    verify(name);
    unlink(name);
    return 0;
}
