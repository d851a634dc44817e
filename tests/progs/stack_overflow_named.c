/* stack_overflow_named.c - a thread that runs over its stack is named on stderr before the process
 * dies of it by SIGSEGV as ever; nothing is said of other faults, nor where the program has a
 * handler
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SIZE = 256 << 10 };

__attribute__((noinline)) static int endless(volatile int *up) {
    volatile int here[64];
    here[0] = *up + 1;
    if (here[0] < 0) /* never, but the compiler must not know */
        return 0;
    int below = endless(here);
    return below + here[0];
}

static void run_over(void) {
    volatile int start = 0;
    endless(&start);
}

static void *deep(void *arg) {
    OK(pthread_setname_np(pthread_self(), "deep"));
    run_over();
    return arg;
}

static void *in_library(void *arg) {
    OK(pthread_setname_np(pthread_self(), "deep"));
    char *all = alloca(SIZE - 12000); /* little is left: libc and the library need more */
    for (int depth = 0;; depth++) {
        all = alloca(256);
        all[0] = (char)depth;
        pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        OK(pthread_mutex_lock(&mutex));
        OK(pthread_mutex_unlock(&mutex));
    }
    return arg;
}

static void *null_pointer(void *arg) {
    *(volatile int *)arg = 1;
    return arg;
}

static void *sends_it(void *arg) {
    DONE(kill(getpid(), SIGSEGV));
    pause();
    return arg;
}

static void handler(int sig) {
    (void)sig;
    signal(SIGSEGV, SIG_DFL); /* the fault comes again */
    _exit(42);
}

static void *handled(void *arg) {
    static char alternate[64 << 10];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    DONE(sigaltstack(&stack, NULL));
    DONE(sigaction(SIGSEGV, &action, NULL));
    run_over();
    return arg;
}

static void *nothing(void *arg) { return arg; }

static char said[2000];

/* Runs it in a child, in a thread, or (NULL) the overflow in the first thread after one was made;
 * what comes on stderr is in `said`. Returns the status. */
static int child(void *(*run)(void *)) {
    int ends[2], status;
    DONE(pipe(ends));
    pid_t pid = (pid_t)DONE(fork());
    if (pid == 0) {
        pthread_attr_t attr;
        struct rlimit none = {0}; /* no core files */
        alarm(50);
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], 2);
        OK(pthread_attr_init(&attr));
        OK(pthread_attr_setstacksize(&attr, SIZE));
        OK(pthread_setname_np(pthread_self(), "the-first"));
        join(spawn_with(&attr, run ? run : nothing, NULL));
        run_over();
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = DONE(read(ends[0], said + n, sizeof said - 1 - n))) > 0;)
        n += (size_t)got;
    said[n] = 0;
    close(ends[0]);
    WANT(waitpid(pid, &status, 0), pid);
    return status;
}

static void want_death(const char *what, int status) {
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
          "%s: expected death by SIGSEGV, came status %x, %s", what, status, said);
}

static void want_line(const char *what, const char *name) {
    unsigned long lo = 0, hi = 0, kb = 0;
    char came[20] = "";
    int tid, pid, end = 0;
    if (!check_expects("lib")) {
        CHECK(!said[0], "%s: expected silence, came: %s", what, said);
        return;
    }
    sscanf(said,
           "gthread: stack overflow: thread %d \"%16[^\"]\" of process %d has used up its stack of "
           "%lu kB, 0x%lx to 0x%lx\n%n",
           &tid, came, &pid, &kb, &lo, &hi, &end);
    CHECK(end && !said[end], "%s: expected one line about the overflow, came: %s", what, said);
    CHECK(strcmp(came, name) == 0, "%s: expected %s, came: %s", what, name, said);
    CHECK(hi - lo == kb << 10 && kb >= 200, "%s: the bounds do not fit: %s", what, said);
}

int main(void) {
    check_start();
    want_death("a thread", child(deep));
    want_line("a thread", "deep");
    want_death("in calls", child(in_library));
    want_line("in calls", "deep");
    struct rlimit limit;
    DONE(getrlimit(RLIMIT_STACK, &limit));
    if (limit.rlim_cur != RLIM_INFINITY) {
        want_death("the first thread", child(NULL));
        want_line("the first thread", "the-first");
    }
    want_death("a null pointer", child(null_pointer));
    CHECK(!said[0], "a null pointer: expected silence, came: %s", said);
    want_death("sent", child(sends_it));
    CHECK(!said[0], "sent: expected silence, came: %s", said);
    int status = child(handled);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42 && !said[0],
          "with a handler: expected its status 42 and silence, came %x, %s", status, said);
    return 0;
}
