/* f2_hidden_fork.c - DANGERS F2: a fork inside libc (daemon, forkpty) that no wrapper sees leaves a
 * child in which threads, locks and signals work
 * needs: time */
#include "check.h"

#include <poll.h>
#include <pty.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

static int handled;

static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void *body(void *arg) {
    usleep(1000);
    raise(SIGUSR1);
    return arg;
}

static void work(void) {
    pthread_t threads[8];
    set(&handled, 0);
    spawn_all(threads, 8, body);
    join_all(threads, 8);
    WANT(get(&handled), 8);
    DONE(kill(getpid(), SIGUSR1));
    WANT(get(&handled), 9);
}

static void expect_word(int fd, const char *word) {
    char text[64] = "";
    size_t n = 0;
    while (!strstr(text, word)) {
        struct pollfd p = {fd, POLLIN, 0};
        WANT(poll(&p, 1, 30000), 1);
        n += (size_t)DONE(read(fd, text + n, sizeof text - 1 - n));
        text[n] = 0;
    }
}

static void *in_pty(void *arg) {
    int master, status;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);
    if (pid == 0) {
        alarm(30);
        work();
        (void)!write(1, "fine\n", 5);
        sleep(1); /* what is written is lost if nobody has read it when the child is gone */
        _exit(0);
    }
    DONE(pid);
    expect_word(master, "fine");
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
    close(master);
    return arg;
}

static void *as_daemon(void *arg) {
    int fd[2], status;
    DONE(pipe(fd));
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t = spawn(body, NULL);
        join(t);
        if (daemon(1, 1)) /* this process ends in it, its child goes on */
            _exit(1);
        alarm(30);
        work();
        (void)!write(fd[1], "fine", 4);
        _exit(0);
    }
    DONE(pid);
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
    expect_word(fd[0], "fine");
    return arg;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART},
                   NULL));
    work();
    pthread_t threads[] = {spawn(in_pty, NULL), spawn(as_daemon, NULL)};
    join_all(threads, 2);
    in_pty(NULL);
    return 0;
}
