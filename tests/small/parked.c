/* parked.c - threads that stop in functions of telling names, for gdb to find; until stdin ends */
#include "check.h"

#define STAY __attribute__((noinline, noclone)) /* the name shall be in the backtrace */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int stop, arrived;
static volatile unsigned long turns;

static STAY void wait_in_cond(int depth) {
    OK(pthread_mutex_lock(&other));
    while (!stop)
        OK(pthread_cond_wait(&cond, &other));
    OK(pthread_mutex_unlock(&other));
    WANT(depth, 42);
}

static STAY void wait_in_mutex(void) {
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_mutex_unlock(&mutex));
}

static STAY void wait_in_sleep(void) { pause_ms(3600 * 1000); }

static STAY void spin_in_loop(void) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) /* get() would be a frame of its own */
        turns++;
}

static void *cond_thread(void *arg) {
    OK(pthread_setname_np(pthread_self(), "in-cond"));
    add(&arrived, 1);
    wait_in_cond(42);
    return arg;
}

static void *mutex_thread(void *arg) {
    OK(pthread_setname_np(pthread_self(), "in-mutex"));
    add(&arrived, 1);
    wait_in_mutex();
    return arg;
}

static void *sleep_thread(void *arg) {
    OK(pthread_setname_np(pthread_self(), "in-sleep"));
    add(&arrived, 1);
    wait_in_sleep();
    return arg;
}

static void *spin_thread(void *arg) {
    OK(pthread_setname_np(pthread_self(), "spinning"));
    add(&arrived, 1);
    spin_in_loop();
    return arg;
}

static void *dead_thread(void *arg) {
    OK(pthread_setname_np(pthread_self(), "unjoined"));
    add(&arrived, 1);
    return arg;
}

int main(void) {
    check_start();
    char c;
    OK(pthread_mutex_lock(&mutex));
    spawn(sleep_thread, NULL); /* sleeps beyond the end of the process */
    pthread_t threads[] = {spawn(cond_thread, NULL), spawn(mutex_thread, NULL),
                           spawn(dead_thread, NULL), spawn(spin_thread, NULL)};
    wait_until(&arrived, 5);
    pause_ms(50);
    printf("ready\n");
    fflush(stdout);
    while (DONE(read(0, &c, 1)) > 0)
        ;
    unsigned long before = turns;
    for (int ms = 0; turns == before; ms++) {
        CHECK(ms < 10000, "expected the loop to go on, came no turn in 10 s");
        pause_ms(1);
    }
    OK(pthread_mutex_lock(&other));
    set(&stop, 1);
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&other));
    OK(pthread_mutex_unlock(&mutex));
    join_all(threads, 4);
    printf("went on\n");
    return 0;
}
