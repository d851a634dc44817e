/* calls_share_time.c - threads that make one short system call after the other leave time for those
 * that wait for a deadline or were just made */
#include "check.h"

#include <fcntl.h>

static int stop, slept, made;

static void *caller(void *arg) {
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    DONE(fd);
    while (!get(&stop))
        WANT(write(fd, "x", 1), 1);
    close(fd);
    return arg;
}

static void *maker(void *arg) {
    add(&made, 1);
    return arg;
}

static void *sleeper(void *arg) {
    for (int i = 0; i < 10; i++) {
        pause_ms(5);
        join(spawn(maker, NULL));
        add(&slept, 1);
    }
    set(&stop, 1);
    return arg;
}

int main(void) {
    check_start();
    pthread_t callers[8];
    pthread_t one = spawn(sleeper, NULL);
    spawn_all(callers, 8, caller);
    join(one);
    join_all(callers, 8);
    WANT(slept, 10);
    WANT(made, 10);
    return 0;
}
