/* cancel_during_handler.c - a cancellation that comes while a handler has interrupted a blocking
 * call: when the handler returns and the call goes on, it does not wait for ever */
#include "check.h"

#include <signal.h>

enum { ROUNDS = 30 };

static int fd[2], inside, in_handler, cancelled, cleaned;

static void handler(int sig) {
    (void)sig;
    int old;
    OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
    WANT(old, PTHREAD_CANCEL_ENABLE);
    add(&in_handler, 1);
    while (!get(&cancelled)) /* no cancellation point */
        sched_yield();
}

static void clean(void *arg) {
    (void)arg;
    add(&cleaned, 1);
}

static void *body(void *arg) {
    char c;
    pthread_cleanup_push(clean, NULL);
    set(&inside, 1);
    (void)!read(fd[0], &c, 1);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    check_fail("expected the thread to be cancelled");
    return arg;
}

int main(void) {
    check_start();
    DONE(pipe(fd));
    for (int i = 0; i < ROUNDS; i++) {
        int flags = i % 2 ? SA_RESTART : 0;
        DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = flags},
                       NULL));
        inside = in_handler = cancelled = 0;
        pthread_t t = spawn(body, NULL);
        wait_until(&inside, 1);
        pause_ms(2);
        OK(pthread_kill(t, SIGUSR1));
        wait_until(&in_handler, 1);
        OK(pthread_cancel(t));
        set(&cancelled, 1);
        /* glibc's own calls begin again there without looking for the request. */
        if (flags && check_cancel_signals() && check_expects("nptl"))
            WANT(write(fd[1], "x", 1), 1);
        CHECK(join(t) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
        WANT(get(&cleaned), i + 1);
    }
    return 0;
}
