/* block_read.c - 20 threads blocked in read() on pipes leave the processor to another */
#include "blocked.h"

static void blocked_wait(int fd, char expect) { blocked_take(fd, expect); }

static void *reads_end(void *arg) {
    char c;
    WANT(read(blocked_ends[(intptr_t)arg][0], &c, 1), 0); /* the other end is closed */
    return NULL;
}

int main(void) {
    check_start();
    pthread_t threads[BLOCKED];
    blocked_run(false);
    spawn_all(threads, BLOCKED, reads_end);
    pause_ms(10);
    for (int i = 0; i < BLOCKED; i++)
        DONE(close(blocked_ends[i][1]));
    join_all(threads, BLOCKED);
    return 0;
}
