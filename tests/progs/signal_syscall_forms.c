/* signal_syscall_forms.c - the calls about signals by number, through syscall(): they mean the
 * calling thread's mask, stack, queue and the program's actions, as the functions do, and mix with
 * them */
#include "check.h"

#include <signal.h>
#include <sys/syscall.h>

enum { THREADS = 6, ROUNDS = 20 };

static __thread volatile int handled;

static void handler(int sig) {
    (void)sig;
    handled++;
}

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static void *run(void *arg) {
    uint64_t usr1 = 1ULL << (SIGUSR1 - 1), rt = 1ULL << (SIGRTMIN - 1), is, none = 0;
    static char alternate[THREADS + 1][1 << 14];
    char *stack = alternate[(intptr_t)arg];
    for (int i = 0; i < ROUNDS; i++) {
        handled = 0;
        DONE(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &usr1, &is, 8));
        sigset_t set;
        OK(pthread_sigmask(SIG_BLOCK, NULL, &set));
        CHECK(sigismember(&set, SIGUSR1) && !sigismember(&set, SIGUSR2), "expected our mask");
        FAILS(syscall(SYS_rt_sigprocmask, 9, &usr1, NULL, 8), EINVAL);
        DONE(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
        DONE(syscall(SYS_tkill, gettid(), SIGUSR1));
        sched_yield();
        DONE(syscall(SYS_rt_sigpending, &is, 8));
        CHECK(is & usr1, "expected SIGUSR1 to be pending");
        FAILS(syscall(SYS_rt_sigsuspend, &none, 8), EINTR);
        WANT(handled, 1);
        siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE};
        info.si_pid = getpid();
        info.si_value.sival_int = i;
        DONE(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &rt, NULL, 8));
        DONE(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN, &info));
        memset(&info, 0, sizeof info);
        struct timespec zero = {0, 0};
        WANT(syscall(SYS_rt_sigtimedwait, &rt, &info, &zero, 8), SIGRTMIN);
        WANT(info.si_value.sival_int, i);
        FAILS(syscall(SYS_rt_sigtimedwait, &rt, &info, &zero, 8), EAGAIN);
        stack_t ss = {.ss_sp = stack, .ss_size = 1 << 14}, old;
        DONE(syscall(SYS_sigaltstack, &ss, NULL));
        DONE(sigaltstack(NULL, &old));
        CHECK(old.ss_sp == stack, "expected our stack");
        DONE(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8));
        FAILS(syscall(SYS_tgkill, getpid(), gettid(), 65), EINVAL);
        FAILS(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
    }
    return arg;
}

int main(void) {
    check_start();
    struct kernel_action old;
    struct sigaction sa;
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    join(spawn(run, as_pointer(THREADS)));
    DONE(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
    CHECK(old.handler == handler, "expected our handler");
    old.mask = 1ULL << (SIGHUP - 1);
    DONE(syscall(SYS_rt_sigaction, SIGRTMIN, &old, NULL, 8));
    DONE(sigaction(SIGRTMIN, NULL, &sa));
    CHECK(sa.sa_handler == handler && sigismember(&sa.sa_mask, SIGHUP), "expected our action");
    FAILS(syscall(SYS_rt_sigaction, SIGKILL, &old, NULL, 8), EINVAL);
    FAILS(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 4), EINVAL);
    run_all(THREADS, run);
    handled = 0;
    DONE(syscall(SYS_kill, getpid(), SIGUSR1));
    WANT(handled, 1);
    return 0;
}
