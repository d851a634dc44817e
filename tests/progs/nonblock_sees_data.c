/* nonblock_sees_data.c - a program's own event loop over O_NONBLOCK TCP sockets: what has come
 * after a read that emptied the socket is there for the next one, and epoll, level- and
 * edge-triggered, tells */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { ROUNDS = 300 };

static int ends[2];

static void connect_pair(void) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int listener = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listener, (struct sockaddr *)&addr, len));
    DONE(listen(listener, 1));
    DONE(getsockname(listener, (struct sockaddr *)&addr, &len));
    ends[1] = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(connect(ends[1], (struct sockaddr *)&addr, len));
    ends[0] = (int)DONE(accept(listener, NULL, NULL));
    close(listener);
}

/* Answers each message, as a server with an event loop does. */
static void *server(void *arg) {
    int ep = (int)DONE(epoll_create1(0));
    struct epoll_event e = {.events = EPOLLIN | (uint32_t)(intptr_t)arg};
    char buf[100];
    DONE(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    DONE(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e));
    for (int i = 0; i < ROUNDS; i++) {
        WANT(epoll_wait(ep, &e, 1, 20000), 1);
        WANT(read(ends[0], buf, sizeof buf), 3);
        FAILS(read(ends[0], buf, sizeof buf), EAGAIN);
        WANT(write(ends[0], buf, 3), 3);
    }
    close(ep);
    return NULL;
}

static void *client(void *arg) {
    char buf[3];
    for (int i = 0; i < ROUNDS; i++) {
        WANT(write(ends[1], "abc", 3), 3);
        WANT(read(ends[1], buf, 3), 3);
    }
    return arg;
}

int main(void) {
    check_start();
    const uint32_t kinds[] = {0, EPOLLET};
    for (int i = 0; i < 2; i++) {
        connect_pair();
        pthread_t threads[] = {spawn(server, (void *)(uintptr_t)kinds[i]), spawn(client, NULL)};
        join_all(threads, 2);
        close(ends[0]);
        close(ends[1]);
    }
    return 0;
}
