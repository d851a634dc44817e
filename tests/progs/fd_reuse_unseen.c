/* fd_reuse_unseen.c - the number of a socket comes back as a file that libc opens itself (a named
 * semaphore's, a user's entry), or by system calls that nobody sees: what libc or the program then
 * reads and writes there is a file's */
#include "util.h"

#include <pwd.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { ROUNDS = 30 };

/* Two sockets that have been used; the lowest numbers that are free. */
static void use_sockets(int fd[2]) {
    char c = 'x';
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
    for (int i = 0; i < 2; i++) {
        WANT(write(fd[i], &c, 1), 1);
        WANT(read(fd[!i], &c, 1), 1);
    }
}

static void named_semaphore(int round) {
    char name[64];
    int fd[2];
    snprintf(name, sizeof name, "/fd_reuse_unseen.%d.%d", (int)getpid(), round);
    use_sockets(fd);
    close(fd[0]);
    close(fd[1]);
    sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
    CHECK(sem != SEM_FAILED, "sem_open: %s", strerrorname_np(errno));
    sem_unlink(name);
    DONE(sem_wait(sem));
    DONE(sem_close(sem));
}

static void users_entry(void) {
    int fd[2];
    use_sockets(fd);
    close(fd[0]);
    close(fd[1]);
    errno = 0;
    const struct passwd *root = getpwuid(0);
    CHECK(root && root->pw_uid == 0, "getpwuid: %s", strerrorname_np(errno));
}

/* A file takes the place of a socket, whose close and the file's open nobody sees. */
static void unseen(int round) {
    int fd[2];
    char text[16];
    struct iovec v = {text, 4};
    use_sockets(fd);
    WANT(unseen_call(SYS_close, fd[0], 0, 0, 0), 0);
    WANT(unseen_call(SYS_open, (long)"/proc/self/exe", O_RDONLY, 0, 0), fd[0]);
    if (round % 2)
        WANT(read(fd[0], text, 4), 4);
    else
        WANT(readv(fd[0], &v, 1), 4);
    CHECK(memcmp(text, "\177ELF", 4) == 0, "the file's first bytes are wrong");
    DONE(close(fd[0]));
    DONE(close(fd[1]));
}

static void unseen_for_writing(int round) {
    int fd[2];
    struct iovec v = {(void *)"text", 4};
    use_sockets(fd);
    WANT(unseen_call(SYS_close, fd[0], 0, 0, 0), 0);
    WANT(unseen_call(SYS_open, (long)"/dev/null", O_WRONLY, 0, 0), fd[0]);
    WANT(round % 2 ? write(fd[0], "text", 4) : writev(fd[0], &v, 1), 4);
    DONE(close(fd[0]));
    DONE(close(fd[1]));
}

static void *body(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        named_semaphore(i);
        users_entry();
        unseen(i);
        unseen_for_writing(i);
    }
    return arg;
}

int main(void) {
    check_start();
    join(spawn(body, NULL));
    return 0;
}
