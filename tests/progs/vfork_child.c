/* vfork_child.c - a vfork's child uses its parent's memory and the calls that programs make there,
 * many at a time, while other threads of the parent go on: the child's calls change nothing of the
 * parent but what they are asked to; the parent's descriptors, mask, actions, errno and locks are
 * as before */
#include "util.h"

#include <signal.h>

enum { THREADS = 8, ROUNDS = 40 };

static int stop, turns;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void handler(int sig) { (void)sig; }

static void in_child(int fd[2], volatile int *shared) {
    char c = 0;
    sigset_t all;
    sigfillset(&all);
    *shared += 1;
    close(fd[0]);
    if (write(fd[1], "x", 1) != 1)
        _exit(1);
    if (dup2(fd[1], fd[1]) != fd[1] || read(fd[1], &c, 0) > 0)
        _exit(2);
    if (sigprocmask(SIG_SETMASK, &all, NULL) || signal(SIGUSR1, SIG_DFL) == SIG_ERR)
        _exit(3);
    sched_yield();
    usleep(200);
    if (getppid() == 1 || fcntl(fd[1], F_GETFD) < 0)
        _exit(4);
    *shared += 1;
    _exit(17);
}

static void *run(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        int fd[2], status;
        volatile int shared = 0;
        char c = 0;
        sigset_t mask;
        struct sigaction sa;
        DONE(pipe(fd));
        pid_t pid = vfork();
        if (!pid)
            in_child(fd, &shared);
        DONE(pid);
        WANT(shared, 2); /* it has ended when vfork returns */
        WANT(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17, "came status %x", (unsigned)status);
        WANT(read(fd[0], &c, 1), 1); /* closed in the child only */
        WANT(c, 'x');
        OK(pthread_sigmask(SIG_BLOCK, NULL, &mask));
        WANT(sigismember(&mask, SIGUSR2), 0);
        DONE(sigaction(SIGUSR1, NULL, &sa));
        CHECK(sa.sa_handler == handler, "expected the handler to stay");
        close(fd[0]);
        close(fd[1]);
        OK(pthread_mutex_lock(&mutex));
        turns++;
        OK(pthread_mutex_unlock(&mutex));
    }
    return arg;
}

static void *other(void *arg) {
    while (!get(&stop)) {
        OK(pthread_mutex_lock(&mutex));
        OK(pthread_mutex_unlock(&mutex));
        sched_yield();
        OK(pthread_kill(pthread_self(), SIGUSR1));
    }
    return arg;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    pthread_t beside = spawn(other, NULL);
    run_all(THREADS, run);
    WANT(turns, THREADS * ROUNDS);
    set(&stop, 1);
    join(beside);
    return 0;
}
