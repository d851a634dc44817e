/* net_flags.c - what the program has set on a descriptor holds: O_NONBLOCK (by fcntl, ioctl, a
 * duplicate, at birth), which a blocking call never changes, SO_RCVTIMEO and SO_SNDTIMEO,
 * SO_RCVLOWAT, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL; EPIPE and SIGPIPE */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int ends[2], sigpipes;
static void *volatile nowhere = (void *)8; /* no memory is there */

static void remake(void) {
    if (ends[0]) {
        close(ends[0]);
        close(ends[1]);
    }
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static void *write_later(void *text) {
    pause_ms(20);
    for (const char *c = text; *c; c++) {
        WANT(write(ends[1], c, 1), 1);
        pause_ms(2);
    }
    return NULL;
}

static void nonblocking(void) {
    char c;
    int on = 1, off = 0;
    remake();
    int d = (int)DONE(dup(ends[0]));
    pthread_t t = spawn(write_later, "x");
    WANT(read(ends[0], &c, 1), 1);
    join(t);
    WANT(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0); /* having waited leaves it alone */
    DONE(fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK));
    FAILS(read(ends[0], &c, 1), EAGAIN);
    FAILS(recv(d, &c, 1, 0), EAGAIN);
    DONE(ioctl(d, FIONBIO, &off));
    t = spawn(write_later, "y");
    WANT(recv(ends[0], &c, 1, 0), 1);
    join(t);
    DONE(ioctl(ends[0], FIONBIO, &on));
    FAILS(recv(ends[0], &c, 1, 0), EAGAIN);
    FAILS(readv(d, &(struct iovec){&c, 1}, 1), EAGAIN);
    DONE(close(d));
    int p[2];
    DONE(pipe2(p, O_NONBLOCK));
    FAILS(read(p[0], &c, 1), EAGAIN);
    char big[100000] = {0};
    CHECK(write(p[1], big, sizeof big) < (long)sizeof big, "expected a part to be written");
    FAILS(write(p[1], big, sizeof big), EAGAIN);
    DONE(close(p[0]));
    DONE(close(p[1]));
    int s[2];
    DONE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    FAILS(read(s[0], &c, 1), EAGAIN);
    while (write(s[1], big, sizeof big) > 0)
        continue;
    WANT(errno, EAGAIN);
    DONE(close(s[0]));
    DONE(close(s[1]));
}

static void timeouts(void) {
    char big[100000] = {0}, c;
    remake();
    struct timeval limit = {0, 60000};
    DONE(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    DONE(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    struct timespec at = time_in(CLOCK_MONOTONIC, 50);
    FAILS(read(ends[0], &c, 1), EAGAIN);
    NOT_EARLY(CLOCK_MONOTONIC, at);
    long sent, all = 0;
    while ((sent = write(ends[0], big, sizeof big)) > 0)
        all += sent;
    WANT(errno, EAGAIN);
    CHECK(all > 0, "expected some to be sent before the time-out");
    DONE(fcntl(ends[1], F_SETFL, O_RDWR | O_NONBLOCK));
    for (long n; (n = read(ends[1], big, sizeof big)) > 0;)
        all -= n;
    WANT(all, 0);
}

static void flags(void) {
    char buf[8] = {0};
    remake();
    FAILS(recv(ends[0], buf, 4, MSG_DONTWAIT), EAGAIN);
    pthread_t t = spawn(write_later, "abcdefg");
    WANT(recv(ends[0], buf, 4, MSG_WAITALL), 4);
    CHECK(memcmp(buf, "abcd", 4) == 0, "expected abcd, came %.4s", buf);
    WANT(recv(ends[0], buf, 1, MSG_PEEK), 1);
    WANT(recv(ends[0], buf + 1, 1, MSG_PEEK), 1);
    WANT(buf[0], 'e');
    WANT(buf[1], 'e');
    WANT(recv(ends[0], buf, 3, MSG_WAITALL), 3);
    CHECK(memcmp(buf, "efg", 3) == 0, "expected efg, came %.3s", buf);
    join(t);
    t = spawn(write_later, "hi");
    struct iovec v[2] = {{buf, 1}, {buf + 1, 1}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    WANT(recvmsg(ends[0], &m, MSG_WAITALL), 2);
    join(t);
    WANT(read(ends[0], buf, 0), 0);
    WANT(write(ends[1], "zz", 2), 2);
    DONE(shutdown(ends[1], SHUT_WR));
    WANT(recv(ends[0], buf, 4, MSG_WAITALL), 2); /* what there is before the end */
    WANT(recv(ends[0], buf, 4, MSG_WAITALL), 0);
}

static void on_sigpipe(int sig) {
    (void)sig;
    sigpipes++;
}

static void broken(void) {
    signal(SIGPIPE, on_sigpipe);
    int p[2];
    remake();
    DONE(close(ends[1]));
    FAILS(write(ends[0], "x", 1), EPIPE);
    FAILS(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    DONE(pipe(p));
    DONE(close(p[0]));
    FAILS(write(p[1], "x", 1), EPIPE);
    WANT(sigpipes, 2);
    DONE(close(p[1]));
    FAILS(read(p[1], nowhere, 1), EBADF);
    FAILS(write(-1, "x", 1), EBADF);
    FAILS(recv(0x7fffffff, p, 1, 0), EBADF);
    DONE(pipe(p));
    FAILS(write(p[1], nowhere, 1), EFAULT);
    WANT(write(p[1], "x", 1), 1);
    FAILS(read(p[0], nowhere, 1), EFAULT);
    FAILS(recv(p[0], p, 1, 0), ENOTSOCK);
    FAILS(accept(p[0], NULL, NULL), ENOTSOCK);
    DONE(open("/dev/null", O_RDWR)); /* takes ends[1]'s number, for remake */
}

static void *all(void *arg) {
    for (int i = 0; i < 3; i++) {
        nonblocking();
        timeouts();
        flags();
    }
    broken();
    return arg;
}

int main(void) {
    check_start();
    join(spawn(all, NULL));
    return 0;
}
