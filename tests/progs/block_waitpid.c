/* block_waitpid.c - threads blocked in waitpid() and its kin, each on a child of its own */
#include "util.h"

enum { N = 20 };

static int arrived, ended, pipes[N][2];
static pid_t children[N];

static void *waiter(void *arg) {
    int me = (int)(intptr_t)arg;
    siginfo_t info;
    add(&arrived, 1);
    if (me % 2) {
        child_exits(children[me], me);
    } else {
        DONE(waitid(P_PID, (id_t)children[me], &info, WEXITED));
        WANT(info.si_code, CLD_EXITED);
        WANT(info.si_status, me);
        WANT(info.si_pid, children[me]);
    }
    add(&ended, 1);
    return NULL;
}

/* Lets the children go, the last first, while all the waiters wait. */
static void *releaser(void *arg) {
    wait_until(&arrived, N);
    pause_ms(20);
    WANT(get(&ended), 0);
    for (int i = N - 1; i >= 0; i--) {
        DONE(close(pipes[i][1]));
        wait_until(&ended, N - i);
    }
    return arg;
}

int main(void) {
    check_start();
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        DONE(pipe2(pipes[i], O_CLOEXEC));
    for (int i = 0; i < N; i++) {
        children[i] = (pid_t)DONE(fork()); /* before there are threads */
        if (children[i] == 0) {
            char c;
            alarm(50);
            for (int k = 0; k < N; k++)
                close(pipes[k][1]);
            _exit(read(pipes[i][0], &c, 1) == 0 ? i : 99);
        }
    }
    spawn_all(threads, N, waiter);
    join(spawn(releaser, NULL));
    join_all(threads, N);
    FAILS(waitpid(-1, NULL, 0), ECHILD);
    return 0;
}
