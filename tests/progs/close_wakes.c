/* close_wakes.c - needs: lib. close and dup2 of what threads wait on: their calls fail with EBADF,
 * poll says POLLNVAL; on NPTL they would wait on for what nobody can send */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { WAYS = 7 };

static int fd, inside;

static void *waiter(void *arg) {
    char c;
    struct pollfd p = {fd, POLLIN, 0};
    struct epoll_event ev;
    struct iovec v = {&c, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    set(&inside, 1);
    switch ((intptr_t)arg) {
    case 0:
        FAILS(read(fd, &c, 1), EBADF);
        break;
    case 1:
        FAILS(recv(fd, &c, 1, 0), EBADF);
        break;
    case 2:
        FAILS(recvmsg(fd, &m, 0), EBADF);
        break;
    case 3:
        FAILS(accept(fd, NULL, NULL), EBADF);
        break;
    case 4:
        FAILS(readv(fd, &v, 1), EBADF);
        break;
    case 5:
        WANT(poll(&p, 1, -1), 1);
        WANT(p.revents, POLLNVAL);
        break;
    default:
        FAILS(epoll_wait(fd, &ev, 1, -1), EBADF);
    }
    return NULL;
}

static int make(int way, int *other) {
    int ends[2];
    *other = -1;
    if (way == 6)
        return (int)DONE(epoll_create1(0));
    if (way == 3) {
        struct sockaddr a = {.sa_family = AF_UNIX};
        int s = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
        DONE(bind(s, &a, sizeof(sa_family_t)));
        DONE(listen(s, 1));
        return s;
    }
    DONE(way == 0 || way == 4 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    *other = ends[1];
    return ends[0];
}

static void *joined_by_all(void *arg) { return arg; }

int main(void) {
    check_start();
    join(spawn(joined_by_all, NULL)); /* the runtime is there before the first descriptor */
    for (int i = 0; i < 4 * WAYS; i++) {
        int other;
        fd = make(i % WAYS, &other);
        set(&inside, 0);
        pthread_t thread = spawn(waiter, as_pointer(i % WAYS));
        wait_until(&inside, 1);
        pause_ms(2);
        if (i % WAYS != 5 && i / WAYS % 2) {
            int null = (int)DONE(open("/dev/null", O_RDONLY));
            DONE(dup2(null, fd));
            join(thread);
            DONE(close(null));
            DONE(close(fd));
        } else {
            DONE(close(fd));
            join(thread);
        }
        if (other >= 0)
            DONE(close(other));
    }
    return 0;
}
