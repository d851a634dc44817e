/* block_accept.c - 20 threads blocked in accept() on one socket, each gets one of the connections
 */
#include "check.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { N = 20, ROUNDS = 3 };

static int listening, accepted, arrived;
static struct sockaddr_in address;

static void *server(void *arg) {
    for (int r = 0; r < ROUNDS; r++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int number;
        add(&arrived, 1);
        int fd = (int)DONE((intptr_t)arg % 2 ? accept(listening, (struct sockaddr *)&peer, &length)
                                             : accept4(listening, NULL, NULL, SOCK_CLOEXEC));
        if ((intptr_t)arg % 2)
            WANT(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        add(&accepted, 1);
        WANT(recv(fd, &number, sizeof number, MSG_WAITALL), sizeof number); /* blocks again */
        number *= 3;
        WANT(send(fd, &number, sizeof number, 0), sizeof number);
        DONE(close(fd));
    }
    return NULL;
}

static void *client(void *arg) {
    int number = (int)(intptr_t)arg + 1, answer, rest;
    for (int r = 0; r < ROUNDS; r++) {
        int fd = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
        DONE(connect(fd, (struct sockaddr *)&address, sizeof address));
        wait_until(&accepted, 1);
        WANT(write(fd, &number, sizeof number), sizeof number);
        WANT(read(fd, &answer, sizeof answer), sizeof answer);
        WANT(answer, number * 3);
        WANT(read(fd, &rest, sizeof rest), 0);
        DONE(close(fd));
    }
    return NULL;
}

int main(void) {
    check_start();
    pthread_t servers[N], clients[N];
    socklen_t length = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listening = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listening, (struct sockaddr *)&address, sizeof address)); /* any free port */
    DONE(getsockname(listening, (struct sockaddr *)&address, &length));
    DONE(listen(listening, 100));
    spawn_all(servers, N, server);
    wait_until(&arrived, N);
    pause_ms(10);
    WANT(get(&accepted), 0);
    spawn_all(clients, N, client);
    join_all(clients, N);
    join_all(servers, N);
    WANT(accepted, N * ROUNDS);
    return 0;
}
