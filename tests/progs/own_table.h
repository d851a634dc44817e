/* own_table.h - a descriptor table of one's own: what the tests of it share */
#ifndef OWN_TABLE_H
#define OWN_TABLE_H

#include "util.h"

#include <sys/socket.h>
#include <sys/syscall.h>

enum { FREE = 3000000, WAYS = 4 };

/* The calling thread gets one, in one of several ways. */
static inline void get_own_table(int way) {
    switch (way % WAYS) {
    case 0:
        DONE(unshare(CLONE_FILES));
        break;
    case 1:
        DONE(syscall(SYS_unshare, CLONE_FILES));
        break;
    case 2:
        DONE(close_range(FREE, ~0U, CLOSE_RANGE_UNSHARE));
        break;
    default:
        DONE(syscall(SYS_close_range, FREE, ~0U, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC));
    }
}

static inline void ends_make(bool socket, int fd[2]) {
    DONE(socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, fd) : pipe(fd));
}

static inline void send_char(int fd, char c) { WANT(write(fd, &c, 1), 1); }

static inline void get_char(int fd, char want) {
    char c = 0;
    WANT(read(fd, &c, 1), 1);
    WANT(c, want);
}

#endif
