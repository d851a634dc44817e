/* setjmp_threads.c - setjmp and longjmp, with and without the signal mask, in many threads */
#include "check.h"

#include <setjmp.h>
#include <signal.h>

__attribute__((noinline)) static void jump_from(jmp_buf to, int depth, int value) {
    volatile char frame[100];
    frame[0] = (char)depth;
    if (depth > 0)
        jump_from(to, depth - 1, value);
    if (frame[0])
        return;    /* never: the innermost call jumps past all the others */
    sched_yield(); /* back on perhaps another kernel thread */
    longjmp(to, value);
}

static void *run(void *arg) {
    int me = (int)(intptr_t)arg + 1;
    jmp_buf back;
    volatile int jumps = 0; /* changed after setjmp: only volatile keeps it */
    int value = setjmp(back);
    WANT(value, jumps ? me + jumps : 0);
    if (jumps < 100) {
        jumps++;
        jump_from(back, jumps % 20, me + jumps);
    }
    WANT(jumps, 100);
    return NULL;
}

static void usr1_is(int blocked) {
    sigset_t mask;
    OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
    WANT(sigismember(&mask, SIGUSR1), blocked);
}

/* sigsetjmp saves the mask if asked to: the thread's own. */
static void *with_mask(void *arg) {
    sigjmp_buf back;
    sigset_t usr1;
    volatile int jumped = 0;
    int save = (int)(intptr_t)arg % 2;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    if (sigsetjmp(back, save) == 0) {
        OK(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
        sched_yield();
        usr1_is(1);
        jumped = 1;
        siglongjmp(back, 1);
    }
    WANT(jumped, 1);
    usr1_is(!save);
    sched_yield();
    usr1_is(!save);
    return NULL;
}

int main(void) {
    check_start();
    run_all(20, run);
    run_all(20, with_mask);
    usr1_is(0);
    return 0;
}
