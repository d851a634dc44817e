/* cond_handler_cancel.c - a wait for a condition that a handler has interrupted, and that is then
 * cancelled, while the handler runs (it returns) or in it (it waits itself): the mutex is the
 * thread's when its cleanup handlers run, and a signal meanwhile goes to another waiter. Timed
 * waits and plain ones, of private and process-shared conditions (of those only the former case:
 * glibc's wait has a moment between its unlock and its cleanup handler).
 *
 * That moment, between the unlock and the sleep, is in its other case too: a handler that comes
 * then returns to a wait that finds the signal before it has come to act on the cancellation, and
 * returns (POSIX, 2.9.5.2, leaves that open). Then the signal was not lost but used, and the next
 * wait is cancelled. Not so in waits of the library's own.
 */
#include "check.h"

#include <semaphore.h>
#include <signal.h>

static pthread_mutex_t mutex;
static pthread_cond_t cond;
static int waiting, in_handler, cancelled, cleaned, other_woken, returned;
static bool handler_waits, timed;

static void handler(int sig) {
    (void)sig;
    set(&in_handler, 1);
    while (!get(&cancelled)) /* no cancellation point */
        for (volatile int i = 0; i < 1000; i++)
            continue;
    if (handler_waits)
        for (;;)
            pause_ms(1);
}

static void cleanup(void *arg) {
    (void)arg;
    set(&cleaned, 1);
    OK(pthread_mutex_unlock(&mutex)); /* error-checking: it is ours */
}

static void *waits(void *arg) {
    struct timespec end = time_in(CLOCK_REALTIME, 50000);
    OK(pthread_mutex_lock(&mutex));
    pthread_cleanup_push(cleanup, NULL);
    add(&waiting, 1);
    for (;; add(&returned, get(&cancelled)))
        OK(timed ? pthread_cond_timedwait(&cond, &mutex, &end) : pthread_cond_wait(&cond, &mutex));
    pthread_cleanup_pop(0);
    return arg;
}

static void *other(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    add(&waiting, 1);
    while (!get(&cancelled)) /* a spurious wake-up would not be one by the signal */
        OK(pthread_cond_wait(&cond, &mutex));
    set(&other_woken, 1);
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void once(int shared) {
    pthread_mutexattr_t ma;
    pthread_condattr_t ca;
    OK(pthread_mutexattr_init(&ma));
    OK(pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK));
    OK(pthread_mutexattr_setpshared(&ma, shared));
    OK(pthread_mutex_init(&mutex, &ma));
    OK(pthread_condattr_init(&ca));
    OK(pthread_condattr_setpshared(&ca, shared));
    OK(pthread_cond_init(&cond, &ca));
    waiting = in_handler = cancelled = cleaned = other_woken = returned = 0;
    pthread_t t = spawn(waits, NULL);
    wait_until(&waiting, 1);
    pthread_t o = spawn(other, NULL);
    wait_until(&waiting, 2);
    OK(pthread_mutex_lock(&mutex)); /* both wait */
    OK(pthread_mutex_unlock(&mutex));
    if (handler_waits)
        pause_ms(20); /* NPTL's, too */
    OK(pthread_kill(t, SIGUSR1));
    wait_until(&in_handler, 1);
    OK(pthread_cancel(t));
    OK(pthread_mutex_lock(&mutex));
    set(&cancelled, 1);
    OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    WANT(join(t) == PTHREAD_CANCELED, 1);
    WANT(get(&cleaned), 1);
    if (shared || !check_expects("lib")) {
        CHECK(get(&returned) <= 1, "one signal, but %d returns", get(&returned));
        if (get(&returned))
            OK(pthread_cond_signal(&cond));
    } else {
        WANT(get(&returned), 0);
    }
    join(o);
    WANT(get(&other_woken), 1);
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_cond_destroy(&cond)); /* hangs if a waiter is still counted */
    OK(pthread_mutex_destroy(&mutex));
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_handler = handler};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    for (int i = 0; i < 12; i++) {
        handler_waits = i % 3 == 1;
        timed = i & 1;
        once(i % 3 == 2 ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
    }
    return 0;
}
