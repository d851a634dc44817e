/* pair_leaves.c - a reader waits on a pipe or socket pair of this process's while the other end is
 * used by somebody who tells nobody: a duplicate, a child (fork, vfork, popen's shell), a process
 * that got it passed, stdio, splice, a file opened by /proc. What was written arrives */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { ROUNDS = 2 };

static int ends[2], inside;
static bool use_poll;

static void *reader(void *arg) {
    char c = 0;
    struct pollfd p = {ends[0], POLLIN, 0};
    set(&inside, 1);
    if (use_poll)
        WANT(poll(&p, 1, 20000), 1);
    WANT(read(ends[0], &c, 1), 1);
    WANT(c, 'x');
    return arg;
}

static void by_number(int fd) { WANT(write(fd, "x", 1), 1); }

static void through_dup(void) {
    int d = (int)DONE(dup(ends[1]));
    by_number(d);
    DONE(close(d));
}

static void through_dup_of_reader(void) { /* the reader's number is one of two */
    int d = (int)DONE(dup(ends[0]));
    by_number(ends[1]);
    DONE(close(d));
}

static void through_fork(void) {
    pid_t pid = (pid_t)DONE(fork());
    if (pid == 0) {
        usleep(20000);
        _exit(write(ends[1], "x", 1) != 1);
    }
    int status;
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
}

static void through_shell(void) {
    char command[64];
    snprintf(command, sizeof command, "printf x >&%d", ends[1]);
    WANT(system(command), 0);
}

static void through_vfork(void) {
    char command[64];
    snprintf(command, sizeof command, "sleep .02; printf x >&%d", ends[1]);
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    int status;
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
}

static void through_passing(void) {
    int carrier[2], fd = ends[1];
    char c = 'y', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    DONE(socketpair(AF_UNIX, SOCK_DGRAM, 0, carrier));
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
    WANT(sendmsg(carrier[0], &m, 0), 1);
    m.msg_controllen = sizeof control;
    WANT(recvmsg(carrier[1], &m, 0), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    by_number(fd);
    DONE(close(fd));
    DONE(close(carrier[0]));
    DONE(close(carrier[1]));
}

static void through_stdio(void) {
    FILE *f = fdopen((int)DONE(dup(ends[1])), "w");
    WANT(fputc('x', f), 'x');
    WANT(fclose(f), 0);
}

static void through_splice(void) {
    int other[2];
    DONE(pipe(other));
    WANT(write(other[1], "x", 1), 1);
    WANT(splice(other[0], NULL, ends[1], NULL, 1, 0), 1);
    DONE(close(other[0]));
    DONE(close(other[1]));
}

static void through_proc(void) { /* pipes only */
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    int fd = open(path, O_WRONLY);
    by_number(fd < 0 ? ends[1] : fd);
    if (fd >= 0)
        DONE(close(fd));
}

static void directly(void) { by_number(ends[1]); }

int main(void) {
    check_start();
    static void (*const ways[])(void) = {
        directly,      through_dup,     through_dup_of_reader, through_fork,   through_shell,
        through_vfork, through_passing, through_stdio,         through_splice, through_proc,
    };
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
            for (int socket = 0; socket < 2; socket++) {
                DONE(socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends));
                set(&inside, 0);
                use_poll = round;
                pthread_t thread = spawn(reader, NULL);
                wait_until(&inside, 1);
                pause_ms(2);
                ways[i]();
                join(thread);
                DONE(close(ends[0]));
                DONE(close(ends[1]));
            }
    return 0;
}
