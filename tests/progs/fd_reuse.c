/* fd_reuse.c - a number that was waited on comes back as something else, closed where nobody looks
 * (fclose, close_range, dup2, by syscall()): waiting on it works at once */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { ROUNDS = 60 };

static int listener, inside, done, current;
static struct sockaddr_in addr = {.sin_family = AF_INET};

static void *reader(void *arg) {
    char c[8];
    for (int i = 1; i <= ROUNDS; i++) {
        wait_until(&inside, i);
        WANT(read(get(&current), c, sizeof c) > 0, 1);
        set(&done, i);
    }
    return arg;
}

/* A readable end at a fresh number, and one to write to. */
static void make(int kind, int *fd, int *to) {
    int ends[2];
    socklen_t len = sizeof addr;
    switch (kind) {
    case 0:
        *to = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
        DONE(connect(*to, (struct sockaddr *)&addr, len));
        *fd = (int)DONE(accept(listener, NULL, NULL));
        return;
    case 1:
        *fd = (int)DONE(eventfd(0, 0));
        *to = (int)DONE(dup(*fd));
        return;
    case 2:
        DONE(pipe(ends));
        break;
    default:
        DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    }
    *fd = ends[0];
    *to = ends[1];
}

static void end(int way, int fd) {
    FILE *f;
    int other;
    switch (way) {
    case 0:
        f = fdopen(fd, "r");
        CHECK(f, "expected fdopen to succeed");
        WANT(fclose(f), 0);
        break;
    case 1:
        DONE(close_range((unsigned)fd, (unsigned)fd, 0));
        break;
    case 2:
        DONE(syscall(SYS_close, fd));
        break;
    case 3:
        other = (int)DONE(open("/dev/null", O_RDONLY));
        DONE(dup2(other, fd));
        DONE(close(other));
        DONE(close(fd));
        break;
    default:
        DONE(close(fd));
    }
}

int main(void) {
    check_start();
    socklen_t len = sizeof addr;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listener, (struct sockaddr *)&addr, len));
    DONE(listen(listener, 8));
    DONE(getsockname(listener, (struct sockaddr *)&addr, &len));
    pthread_t thread = spawn(reader, NULL);
    for (int i = 1; i <= ROUNDS; i++) {
        int fd, to;
        uint64_t value = 1;
        make(i % 4, &fd, &to);
        set(&current, fd);
        set(&inside, i);
        if (i % 3)
            pause_ms(2); /* it waits; else it is about to */
        WANT(write(to, &value, sizeof value), sizeof value);
        wait_until(&done, i);
        end(i % 5, fd);
        DONE(close(to));
    }
    join(thread);
    return 0;
}
