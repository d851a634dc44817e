/* write_cut_by_others_signal.c - a blocking write into a FIFO and a pipe writes all, although the
 * process gets signals all the time: the writer blocks them, so no handler of its own runs and a
 * short result would be for nothing. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { BYTES = 400000, ROUNDS = 8 };

static volatile sig_atomic_t handled;
static void handler(int sig) { handled += sig == SIGUSR1; }

static char buf[BYTES];

static void *writer(void *arg) {
    int fd = *(int *)arg;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    struct iovec v[2] = {{buf, 1000}, {buf + 1000, BYTES - 1000}};
    for (int i = 0; i < ROUNDS; i++) {
        WANT(write(fd, buf, BYTES), BYTES);
        WANT(writev(fd, v, 2), BYTES);
    }
    DONE(close(fd));
    return NULL;
}

/* Slowly, so that the writer waits most of the time. */
static void read_all(int fd) {
    static char in[16384];
    size_t total = 0;
    for (;;) {
        ssize_t r = read(fd, in, sizeof in);
        if (r < 0 && errno == EINTR)
            continue;
        CHECK(r >= 0, "expected to read, came errno %d", errno);
        if (r == 0)
            break;
        total += (size_t)r;
        usleep(500);
    }
    WANT(total, 2UL * ROUNDS * BYTES);
    DONE(close(fd));
}

/* A process that sends the signal until it is killed. */
static pid_t sender(void) {
    pid_t parent = getpid(), pid = (pid_t)DONE(fork());
    if (pid == 0) {
        while (getppid() == parent && kill(parent, SIGUSR1) == 0)
            usleep(300);
        _exit(0);
    }
    return pid;
}

static void try_with(int in, int out) {
    pthread_t w = spawn(writer, &out);
    read_all(in);
    join(w);
}

int main(void) {
    check_start();
    char path[64];
    int fd[2];
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    pid_t pid = sender();
    DONE(pipe(fd));
    try_with(fd[0], fd[1]);
    snprintf(path, sizeof path, "/tmp/write_cut.%d", (int)getpid());
    DONE(mkfifo(path, 0600));
    int in = (int)DONE(open(path, O_RDWR)); /* so that opening waits for nobody */
    int out = (int)DONE(open(path, O_WRONLY)), only_in = (int)DONE(open(path, O_RDONLY));
    DONE(close(in));
    DONE(unlink(path));
    try_with(only_in, out);
    CHECK(handled > 0, "expected some signals");
    DONE(kill(pid, SIGKILL));
    DONE(waitpid(pid, NULL, 0));
    return 0;
}
