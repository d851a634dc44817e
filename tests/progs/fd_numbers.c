/* fd_numbers.c - the library takes nothing from the program's descriptors: open gives the lowest
 * free number, close-all loops, closefrom and dup2 onto any number leave waiting intact, and so do
 * a lowered limit and a full table */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { READERS = 6 };

static int ends[READERS][2], inside, got;

static void *reader(void *arg) {
    int fd = ends[(intptr_t)arg][0];
    char c;
    add(&inside, 1);
    if ((intptr_t)arg % 2) {
        struct pollfd p = {fd, POLLIN, 0};
        WANT(poll(&p, 1, 30000), 1);
    }
    WANT(read(fd, &c, 1), 1);
    add(&got, 1);
    return NULL;
}

/* Waits work, whatever has been done to the numbers. Some through epoll: a listener's connection is
 * not the process's own pair. */
static void waits_work(void) {
    pthread_t threads[READERS];
    set(&inside, 0);
    set(&got, 0);
    spawn_all(threads, READERS, reader);
    wait_until(&inside, READERS);
    pause_ms(3);
    for (int i = 0; i < READERS; i++)
        WANT(write(ends[i][1], "x", 1), 1);
    join_all(threads, READERS);
    WANT(got, READERS);
}

static int lowest_free(void) {
    int fd = 3;
    while (fcntl(fd, F_GETFD) >= 0)
        fd++;
    return fd;
}

static void open_is_lowest(void) {
    int lowest = lowest_free(), fd = (int)DONE(open("/dev/null", O_RDWR));
    WANT(fd, lowest);
    DONE(close(fd));
}

int main(void) {
    check_start();
    int opened[4096], n = 0;
    struct rlimit lim;
    for (int i = 0; i < READERS; i++)
        DONE(i % 3 ? pipe(ends[i]) : socketpair(AF_UNIX, SOCK_DGRAM, 0, ends[i]));
    /* A duplicate makes it more than a pair of ours. */
    for (int i = 0; i < READERS; i += 2)
        DONE(dup(ends[i][0]));
    waits_work();
    open_is_lowest();
    int top = lowest_free();
    for (int fd = top; fd < 20000; fd++)
        (void)!close(fd); /* what is open there was inherited */
    waits_work();
    closefrom(top);
    waits_work();
    DONE(close_range((unsigned)top, ~0U, 0));
    waits_work();
    DONE(getrlimit(RLIMIT_NOFILE, &lim));
    int limit = lim.rlim_cur < 9000 ? (int)lim.rlim_cur : 9000;
    for (int fd = top; fd < limit; fd++) {
        WANT(dup2(0, fd), fd);
        DONE(close(fd));
    }
    waits_work();
    open_is_lowest();
    lim.rlim_cur = (rlim_t)top + 10;
    DONE(setrlimit(RLIMIT_NOFILE, &lim));
    waits_work();
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;)
        opened[n++] = fd;
    WANT(errno, EMFILE);
    waits_work();
    while (n)
        DONE(close(opened[--n]));
    waits_work();
    return 0;
}
