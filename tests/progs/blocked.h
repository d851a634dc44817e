/* blocked.h - many threads that each block in a system call, and another that computes meanwhile
 *
 * 20 threads are more than any of the configurations' Ps: were a blocked thread to keep its P, the
 * computing one would never get to run, and the watchdog would end the program.
 */
#ifndef BLOCKED_H
#define BLOCKED_H

#include "check.h"

#include <sys/socket.h>

enum { BLOCKED = 20, BLOCKED_ROUNDS = 3 };

static int blocked_ends[BLOCKED][2]; /* [0] is waited on, [1] is written to */
static int blocked_arrived, blocked_done;

/* Some work that needs the processor, and no call. */
static inline unsigned compute(void) {
    volatile unsigned x = 1;
    for (int i = 0; i < 2000000; i++)
        x = x * 1664525 + 1013904223;
    return x;
}

static inline void blocked_write(int i, char c) { WANT(write(blocked_ends[i][1], &c, 1), 1); }

/* Waits by the program's own means, then reads the byte that must be there. */
static void blocked_wait(int fd, char expect);

static void *blocked_reader(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int r = 0; r < BLOCKED_ROUNDS; r++) {
        add(&blocked_arrived, 1);
        blocked_wait(blocked_ends[me][0], (char)('a' + me + r));
        add(&blocked_done, 1);
    }
    return NULL;
}

static void *blocked_writer(void *arg) {
    for (int r = 0; r < BLOCKED_ROUNDS; r++) {
        wait_until(&blocked_arrived, BLOCKED * (r + 1));
        compute();
        WANT(get(&blocked_done), BLOCKED * r); /* none got what was not written yet */
        for (int i = BLOCKED - 1; i >= 0; i--)
            blocked_write(i, (char)('a' + i + r));
        wait_until(&blocked_done, BLOCKED * (r + 1));
    }
    return arg;
}

static inline void blocked_make(bool sockets) {
    for (int i = 0; i < BLOCKED; i++)
        DONE(sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, blocked_ends[i])
                     : pipe(blocked_ends[i]));
}

static inline void blocked_run(bool sockets) {
    pthread_t threads[BLOCKED];
    blocked_make(sockets);
    spawn_all(threads, BLOCKED, blocked_reader);
    join(spawn(blocked_writer, NULL));
    join_all(threads, BLOCKED);
}

/* The next byte, which is there already. */
static inline void blocked_take(int fd, char expect) {
    char c = 0;
    WANT(read(fd, &c, 1), 1);
    WANT(c, expect);
}

#endif
