/* main_pthread_exit.c - main leaves by pthread_exit, the others go on, the last one ends it all: 0
 */
#include "util.h"

static pthread_t main_thread;
static pthread_key_t key;
static int cleaned, destroyed, out[2];

static void clean(void *arg) { add(arg, 1); }

static void destroy(void *value) {
    (void)value;
    add(&destroyed, 1);
}

static void handler(void) { WANT(write(out[1], "handled", 7), 7); }

static void *brief(void *arg) { return arg; }

static void *last(void *arg) {
    void *result;
    OK(pthread_join(main_thread, &result)); /* main can be joined like any other */
    WANT(result, 17);
    WANT(cleaned, 1);
    WANT(destroyed, 1);
    pause_ms(20);
    for (int i = 0; i < 5; i++)
        join(spawn(brief, NULL)); /* threads are still to be had */
    WANT(write(out[1], "last,", 5), 5);
    return arg;
}

static void *other(void *arg) {
    pause_ms(5 * (int)(intptr_t)arg);
    sched_yield();
    return NULL;
}

static void process(void) {
    pthread_t threads[5];
    alarm(50);
    atexit(handler);
    main_thread = pthread_self();
    OK(pthread_key_create(&key, destroy));
    OK(pthread_setspecific(key, &key));
    spawn(last, as_pointer(3)); /* its result is not the process's status */
    spawn_all(threads, 5, other);
    pthread_cleanup_push(clean, &cleaned);
    pthread_exit(as_pointer(17));
    pthread_cleanup_pop(0);
}

int main(void) {
    check_start();
    char text[50] = "";
    DONE(pipe(out));
    pid_t pid = (pid_t)DONE(fork()); /* before there are threads */
    if (pid == 0)
        process();
    DONE(close(out[1]));
    child_exits(pid, 0);
    for (long n = 1, at = 0; n > 0; at += n)
        n = DONE(read(out[0], text + at, sizeof text - 1 - (size_t)at));
    CHECK(strcmp(text, "last,handled") == 0, "expected last,handled, came %s", text);
    return 0;
}
