/* signalfd_threads.c - signalfd: what all threads block is read from it, by any thread, with
 * siginfo, from kill, sigqueue, children and timers; poll tells of it; what a thread lets through
 * goes there instead */
#include "util.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

enum { N = 50 };

static int fd, stop;
static sigset_t mask;

static struct signalfd_siginfo next_info(void) {
    struct signalfd_siginfo info;
    WANT(read(fd, &info, sizeof info), sizeof info);
    return info;
}

static void *reader(void *arg) {
    for (int i = 0; i < N; i++) {
        struct signalfd_siginfo info = next_info();
        WANT(info.ssi_signo, SIGRTMIN);
        WANT(info.ssi_code, SI_QUEUE);
        WANT(info.ssi_int, i);
        WANT(info.ssi_pid, getpid());
    }
    return arg;
}

static void *idle(void *arg) {
    wait_until(&stop, 1);
    return arg;
}

int main(void) {
    check_start();
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGUSR1);
    OK(pthread_sigmask(SIG_BLOCK, &mask, NULL));
    pthread_t threads[4];
    spawn_all(threads, 4, idle);
    fd = DONE(signalfd(-1, &mask, SFD_CLOEXEC));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    WANT(poll(&p, 1, 0), 0);
    DONE(kill(getpid(), SIGUSR1));
    WANT(poll(&p, 1, 5000), 1);
    struct signalfd_siginfo info = next_info();
    WANT(info.ssi_signo, SIGUSR1);
    WANT(info.ssi_code, SI_USER);
    pthread_t r = spawn(reader, NULL);
    for (int i = 0; i < N; i++) {
        DONE(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
        if (i % 5 == 0)
            pause_ms(1);
    }
    join(r);
    for (int i = 0; i < 5; i++) {
        pid_t pid = DONE(fork());
        if (!pid)
            _exit(i);
        info = next_info();
        WANT(info.ssi_signo, SIGCHLD);
        WANT(info.ssi_pid, pid);
        WANT(info.ssi_status, i);
        child_exits(pid, i);
    }
    set(&stop, 1);
    join_all(threads, 4);
    return 0;
}
