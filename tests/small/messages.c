/* messages.c - hackbench's load: in each group every sender writes to every receiver, by socket
 * pairs
 *
 * usage: messages GROUPS SENDERS MESSAGES, with as many receivers as senders, and so many messages
 * from each sender to each receiver */
#include "check.h"

#include <sys/socket.h>

static int senders, messages;

struct group {
    int (*pair)[2]; /* one for each receiver: its senders share the other end */
};

struct receiver {
    int fd;
};

static void *receives(void *arg) {
    const struct receiver *r = arg;
    char text[100];
    for (long left = (long)senders * messages * (long)sizeof text; left > 0;) {
        long n = (long)DONE(read(r->fd, text, sizeof text));
        CHECK(n > 0, "the stream ends early");
        left -= n;
    }
    return NULL;
}

static void *sends(void *arg) {
    const struct group *g = arg;
    char text[100] = "x";
    for (int i = 0; i < messages; i++)
        for (int r = 0; r < senders; r++)
            for (size_t at = 0; at < sizeof text;)
                at += (size_t)DONE(write(g->pair[r][1], text + at, sizeof text - at));
    return NULL;
}

int main(int argc, char **argv) {
    check_start();
    CHECK(argc == 4, "usage: messages GROUPS SENDERS MESSAGES");
    int groups = atoi(argv[1]);
    senders = atoi(argv[2]);
    messages = atoi(argv[3]);
    CHECK(groups > 0 && senders > 0 && messages > 0, "usage: messages GROUPS SENDERS MESSAGES");
    struct group *all = calloc((size_t)groups, sizeof *all);
    struct receiver *receivers = calloc((size_t)(groups * senders), sizeof *receivers);
    pthread_t *threads = calloc((size_t)(2 * groups * senders), sizeof *threads);
    CHECK(all && receivers && threads, "no memory");
    int n = 0;
    for (int i = 0; i < groups; i++) {
        all[i].pair = calloc((size_t)senders, sizeof *all[i].pair);
        CHECK(all[i].pair, "no memory");
        for (int r = 0; r < senders; r++) {
            DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, all[i].pair[r]));
            receivers[i * senders + r].fd = all[i].pair[r][0];
            threads[n++] = spawn(receives, &receivers[i * senders + r]);
        }
    }
    for (int i = 0; i < groups * senders; i++)
        threads[n++] = spawn(sends, &all[i / senders]);
    join_all(threads, n);
    printf("all have come\n");
    return 0;
}
