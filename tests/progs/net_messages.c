/* net_messages.c - datagrams and packets: message borders, empty messages, addresses, several at a
 * time, receivers that are full, in UDP, unix datagrams and SOCK_SEQPACKET */
#include "check.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { MESSAGES = 400 };

static int from, to;

static void *sender(void *arg) {
    char buf[256];
    for (int i = 0; i < MESSAGES; i++) {
        memset(buf, i, sizeof buf);
        size_t n = (size_t)i % 100 + 1;
        if (i % 3)
            WANT(send(from, buf, n, 0), n);
        else
            WANT(write(from, buf, n), n);
        if (i % 50 == 0)
            pause_ms(1);
    }
    return arg;
}

static void *receiver(void *arg) {
    char buf[256];
    for (int i = 0; i < MESSAGES; i++) {
        long n = i % 2 ? recv(to, buf, sizeof buf, 0) : read(to, buf, sizeof buf);
        WANT(n, i % 100 + 1);
        WANT(buf[n - 1], (char)i);
        if (i % 64 == 0)
            pause_ms(2); /* lets it fill */
    }
    return arg;
}

static void stream_of_messages(void) {
    pthread_t s = spawn(sender, NULL), r = spawn(receiver, NULL);
    join(s);
    join(r);
}

static int third; /* the third message may be sent */

static void *several_sender(void *arg) {
    char text[4] = "abc";
    struct iovec v[3] = {{text, 1}, {text, 2}, {text, 3}};
    struct mmsghdr m[3] = {{.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = v + 1, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = v + 2, .msg_iovlen = 1}}};
    pause_ms(10);
    WANT(sendmmsg(from, m, 2, 0), 2);
    pause_ms(10);
    wait_until(&third, 1);
    WANT(sendmmsg(from, m + 2, 1, 0), 1);
    return arg;
}

static void several(void) {
    char buf[3][8];
    struct iovec v[3] = {{buf[0], 8}, {buf[1], 8}, {buf[2], 8}};
    struct mmsghdr m[3] = {{.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = v + 1, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = v + 2, .msg_iovlen = 1}}};
    set(&third, 1);
    pthread_t t = spawn(several_sender, NULL);
    WANT(recvmmsg(to, m, 3, 0, NULL), 3); /* waits for all of them */
    for (int i = 0; i < 3; i++)
        WANT(m[i].msg_len, i + 1);
    join(t);
    set(&third, 0);
    t = spawn(several_sender, NULL);
    int n = recvmmsg(to, m, 3, MSG_WAITFORONE, NULL);
    CHECK(n == 1 || n == 2, "expected what came first, came %d", n);
    set(&third, 1);
    join(t);
    for (int left = 3 - n; left; left--)
        DONE(recv(to, buf, 8, 0));
}

static void *empty_sender(void *arg) {
    pause_ms(5);
    WANT(send(from, "", 0, 0), 0);
    WANT(send(from, "x", 1, 0), 1);
    return arg;
}

static void empty_ones(void) {
    char c;
    pthread_t t = spawn(empty_sender, NULL);
    WANT(recv(to, &c, 1, 0), 0);
    WANT(recv(to, &c, 1, 0), 1);
    join(t);
}

static void udp(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, who;
    socklen_t len = sizeof a;
    char c;
    to = (int)DONE(socket(AF_INET, SOCK_DGRAM, 0));
    from = (int)DONE(socket(AF_INET, SOCK_DGRAM, 0));
    DONE(bind(to, (struct sockaddr *)&a, len));
    DONE(getsockname(to, (struct sockaddr *)&a, &len));
    DONE(connect(from, (struct sockaddr *)&a, len));
    several();
    empty_ones();
    WANT(sendto(from, "u", 1, 0, NULL, 0), 1);
    DONE(getsockname(from, (struct sockaddr *)&a, &len));
    socklen_t got = sizeof who;
    WANT(recvfrom(to, &c, 1, 0, (struct sockaddr *)&who, &got), 1);
    WANT(who.sin_port, a.sin_port);
    DONE(close(from));
    DONE(close(to));
}

/* To a full receiver by address: there is no event for that. */
static void by_address(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof a;
    to = (int)DONE(socket(AF_UNIX, SOCK_DGRAM, 0));
    from = (int)DONE(socket(AF_UNIX, SOCK_DGRAM, 0));
    DONE(bind(to, (struct sockaddr *)&a, sizeof(sa_family_t)));
    DONE(getsockname(to, (struct sockaddr *)&a, &len));
    pthread_t r = spawn(receiver, NULL);
    char buf[256];
    for (int i = 0; i < MESSAGES; i++) {
        memset(buf, i, sizeof buf);
        WANT(sendto(from, buf, (size_t)i % 100 + 1, 0, (struct sockaddr *)&a, len), i % 100 + 1);
    }
    join(r);
    DONE(close(from));
    DONE(close(to));
}

int main(void) {
    check_start();
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        int ends[2];
        DONE(socketpair(AF_UNIX, types[i], 0, ends));
        from = ends[0];
        to = ends[1];
        stream_of_messages();
        several();
        if (types[i] == SOCK_DGRAM)
            empty_ones();
        DONE(close(ends[0]));
        DONE(close(ends[1]));
    }
    join(spawn((void *(*)(void *))(void *)udp, NULL));
    by_address();
    return 0;
}
