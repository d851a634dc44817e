/* waits_numbers.c - every number that interpose/syscalls.tab says may wait: a thread in each, all
 * at once, while the others go on; then each gets what the kernel says, also where a signal ends
 * it. See held_call.h for what lets them wait. needs: time
 */
#include "held_call.h"

#include <fcntl.h>
#include <signal.h>

#include "syscalls.h" /* made from the table */

static const char *const names[] = {
#include "syscall_names.h"
};

enum { NUMBERS = sizeof call_classes, LONG_S = 50 };

static int numbers[NUMBERS], count, inside, outside;
static long results[NUMBERS];

/* What a thread does as it begins and ends is no number to be held; these are marked. */
static void *calls(void *arg) {
    intptr_t i = (intptr_t)arg;
    long mark = HELD_MARK;
    add(&inside, 1);
    long r = syscall(numbers[i], mark, mark, mark, mark, mark, mark);
    results[i] = r == -1 ? -errno : r;
    add(&outside, 1);
    return NULL;
}

static void list_numbers(void) {
    for (int nr = 0; nr < NUMBERS; nr++)
        if (nr < (int)(sizeof names / sizeof *names) && names[nr] &&
            (call_classes[nr] == CALL_WAITS || call_classes[nr] == CALL_BORN ||
             call_classes[nr] == CALL_MOVES))
            numbers[count++] = nr;
    CHECK(count > 100, "the table: expected more than 100 numbers that may wait, came %d", count);
}

static void all_held(pthread_t *threads) {
    inside = outside = 0;
    set(&held->released, 0);
    int before = get(&held->count);
    spawn_all(threads, count, calls);
    for (int ms = 0; get(&held->count) - before < count; ms++) {
        CHECK(ms < LONG_S * 1000, "of %d calls only %d wait", count, get(&held->count) - before);
        pause_ms(1);
    }
    pause_ms(5);
    WANT(get(&outside), 0);
}

static void all_gave(long want) {
    for (int i = 0; i < count; i++)
        CHECK(results[i] == want, "%s: expected %ld, came %ld", names[numbers[i]], want,
              results[i]);
}

static void handler(int sig) { (void)sig; }

int main(int argc, char **argv) {
    (void)argc;
    check_start();
    pthread_t threads[NUMBERS];
    list_numbers();
    held_start(argv, numbers, (size_t)count);

    all_held(threads);
    set(&held->released, 1);
    join_all(threads, count);
    all_gave(-HELD_ERROR);

    struct sigaction sa = {.sa_handler = handler};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    all_held(threads);
    for (int i = 0; i < count; i++)
        OK(pthread_kill(threads[i], SIGUSR1));
    join_all(threads, count);
    all_gave(-EINTR);
    set(&held->released, 1);
    return 0;
}
