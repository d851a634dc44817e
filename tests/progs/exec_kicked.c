/* exec_kicked.c - a program becomes another one while its threads compute and send each other
 * signals: nothing that the runtime uses to interrupt its kernel threads arrives in the new one,
 * where it would end it. A hundred times, from the main thread and from others; also execs that fail
 * change nothing, though several threads try at once.
 *
 * Under gthread every goroutine is preempted every 50 us: else it would take an exec of 10 ms. */
#include "util.h"

#include <signal.h>

#define GENERATIONS 100

static char self[PATH_MAX];
static int made, ready, stop, handled;

static void handler(int sig) {
    (void)sig;
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void *computes(void *arg) {
    __atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&made, __ATOMIC_ACQUIRE))
        sched_yield();
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (volatile int i = 0; i < 1000; i++)
            ;
        OK(pthread_kill(*(pthread_t *)arg, SIGUSR1));
    }
    return NULL;
}

static void become(int generation) {
    char number[12];
    snprintf(number, sizeof number, "%d", generation);
    char *argv[] = {self, number, NULL};
    execv(self, argv);
    check_fail("execv: %s", strerror(errno));
}

static void *becomes(void *arg) {
    become(*(int *)arg);
    return NULL;
}

static void *fails(void *arg) {
    char *argv[] = {"nothing", NULL};
    for (int i = 0; i < 200; i++)
        FAILS(execv("/does/not/exist", argv), ENOENT);
    return arg;
}

/* How often the main thread's handler has run: each exec that fails leaves signals as they were. */
static void many_fail(void) {
    pthread_t th[3], main_thread = pthread_self(), sender;
    OK(pthread_create(&sender, NULL, computes, &main_thread));
    __atomic_store_n(&made, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++)
        OK(pthread_create(&th[i], NULL, fails, NULL));
    fails(NULL);
    for (int i = 0; i < 3; i++)
        OK(pthread_join(th[i], NULL));
    int before = __atomic_load_n(&handled, __ATOMIC_RELAXED);
    while (__atomic_load_n(&handled, __ATOMIC_RELAXED) == before)
        sched_yield();
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    OK(pthread_join(sender, NULL));
    __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&ready, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&made, 0, __ATOMIC_RELAXED);
}

int main(int argc, char **argv) {
    int generation = argc > 1 ? atoi(argv[1]) : GENERATIONS;
    check_start();
    self[DONE(readlink("/proc/self/exe", self, sizeof self - 1))] = 0;
    signal(SIGUSR1, handler);
    if (argc == 1) {
        const char *debug = getenv("GTHREAD_DEBUG");
        char text[200];
        snprintf(text, sizeof text, "%s%spreempt=50", debug ? debug : "", debug ? "," : "");
        DONE(setenv("GTHREAD_DEBUG", text, 1));
        many_fail();
    }
    if (generation == 0)
        return 0;
    static pthread_t busy[2]; /* each sends to the other: what is pending for oneself stays so */
    pthread_t th;
    OK(pthread_create(&busy[0], NULL, computes, &busy[1]));
    OK(pthread_create(&busy[1], NULL, computes, &busy[0]));
    __atomic_store_n(&made, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < 2)
        sched_yield();
    generation--;
    if (generation % 2)
        become(generation);
    OK(pthread_create(&th, NULL, becomes, &generation));
    OK(pthread_join(th, NULL));
}
