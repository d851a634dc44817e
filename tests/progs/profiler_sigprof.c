/* profiler_sigprof.c - a profiler: SIGPROF at 1 kHz of CPU time while threads compute, lock, wait
 * and allocate; the handler reads the program counter. For GTHREAD_TEST_SECONDS (1) of CPU time.
 * The samples must fall on the threads that compute needs: time */
#include "check.h"

#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

enum { THREADS = 12 };

static int stop, samples, in_compute;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread volatile int computing;

static void on_prof(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    (void)sig;
    (void)info;
    int e = errno;
    CHECK(uc->uc_mcontext.gregs[REG_RIP], "expected a program counter");
    add(&samples, 1);
    if (computing)
        add(&in_compute, 1);
    errno = e;
}

static void *body(void *arg) {
    uint64_t random = check_seed + (uint64_t)(uintptr_t)arg;
    int null = (int)DONE(dup(2));
    while (!get(&stop)) {
        double x = 1, sum = 0;
        computing = 1;
        for (int i = 1; i < 30000; i++)
            sum += x / i;
        computing = 0;
        CHECK(sum > 10.88 && sum < 10.89, "expected the sum to stay right, came %f", sum);
        OK(pthread_mutex_lock(&lock));
        free(malloc(random_next(&random) % 3000));
        OK(pthread_mutex_unlock(&lock));
        DONE(usleep(100));
    }
    close(null);
    return arg;
}

int main(void) {
    check_start();
    const char *given = getenv("GTHREAD_TEST_SECONDS");
    int seconds = given ? atoi(given) : 1;
    alarm((unsigned)seconds * 10 + 60);
    struct sigaction sa = {.sa_sigaction = on_prof, .sa_flags = SA_SIGINFO | SA_RESTART};
    DONE(sigaction(SIGPROF, &sa, NULL));
    struct itimerval every = {{0, 1000}, {0, 1000}};
    DONE(setitimer(ITIMER_PROF, &every, NULL));
    pthread_t threads[THREADS];
    spawn_all(threads, THREADS, body);
    struct timespec tick = {0, 10000000};
    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < seconds * SECOND_NS)
        nanosleep(&tick, NULL);
    set(&stop, 1);
    join_all(threads, THREADS);
    DONE(setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL));
    /* The kernel's tick is 1 to 10 ms. */
    CHECK(get(&samples) > seconds * 50, "expected samples, came %d", get(&samples));
    CHECK(get(&in_compute) > get(&samples) / 4, "expected samples where it computes, came %d of %d",
          get(&in_compute), get(&samples));
    return 0;
}
