/* s5_unwind_through_handler.cc - DANGERS S5: an exception thrown in a handler, pthread_exit,
 * cancellation and a backtrace go through the handler's frame to the code it interrupted:
 * destructors there run needs: time
 *
 * Compiled with -fnon-call-exceptions: what faults may throw. */
#include "check.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>

enum { ROUNDS = 200 };

static int destroyed, found;
static volatile int *volatile nowhere = (int *)8;
/* Declared as never throwing, which is so only without signals. */
static int (*volatile send)(pthread_t, int) = pthread_kill;

struct object {
    ~object() { add(&destroyed, 1); }
};

static void throws(int) { throw 42; }

static void exits(int) { pthread_exit((void *)7L); }

static void tests_cancel(int) { pthread_testcancel(); }

static void faulting();
static const size_t faulting_size = 64; /* at most; its first instructions fault */

static void traces(int, siginfo_t *, void *) {
    void *at[50];
    int n = backtrace(at, 50);
    for (int i = 0; i < n; i++)
        if ((uintptr_t)at[i] - (uintptr_t)faulting < faulting_size)
            add(&found, 1);
    throw 1;
}

/* A synchronous fault in code compiled with -fnon-call-exceptions is a throw of that code's. */
__attribute__((noinline)) static void faulting() {
    object o;
    *nowhere = 1;
}

static void install(int sig, void (*fn)(int)) {
    struct sigaction sa = {};
    sa.sa_handler = fn;
    sa.sa_flags = SA_NODEFER;
    DONE(sigaction(sig, &sa, nullptr));
}

static void *catches(void *arg) {
    int caught = 0;
    for (int i = 0; i < ROUNDS; i++) {
        try {
            object o;
            send(pthread_self(), SIGUSR1);
            check_fail("expected the handler to throw");
        } catch (int v) {
            caught += v == 42;
        }
    }
    WANT(caught, ROUNDS);
    return arg;
}

static void *traced(void *arg) {
    for (int i = 0; i < 20; i++)
        try {
            faulting();
        } catch (int) {
        }
    return arg;
}

static void *exiting(void *arg) {
    object o;
    send(pthread_self(), SIGUSR2);
    check_fail("expected the handler to end the thread, not %p", arg);
}

static void *cancelled(void *arg) {
    object o;
    pthread_cancel(pthread_self());
    send(pthread_self(), SIGALRM);
    check_fail("expected the handler to end the thread, not %p", arg);
}

int main() {
    check_start();
    install(SIGUSR1, throws);
    install(SIGUSR2, exits);
    alarm(0);
    install(SIGALRM, tests_cancel);
    struct sigaction sa = {};
    sa.sa_sigaction = traces;
    sa.sa_flags = SA_SIGINFO | SA_NODEFER;
    DONE(sigaction(SIGSEGV, &sa, nullptr));
    pthread_t catchers[4];
    spawn_all(catchers, 4, catches);
    join_all(catchers, 4);
    WANT(get(&destroyed), 4 * ROUNDS);
    pthread_t t = spawn(traced, nullptr);
    join(t);
    WANT(get(&destroyed), 4 * ROUNDS + 20);
    CHECK(get(&found) >= 20, "expected backtraces to name the interrupted function, came %d",
          get(&found));
    for (int i = 0; i < 50; i++) {
        void *result;
        t = spawn(exiting, nullptr);
        OK(pthread_join(t, &result));
        WANT((long)result, 7);
        t = spawn(cancelled, nullptr);
        OK(pthread_join(t, &result));
        CHECK(result == PTHREAD_CANCELED, "expected PTHREAD_CANCELED, came %p", result);
    }
    WANT(get(&destroyed), 4 * ROUNDS + 120);
    return 0;
}
