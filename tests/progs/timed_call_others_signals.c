/* timed_call_others_signals.c - semtimedop with a time-out, by name and by number, while another
 * process sends signals that are for another thread: it is neither cut short nor begun anew with
 * the whole time. A time-out that cannot be read is EFAULT. */
#include "check.h"

#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { TIMED_MS = 60 };

static int id, handled, done;
static struct sembuf down = {0, -1, 0};
static const struct timespec time_out = {0, TIMED_MS *MS_NS};

static int by_name(void) { return semtimedop(id, &down, 1, &time_out); }
static int by_number(void) { return (int)syscall(SYS_semtimedop, id, &down, 1, &time_out); }

static void *bad_time(void *arg) {
    const struct timespec *nowhere = (const struct timespec *)8;
    FAILS((int)syscall(SYS_semtimedop, id, &down, 1, nowhere), EFAULT);
    return arg;
}

static void *waiter(void *call) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    OK(pthread_sigmask(SIG_BLOCK, &mask, NULL));
    struct timespec end = time_in(CLOCK_MONOTONIC, TIMED_MS - 1);
    FAILS((*(int (**)(void))call)(), EAGAIN);
    NOT_EARLY(CLOCK_MONOTONIC, end);
    set(&done, 1);
    return NULL;
}

static void on_signal(int sig) {
    (void)sig;
    add(&handled, 1);
}

/* Until the parent says that it is enough, by ending it. */
static pid_t sender(void) {
    pid_t pid = (pid_t)DONE(fork());
    while (!pid) {
        usleep(3000);
        if (getppid() == 1 || kill(getppid(), SIGUSR1))
            _exit(1);
    }
    return pid;
}

int main(void) {
    check_start();
    alarm(100);
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    id = (int)DONE(semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT));
    int (*calls[])(void) = {by_name, by_number};
    for (int i = 0; i < 2; i++) {
        set(&done, 0);
        pthread_t t = spawn(waiter, &calls[i]);
        pid_t pid = sender();
        wait_until(&done, 1);
        join(t);
        DONE(kill(pid, SIGKILL));
        WANT(waitpid(pid, NULL, 0), pid);
    }
    join(spawn(bad_time, NULL));
    CHECK(handled > 0, "no handler ran");
    DONE(semctl(id, 0, IPC_RMID));
    return 0;
}
