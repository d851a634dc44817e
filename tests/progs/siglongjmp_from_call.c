/* siglongjmp_from_call.c - a signal handler that leaves a blocking call by siglongjmp, also from an
 * alternate stack: the thread goes on, can block again and end */
#include "check.h"

#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>

enum { ROUNDS = 50 };

static int inside, jumped, fd[2];
static __thread sigjmp_buf back;
static sem_t sem;

static void leave(int sig) {
    (void)sig;
    siglongjmp(back, 1);
}

static void *reader(void *alternate) {
    stack_t ss = {.ss_sp = alternate, .ss_size = 1 << 16};
    if (alternate)
        DONE(sigaltstack(&ss, NULL));
    for (volatile int i = 1; i <= ROUNDS; i++) {
        char c;
        if (!sigsetjmp(back, 1)) {
            set(&inside, i);
            (void)!read(fd[0], &c, 1);
            check_fail("expected read never to return");
        }
        set(&jumped, i);
        sched_yield();
        DONE(sem_wait(&sem));
    }
    if (alternate)
        DONE(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
    return NULL;
}

static void run(void *alternate) {
    set(&inside, 0);
    set(&jumped, 0);
    pthread_t thread = spawn(reader, alternate);
    for (int i = 1; i <= ROUNDS; i++) {
        wait_until(&inside, i);
        /* A signal before the call would be handled as well: it jumps from wherever it is. */
        pause_ms(2);
        OK(pthread_kill(thread, SIGUSR1));
        wait_until(&jumped, i);
        DONE(sem_post(&sem));
    }
    join(thread);
}

int main(void) {
    check_start();
    DONE(pipe(fd));
    DONE(sem_init(&sem, 0, 0));
    struct sigaction sa = {.sa_handler = leave};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    run(NULL);
    sa.sa_flags = SA_ONSTACK;
    DONE(sigaction(SIGUSR1, &sa, NULL));
    run(malloc(1 << 16));
    return 0;
}
