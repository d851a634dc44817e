/* net_by_number.c - the calls that wait for descriptors, by syscall(): 20 threads wait, another
 * computes meanwhile */
#include "blocked.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static void blocked_wait(int fd, char expect) {
    char c = 0;
    struct iovec v = {&c, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    struct pollfd p = {fd, POLLIN, 0};
    struct timespec t = {30, 0};
    struct timeval tv = {30, 0};
    struct epoll_event ev = {.events = EPOLLIN};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    int e = -1;
    switch (expect % 10) {
    case 0:
        WANT(syscall(SYS_recvfrom, fd, &c, 1, 0, NULL, NULL), 1);
        break;
    case 1:
        WANT(syscall(SYS_recvmsg, fd, &m, 0), 1);
        break;
    case 2:
        WANT(syscall(SYS_readv, fd, &v, 1), 1);
        break;
    case 3:
        WANT(syscall(SYS_poll, &p, 1, -1), 1);
        break;
    case 4:
        WANT(syscall(SYS_ppoll, &p, 1, &t, NULL, 8), 1);
        CHECK(t.tv_sec < 30, "expected ppoll to tell what was left");
        break;
    case 5:
        WANT(syscall(SYS_select, fd + 1, &set, NULL, NULL, &tv), 1);
        break;
    case 6:
        WANT(syscall(SYS_pselect6, fd + 1, &set, NULL, NULL, &t, NULL), 1);
        break;
    case 7:
    case 8:
        e = (int)DONE(syscall(SYS_epoll_create1, 0));
        DONE(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev));
        WANT(expect % 10 == 7 ? syscall(SYS_epoll_wait, e, &ev, 1, -1)
                              : syscall(SYS_epoll_pwait2, e, &ev, 1, &t, NULL, 8),
             1);
        DONE(syscall(SYS_close, e));
        break;
    default:
        break;
    }
    if (expect % 10 > 2)
        WANT(syscall(SYS_read, fd, &c, 1), 1);
    WANT(c, expect);
}

int main(void) {
    check_start();
    blocked_run(true);
    return 0;
}
