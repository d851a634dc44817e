/* net_idle.c - needs: time. Hundreds of threads that wait for connections that say nothing use no
 * processor time: a second of it costs under 10 ms */
#include "check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

enum { THREADS = 300 };

static int fds[THREADS][2], inside, listener;
static struct sockaddr_in addr = {.sin_family = AF_INET};

static void *silent(void *arg) {
    char c;
    int i = (int)(intptr_t)arg;
    struct pollfd p = {fds[i][0], POLLIN, 0};
    add(&inside, 1);
    if (i % 5 == 0)
        WANT(poll(&p, 1, -1), 1);
    WANT(read(fds[i][0], &c, 1), 0);
    return arg;
}

int main(void) {
    check_start();
    pthread_t t[THREADS];
    socklen_t len = sizeof addr;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listener, (struct sockaddr *)&addr, len));
    DONE(listen(listener, 16));
    DONE(getsockname(listener, (struct sockaddr *)&addr, &len));
    for (int i = 0; i < THREADS; i++) {
        if (i % 3 == 0) {
            fds[i][1] = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
            DONE(connect(fds[i][1], (struct sockaddr *)&addr, len));
            fds[i][0] = (int)DONE(accept(listener, NULL, NULL));
        } else {
            DONE(i % 3 == 1 ? pipe(fds[i]) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]));
        }
    }
    spawn_all(t, THREADS, silent);
    wait_until(&inside, THREADS);
    pause_ms(700); /* what the library still has to do about them */
    int64_t before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    pause_ms(1000);
    int64_t used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
    CHECK(used < 10 * MS_NS, "expected under 10 ms of processor time in a second, came %ld us",
          (long)(used / 1000));
    for (int i = 0; i < THREADS; i++)
        DONE(close(fds[i][1]));
    join_all(t, THREADS);
    return 0;
}
