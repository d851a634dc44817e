/* signal_altstack.c - alternate signal stacks, each thread's own: where handlers run with and
 * without SA_ONSTACK, what sigaltstack says in and outside of them, EPERM while on it,
 * SS_AUTODISARM, nested handlers on one, a handler there that waits while others use theirs, and
 * its limits */
#include "check.h"

#include <signal.h>
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { THREADS = 8, ROUNDS = 30, SIZE = 1 << 16 };

static __thread char *mine, *spare;
static __thread volatile int ran, want_auto;

static bool inside(const char *stack, const void *p) {
    return (const char *)p >= stack && (const char *)p < stack + SIZE;
}

static void on_alternate(int sig, siginfo_t *info, void *context) {
    char here;
    ucontext_t *uc = context;
    stack_t now;
    CHECK(inside(mine, &here), "expected to run on the alternate stack");
    CHECK(inside(mine, info) && inside(mine, uc), "expected the frame on the alternate stack");
    CHECK(uc->uc_stack.ss_sp == mine && uc->uc_stack.ss_size == SIZE,
          "expected uc_stack to be the alternate stack");
    for (int i = 0; i < 5; i++) /* others run on their stacks meanwhile, also of this M */
        sched_yield();
    DONE(sigaltstack(NULL, &now));
    if (want_auto) {
        CHECK(now.ss_flags & SS_DISABLE, "expected it to be disarmed, came flags %x",
              (unsigned)now.ss_flags);
        DONE(sigaltstack(&(stack_t){.ss_sp = spare, .ss_size = SIZE}, NULL));
    } else {
        WANT(now.ss_flags, SS_ONSTACK);
        CHECK(now.ss_sp == mine, "expected our stack");
        FAILS(sigaltstack(&(stack_t){.ss_sp = spare, .ss_size = SIZE}, NULL), EPERM);
        FAILS(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), EPERM);
    }
    ran++;
    if (sig == SIGUSR1)
        WANT(raise(SIGHUP), 0);
}

/* SA_ONSTACK, while a handler is on the stack already: goes on below it. With AUTODISARM: on the
 * one that the first handler has named. */
static void nested(int sig) {
    char here;
    WANT(sig, SIGHUP);
    CHECK(inside(want_auto ? spare : mine, &here), "expected the nested handler on the stack");
    ran++;
}

static void on_normal(int sig) {
    char here;
    WANT(sig, SIGUSR2);
    CHECK(!inside(mine, &here) && !inside(spare, &here), "expected to run on the normal stack");
    stack_t now;
    DONE(sigaltstack(NULL, &now));
    WANT(now.ss_flags, want_auto ? SS_DISABLE : 0); /* any handler disarms it */
    ran++;
}

static void limits(void) {
    stack_t old;
    FAILS(sigaltstack(&(stack_t){.ss_sp = mine, .ss_size = 1000}, NULL), ENOMEM);
    FAILS(sigaltstack(&(stack_t){.ss_sp = mine, .ss_size = SIZE, .ss_flags = 0x40}, NULL), EINVAL);
    DONE(sigaltstack(&(stack_t){.ss_sp = mine, .ss_size = SIZE}, NULL));
    DONE(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, &old));
    CHECK(old.ss_sp == mine && old.ss_size == SIZE && old.ss_flags == 0,
          "expected the old stack back");
    DONE(sigaltstack(NULL, &old));
    CHECK(old.ss_flags & SS_DISABLE, "expected SS_DISABLE");
}

static void *run(void *arg) {
    mine = malloc(SIZE);
    spare = malloc(SIZE);
    limits();
    for (int i = 0; i < ROUNDS; i++) {
        want_auto = i % 2;
        stack_t ss = {.ss_sp = mine, .ss_size = SIZE}, now;
        if (want_auto)
            ss.ss_flags = (int)SS_AUTODISARM;
        DONE(sigaltstack(&ss, NULL));
        ran = 0;
        WANT(raise(SIGUSR1), 0);
        WANT(ran, 2);
        WANT(raise(SIGUSR2), 0);
        WANT(ran, 3);
        DONE(sigaltstack(NULL, &now));
        CHECK(now.ss_sp == mine && now.ss_size == SIZE && now.ss_flags == ss.ss_flags,
              "expected the stack to be as before the handler, came flags %x",
              (unsigned)now.ss_flags);
    }
    DONE(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
    free(mine);
    free(spare);
    return arg;
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_flags = SA_ONSTACK | SA_SIGINFO};
    sa.sa_sigaction = on_alternate;
    DONE(sigaction(SIGUSR1, &sa, NULL));
    DONE(
        sigaction(SIGHUP, &(struct sigaction){.sa_handler = nested, .sa_flags = SA_ONSTACK}, NULL));
    DONE(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = on_normal}, NULL));
    run_all(THREADS, run);
    run(NULL);
    return 0;
}
