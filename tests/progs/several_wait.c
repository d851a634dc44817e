/* several_wait.c - several threads wait on one descriptor (DANGERS N2): what comes at once for more
 * than one of them wakes more than one; a hang-up wakes all */
#include "check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

enum { WAITERS = 6, ROUNDS = 15 };

static int ends[2], listener, got, inside;
static struct sockaddr_in addr = {.sin_family = AF_INET};

static void *read_one(void *arg) {
    char c;
    add(&inside, 1);
    struct pollfd p = {ends[0], POLLIN, 0};
    if ((intptr_t)arg == 0) /* one that only looks must not keep the wake-up to itself */
        WANT(poll(&p, 1, -1), 1);
    WANT(read(ends[0], &c, 1), 1);
    add(&got, 1);
    return arg;
}

static void *read_end(void *arg) {
    char c;
    add(&inside, 1);
    WANT(read(ends[0], &c, 1), 0);
    return arg;
}

static void *accept_one(void *arg) {
    add(&inside, 1);
    int fd = (int)DONE(accept(listener, NULL, NULL));
    add(&got, 1);
    DONE(close(fd));
    return arg;
}

static void *write_much(void *arg) {
    static const char much[70000];
    WANT(write(ends[1], much, sizeof much), sizeof much);
    return arg;
}

static void readers(void) {
    pthread_t t[WAITERS];
    got = inside = 0;
    spawn_all(t, WAITERS, read_one);
    wait_until(&inside, WAITERS);
    pause_ms(2);
    WANT(write(ends[1], "abcdef", WAITERS), WAITERS);
    join_all(t, WAITERS);
    WANT(got, WAITERS);
}

static void hang_up(void) {
    pthread_t t[WAITERS];
    inside = 0;
    spawn_all(t, WAITERS, read_end);
    wait_until(&inside, WAITERS);
    pause_ms(2);
    DONE(close(ends[1]));
    join_all(t, WAITERS);
    DONE(close(ends[0]));
}

static void acceptors(void) {
    pthread_t t[WAITERS];
    int c[WAITERS];
    got = inside = 0;
    spawn_all(t, WAITERS, accept_one);
    wait_until(&inside, WAITERS);
    pause_ms(2);
    for (int i = 0; i < WAITERS; i++) {
        c[i] = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
        DONE(connect(c[i], (struct sockaddr *)&addr, sizeof addr));
    }
    join_all(t, WAITERS);
    for (int i = 0; i < WAITERS; i++)
        DONE(close(c[i]));
}

static void writers(void) {
    pthread_t t[WAITERS];
    static char buf[WAITERS * 70000];
    size_t all = 0;
    spawn_all(t, WAITERS, write_much);
    pause_ms(5);
    while (all < sizeof buf) {
        long n = DONE(read(ends[0], buf, sizeof buf));
        CHECK(n > 0, "expected more, came the end");
        all += (size_t)n;
    }
    join_all(t, WAITERS);
}

static void make(int kind) {
    if (kind == 0)
        DONE(pipe(ends));
    else if (kind == 1)
        DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    else {
        ends[1] = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
        DONE(connect(ends[1], (struct sockaddr *)&addr, sizeof addr));
        ends[0] = (int)DONE(accept(listener, NULL, NULL));
    }
}

int main(void) {
    check_start();
    socklen_t len = sizeof addr;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listener, (struct sockaddr *)&addr, len));
    DONE(listen(listener, 16));
    DONE(getsockname(listener, (struct sockaddr *)&addr, &len));
    for (int i = 0; i < ROUNDS; i++) {
        make(i % 3);
        readers();
        writers();
        hang_up();
        acceptors();
    }
    return 0;
}
