/* net_fair.c - 1000 threads that answer a busy peer on a connection each: none is served much less
 * often than another. More of them are ready at once than a P's own queue holds, and who had to go
 * to the global queue waited there for twenty turns of the others */
#include "check.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CONNECTIONS = 1000, REQUESTS = 60 * CONNECTIONS };

static int ends[CONNECTIONS][2];
static volatile int served[CONNECTIONS];

static void *answer(void *arg) {
    int i = (int)(long)arg;
    char c;
    while (read(ends[i][0], &c, 1) == 1 && write(ends[i][0], &c, 1) == 1)
        served[i]++;
    return NULL;
}

/* Takes n answers, and asks for another where each came from. */
static void ask_again(int ep, int n) {
    struct epoll_event ev[64];
    char c;
    while (n > 0) {
        int ready = epoll_wait(ep, ev, 64, 30000);
        if (ready <= 0)
            _exit(2);
        n -= ready;
        for (int i = 0; i < ready; i++)
            if (read(ev[i].data.fd, &c, 1) != 1 || write(ev[i].data.fd, &c, 1) != 1)
                _exit(3);
    }
}

/* The peer, a process of its own: the next request on a connection as soon as the answer is there.
 * It begins in earnest when it has had an answer from everybody. */
static void peer(void) {
    int ep = epoll_create1(0);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = ends[i][1]};
        close(ends[i][0]);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, ends[i][1], &ev) || write(ends[i][1], "x", 1) != 1)
            _exit(1);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        char c;
        if (read(ends[i][1], &c, 1) != 1 || write(ends[i][1], &c, 1) != 1)
            _exit(1);
    }
    ask_again(ep, REQUESTS);
    _exit(0);
}

int main(void) {
    check_start();
    alarm(100);
    signal(SIGPIPE, SIG_IGN); /* the peer goes when it has had enough */
    struct rlimit many = {2 * CONNECTIONS + 100, 2 * CONNECTIONS + 100};
    setrlimit(RLIMIT_NOFILE, &many);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), "socketpair %d", i);
    pid_t child = fork();
    if (!child)
        peer();
    pthread_t threads[CONNECTIONS];
    for (long i = 0; i < CONNECTIONS; i++) {
        close(ends[i][1]);
        threads[i] = spawn(answer, (void *)i);
    }
    join_all(threads, CONNECTIONS);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the peer ended with %x", status);
    int least = served[0], total = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        least = served[i] < least ? served[i] : least;
        total += served[i];
    }
    printf("least served %d, mean %d\n", least, total / CONNECTIONS);
    CHECK(least * 3 >= total / CONNECTIONS, "least served %d, mean %d", least, total / CONNECTIONS);
    return 0;
}
