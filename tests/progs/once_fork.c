/* once_fork.c - a fork while another thread is inside pthread_once's routine: the child, where that
 * thread does not exist, runs the routine itself */
#include "util.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int inside, go_on, runs;

static void routine(void) {
    add(&runs, 1);
    set(&inside, 1);
    wait_until(&go_on, 1);
}

static void *first(void *arg) {
    OK(pthread_once(&once, routine));
    return arg;
}

int main(void) {
    check_start();
    pthread_t thread = spawn(first, NULL);
    wait_until(&inside, 1);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        set(&go_on, 1);
        OK(pthread_once(&once, routine));
        WANT(runs, 2);
        run_all(3, first);
        WANT(runs, 2);
        _exit(0);
    }
    child_exits(pid, 0);
    set(&go_on, 1);
    join(thread);
    OK(pthread_once(&once, routine));
    WANT(runs, 1);
    return 0;
}
