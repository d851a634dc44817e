/* memcache_load.c PORT CONNECTIONS SECONDS - stores values in memcached and verifies what comes
 * back
 *
 * One thread and epoll, so that the client needs little. Each connection in turn stores a value
 * whose contents follow from its key and number, and asks for it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VALUE = 200, BUFFER = 1024 };

struct connection {
    int fd, asking; /* asking: the answer to come is a value */
    unsigned number;
    size_t have;
    char in[BUFFER];
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "%s: %s\n", what, detail);
    exit(1);
}

static void value_of(int fd, unsigned number, char *to) {
    for (int i = 0; i < VALUE; i++)
        to[i] = (char)('a' + (fd * 7 + (int)(number % 1000) * 3 + i) % 26);
}

static void send_next(struct connection *c) {
    char out[BUFFER], value[VALUE];
    int n;
    if (c->asking) {
        n = snprintf(out, sizeof out, "get key%d\r\n", c->fd);
    } else {
        c->number++;
        value_of(c->fd, c->number, value);
        n = snprintf(out, sizeof out, "set key%d 0 0 %d\r\n%.*s\r\n", c->fd, VALUE, VALUE, value);
    }
    if (send(c->fd, out, (size_t)n, MSG_NOSIGNAL) != n)
        fail("send", strerror(errno));
}

/* True if a whole answer was there, which must be right. */
static int take_answer(struct connection *c) {
    char want[BUFFER], value[VALUE];
    ssize_t got = recv(c->fd, c->in + c->have, sizeof c->in - c->have, 0);
    if (got <= 0)
        fail("the server has closed", got ? strerror(errno) : "end of file");
    c->have += (size_t)got;
    value_of(c->fd, c->number, value);
    int n = c->asking ? snprintf(want, sizeof want, "VALUE key%d 0 %d\r\n%.*s\r\nEND\r\n", c->fd,
                                 VALUE, VALUE, value)
                      : snprintf(want, sizeof want, "STORED\r\n");
    size_t compare = c->have < (size_t)n ? c->have : (size_t)n;
    if (memcmp(c->in, want, compare) != 0 || c->have > (size_t)n) {
        c->in[c->have < sizeof c->in ? c->have : sizeof c->in - 1] = 0;
        fail("a wrong answer", c->in);
    }
    if (c->have < (size_t)n)
        return 0;
    c->have = 0;
    c->asking = !c->asking;
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4)
        fail("usage", "memcache_load PORT CONNECTIONS SECONDS");
    int n = atoi(argv[2]), epoll = epoll_create1(0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct connection *all = calloc((size_t)n, sizeof *all);
    for (int i = 0; i < n; i++) {
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[i].fd, (struct sockaddr *)&to, sizeof to))
            fail("connect", strerror(errno));
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
        send_next(&all[i]);
    }
    double begin = now(), end = begin + atof(argv[3]);
    long done = 0;
    while (now() < end) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 10000);
        if (ready <= 0)
            fail("no answer within 10 s", "");
        for (int i = 0; i < ready; i++)
            if (take_answer(events[i].data.ptr)) {
                done++;
                send_next(events[i].data.ptr);
            }
    }
    printf("rate=%.0f\n", (double)done / (now() - begin));
    return 0;
}
