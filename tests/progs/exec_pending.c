/* exec_pending.c - a blocked signal that is pending for the calling thread or the process is still
 * pending after exec, and ignored signals that somebody waits for are ignored after it */
#include "util.h"

#include <signal.h>
#include <sys/syscall.h>

static char self[PATH_MAX];

static int after(void) {
    sigset_t is;
    DONE(sigpending(&is));
    WANT(sigismember(&is, SIGUSR1), 1);
    WANT(sigismember(&is, SIGUSR2), 1);
    WANT(sigismember(&is, SIGHUP), 0);
    struct sigaction sa;
    DONE(sigaction(SIGWINCH, NULL, &sa));
    CHECK(sa.sa_handler == SIG_IGN, "expected SIGWINCH to be ignored");
    return 42;
}

static void *runs_exec(void *arg) {
    OK(pthread_kill(pthread_self(), SIGUSR1));
    DONE(kill(getpid(), SIGUSR2));
    char *argv[] = {self, "after", NULL};
    execv("/does/not/exist", argv);
    sigset_t is;
    DONE(sigpending(&is)); /* a failed exec changes nothing */
    WANT(sigismember(&is, SIGUSR1), 1);
    WANT(sigismember(&is, SIGUSR2), 1);
    if (arg)
        syscall(SYS_execve, self, argv, environ);
    execv(self, argv);
    return NULL;
}

static void *waits(void *arg) {
    sigset_t s;
    int sig;
    sigemptyset(&s);
    sigaddset(&s, SIGWINCH);
    set(arg, 1);
    sigwait(&s, &sig);
    return NULL;
}

static void in_child(bool by_number) {
    static int waiting;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGUSR2);
    sigaddset(&s, SIGWINCH);
    DONE(sigaction(SIGWINCH, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
    pthread_t t = spawn(waits, &waiting);
    wait_until(&waiting, 1);
    pause_ms(2);
    join(spawn(runs_exec, as_pointer(by_number)));
    join(t);
    _exit(9);
}

int main(int argc, char **argv) {
    check_start();
    if (argc > 1)
        return after();
    (void)argv;
    self[DONE(readlink("/proc/self/exe", self, sizeof self - 1))] = 0;
    for (int i = 0; i < 2; i++) {
        pid_t pid = DONE(fork());
        if (!pid)
            in_child(i);
        child_exits(pid, 42);
    }
    return 0;
}
