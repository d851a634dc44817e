/* stack_overflow.c - running over the stack's end is a SIGSEGV in the guard just below the stack */
#include "check.h"

#include <signal.h>
#include <sys/wait.h>

enum { SIZE = 256 << 10 };

static const char *low; /* the stack's low end, as pthread_getattr_np tells it */

static void segv(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)context;
    const char *at = info->si_addr;
    /* Within 64 KB: a frame may step over some of it, but no neighbour's stack may be hit. */
    if (at < low && at >= low - 65536)
        _exit(42);
    dprintf(2, "fault at %p, stack begins at %p\n", (const void *)at, (const void *)low);
    _exit(43);
}

__attribute__((noinline)) static int endless(volatile int *up) {
    volatile int here[64];
    here[0] = *up + 1;
    if (here[0] < 0) /* never, but the compiler must not know */
        return 0;
    int below = endless(here);
    return below + here[0];
}

static void *overflow(void *arg) {
    static char alternate[64 << 10]; /* the handler needs a stack that is not full */
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_sigaction = segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    pthread_attr_t attr;
    void *where;
    size_t size;
    volatile int start = 0;
    if (arg) {
        DONE(sigaltstack(&stack, NULL));
        DONE(sigaction(SIGSEGV, &action, NULL));
    }
    OK(pthread_getattr_np(pthread_self(), &attr));
    OK(pthread_attr_getstack(&attr, &where, &size));
    low = where;
    return as_pointer(endless(&start));
}

static void *neighbour(void *arg) {
    pause_ms(100000);
    return arg;
}

/* In a child, forked before there are threads; gives its status. */
static int child(bool with_handler) {
    pid_t pid = (pid_t)DONE(fork());
    if (pid == 0) {
        alarm(50);
        pthread_attr_t attr;
        pthread_t threads[5];
        OK(pthread_attr_init(&attr));
        OK(pthread_attr_setstacksize(&attr, SIZE));
        for (int i = 0; i < 5; i++) /* live stacks on both sides of the one that overflows */
            threads[i] = spawn_with(&attr, i == 2 ? overflow : neighbour, as_pointer(with_handler));
        join(threads[2]);
        check_fail("expected the overflow to kill the process");
    }
    int status;
    WANT(waitpid(pid, &status, 0), pid);
    return status;
}

int main(void) {
    check_start();
    int status = child(false);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
          "expected death by SIGSEGV, came status %x", status);
    status = child(true);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42,
          "expected the handler to see a fault just below the stack, came status %x", status);
    return 0;
}
