/* signal_start.c - a signal that waits for a new thread when it begins: its handler runs in a whole
 * thread (errno, pthread_self, ctype, thread-local objects, cleanup handlers), once, before or
 * after its first code; it may end the thread, whose result and destructors are as ever */
#include "check.h"

#include <ctype.h>
#include <signal.h>

enum { ROUNDS = 150 };

static int handled, destroyed, bodies;
static volatile int ends;
static pthread_key_t key;
static __thread volatile int value = 5;

static void destroy(void *p) {
    WANT((intptr_t)p, 9);
    add(&destroyed, 1);
}

static void handler(int sig) {
    (void)sig;
    errno = EBADF;
    WANT(value, 5);
    value = 6;
    CHECK(isdigit('7') && !isdigit('x'), "expected ctype to work");
    OK(pthread_setspecific(key, as_pointer(9)));
    add(&handled, 1);
    if (ends)
        pthread_exit(as_pointer(77));
}

static void *body(void *arg) {
    add(&bodies, 1);
    while (value == 5) /* the handler is ours and comes */
        sched_yield();
    return arg;
}

int main(void) {
    check_start();
    OK(pthread_key_create(&key, destroy));
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        ends = i % 2;
        pthread_t t = spawn(body, as_pointer(33));
        int err = pthread_kill(t, SIGUSR1);
        OK(err);
        intptr_t result = (intptr_t)join(t);
        WANT(result, ends ? 77 : 33);
        WANT(get(&handled), i + 1);
        WANT(get(&destroyed), i + 1);
    }
    return 0;
}
