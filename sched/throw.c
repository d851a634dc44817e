/* throw.c - how the runtime says that something is wrong */
#include "sched/runtime.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>

static void say(const char *text, size_t n) { sys(SYS_write, 2, text, n); }

void complain(const char *fmt, ...) {
    char line[512];
    int n = snprintf(line, sizeof line, "gthread: ");
    va_list ap;
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    say(line, (size_t)n); /* one write: lines of several threads do not mix */
}

_Noreturn void throw(const char *msg) {
    static _Atomic bool thrown;
    complain("fatal: %s", msg);
    if (!atomic_exchange(&thrown, true) && sched_running()) {
        stats_print();
        dump_goroutines(2);
    }
    /* The default action, whatever the program has installed: its handler must not run on a
     * broken runtime. */
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } dfl = {0};
    sys(SYS_rt_sigaction, SIGABRT, &dfl, NULL, 8);
    unsigned long abrt = 1UL << (SIGABRT - 1);
    sys(SYS_rt_sigprocmask, SIG_UNBLOCK, &abrt, NULL, 8);
    sys(SYS_tgkill, sys(SYS_getpid), sys(SYS_gettid), SIGABRT);
    for (;;)
        sys(SYS_exit_group, 127);
}
