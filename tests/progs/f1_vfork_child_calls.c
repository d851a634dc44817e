/* f1_vfork_child_calls.c - DANGERS F1: what a child of vfork calls (close, dup2, write, sigaction,
 * sigprocmask, sem_post) happens in the child; the parent, whose memory it runs in, finds its own
 * state as it was, and its other threads went on
 * needs: time */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { PARENTS = 4, ROUNDS = 50 };

static int stop, handled;
static long turns;

static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void *busy(void *arg) {
    while (!get(&stop)) {
        __atomic_add_fetch(&turns, 1, __ATOMIC_RELAXED);
        usleep(200);
    }
    return arg;
}

static void *parent(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        int fd[2], status;
        char c = 0;
        sigset_t none, before, after;
        sigemptyset(&none);
        sigaddset(&none, SIGUSR2);
        OK(pthread_sigmask(SIG_BLOCK, NULL, &before));
        DONE(pipe2(fd, O_CLOEXEC));
        pid_t pid = vfork();
        if (pid == 0) {
            signal(SIGUSR1, SIG_DFL); /* the child's alone */
            sigprocmask(SIG_BLOCK, &none, NULL);
            close(fd[0]);
            dup2(fd[1], 1);
            if (write(1, "c", 1) != 1)
                _exit(3);
            execl("/bin/sh", "sh", "-c", "printf d; kill -USR1 $$", (char *)NULL);
            _exit(127);
        }
        DONE(pid);
        DONE(close(fd[1]));
        WANT(read(fd[0], &c, 1), 1);
        WANT(c, 'c');
        WANT(read(fd[0], &c, 1), 1);
        WANT(c, 'd');
        DONE(waitpid(pid, &status, 0));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1,
              "expected the child to die of SIGUSR1, came status %#x", status);
        DONE(close(fd[0]));
        OK(pthread_sigmask(SIG_BLOCK, NULL, &after));
        WANT(sigismember(&after, SIGUSR2), sigismember(&before, SIGUSR2));
        OK(pthread_kill(pthread_self(), SIGUSR1)); /* still handled here */
    }
    return arg;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART},
                   NULL));
    pthread_t b = spawn(busy, NULL), parents[PARENTS];
    spawn_all(parents, PARENTS, parent);
    join_all(parents, PARENTS);
    set(&stop, 1);
    join(b);
    WANT(get(&handled), PARENTS * ROUNDS);
    CHECK(turns > 10, "expected the other thread to go on, came %ld turns", turns);
    return 0;
}
