/* computing_moves.c - threads that compute come to all processors in turn, also where the number of
 * these divides theirs. Each always came to the same one, and with it to the same CPU: if another
 * is twice as fast, those that have that one count twice as far
 * needs: time */
#include "check.h"

#include <sys/syscall.h>

enum { THREADS = 16, KERNEL_THREADS = 64, LOOKS_EVERY = 20000, MOST_PERCENT = 85, TRIES = 3 };

static int stop;
static int tids[KERNEL_THREADS]; /* 0: free */
/* How often each thread found itself on which kernel thread. */
static int found[THREADS][KERNEL_THREADS];

/* The kernel's answer, whatever the library says. */
static int kernel_tid(void) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "0"(SYS_gettid) : "rcx", "r11", "memory");
    return (int)r;
}

static int place_of(int tid) {
    for (int i = 0; i < KERNEL_THREADS; i++) {
        int free = 0;
        if (get(&tids[i]) == tid ||
            __atomic_compare_exchange_n(&tids[i], &free, tid, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST) ||
            free == tid)
            return i;
    }
    check_fail("expected at most %d kernel threads", KERNEL_THREADS);
}

static void *compute(void *arg) {
    int *mine = found[(long)arg];
    while (!get(&stop)) {
        for (volatile int i = 0; i < LOOKS_EVERY; i++)
            ;
        mine[place_of(kernel_tid())]++;
    }
    return NULL;
}

/* How many threads were on that one at all. */
static int users_of(int place) {
    int n = 0;
    for (int i = 0; i < THREADS; i++)
        n += found[i][place] > 0;
    return n;
}

/* The most of its time, in percent, that any thread was on one kernel thread. 0: they do not share
 * several. */
static int most_on_one(void) {
    pthread_t threads[THREADS];
    memset(found, 0, sizeof found);
    memset(tids, 0, sizeof tids);
    set(&stop, 0);
    for (long i = 0; i < THREADS; i++)
        threads[i] = spawn(compute, (void *)i);
    pause_ms(2000);
    set(&stop, 1);
    join_all(threads, THREADS);
    int shared = 0, most = 0;
    for (int k = 0; k < KERNEL_THREADS; k++)
        shared += users_of(k) > 1;
    for (int i = 0; i < THREADS && shared > 1; i++) {
        int all = 0, max = 0;
        for (int k = 0; k < KERNEL_THREADS; k++) {
            all += found[i][k];
            max = found[i][k] > max ? found[i][k] : max;
        }
        if (all && max * 100LL / all > most)
            most = (int)(max * 100LL / all);
    }
    return most;
}

int main(void) {
    check_start();
    alarm(100);
    const char *debug = getenv("GTHREAD_DEBUG");
    if (debug && strstr(debug, "chaos="))
        check_skip("the seed decides where they run");
    int best = 100;
    for (int tries = 0; tries < TRIES && best > MOST_PERCENT; tries++) {
        int most = most_on_one();
        best = most < best ? most : best;
    }
    CHECK(best <= MOST_PERCENT, "expected all to move, one was for %d %% on one kernel thread",
          best);
    return 0;
}
