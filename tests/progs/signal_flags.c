/* signal_flags.c - sigaction: SA_RESETHAND, SA_NODEFER, what it says of the old action, the siginfo
 * of each kind of sender, EINVAL; signal, sigset, sighold and relatives; the null signal */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include "check.h"

#include <signal.h>
#include <sys/wait.h>

static volatile int count, last_sig;
static volatile siginfo_t last;
static int last_value;

static void simple(int sig) {
    last_sig = sig;
    count++;
}

static void with_info(int sig, siginfo_t *info, void *context) {
    CHECK(context, "expected a context");
    last = *info;
    last_sig = sig;
    count++;
}

static bool blocked(int sig) {
    sigset_t is;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    return sigismember(&is, sig);
}

static void infos(void) {
    struct sigaction sa = {.sa_flags = SA_SIGINFO};
    sa.sa_sigaction = with_info;
    DONE(sigaction(SIGRTMIN, &sa, NULL));
    count = 0;
    WANT(raise(SIGRTMIN), 0);
    WANT(count, 1);
    WANT(last.si_code, SI_TKILL);
    WANT(last.si_pid, getpid());
    WANT(last.si_uid, getuid());
    OK(pthread_kill(pthread_self(), SIGRTMIN));
    WANT(count, 2);
    WANT(last.si_code, SI_TKILL);
    DONE(tgkill(getpid(), gettid(), SIGRTMIN));
    WANT(count, 3);
    WANT(last.si_code, SI_TKILL);
    OK(pthread_sigqueue(pthread_self(), SIGRTMIN, (union sigval){.sival_int = 77}));
    WANT(count, 4);
    WANT(last.si_code, SI_QUEUE);
    WANT(last.si_value.sival_int, 77);
    WANT(last.si_pid, getpid());
}

static void process_infos(void) {
    /* Only this thread does not block it: so it is the one, and it has run when kill returns. */
    count = 0;
    DONE(kill(getpid(), SIGRTMIN));
    WANT(count, 1);
    WANT(last.si_code, SI_USER);
    WANT(last.si_pid, getpid());
    DONE(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_ptr = &last_value}));
    WANT(count, 2);
    WANT(last.si_code, SI_QUEUE);
    CHECK(last.si_value.sival_ptr == &last_value, "expected the value");
    struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_RESTART};
    sa.sa_sigaction = with_info;
    DONE(sigaction(SIGCHLD, &sa, NULL));
    count = 0;
    pid_t pid = DONE(fork());
    if (!pid)
        _exit(7);
    for (int i = 0; i < 1000 && !*(volatile int *)&count; i++)
        pause_ms(1);
    WANT(count, 1);
    WANT(last.si_code, CLD_EXITED);
    WANT(last.si_pid, pid);
    WANT(last.si_status, 7);
    WANT(waitpid(pid, NULL, 0), pid);
    DONE(sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL));
}

static void resets(void) {
    struct sigaction sa = {.sa_handler = simple, .sa_flags = (int)SA_RESETHAND}, old;
    sigaddset(&sa.sa_mask, SIGHUP);
    DONE(sigaction(SIGURG, &sa, NULL));
    DONE(sigaction(SIGURG, NULL, &old));
    CHECK(old.sa_handler == simple && old.sa_flags & (int)SA_RESETHAND &&
              !(old.sa_flags & SA_SIGINFO),
          "expected the action back, came flags %x", (unsigned)old.sa_flags);
    WANT(sigismember(&old.sa_mask, SIGHUP), 1);
    WANT(sigismember(&old.sa_mask, SIGURG), 0);
    count = 0;
    WANT(raise(SIGURG), 0);
    WANT(raise(SIGURG), 0); /* by default ignored */
    WANT(count, 1);
    DONE(sigaction(SIGURG, NULL, &old));
    CHECK(old.sa_handler == SIG_DFL, "expected SIG_DFL after one signal");
}

static void old_interfaces(void) {
    CHECK(signal(SIGUSR1, simple) == SIG_DFL, "expected SIG_DFL before");
    count = 0;
    WANT(raise(SIGUSR1), 0);
    WANT(raise(SIGUSR1), 0);
    WANT(count, 2);
    CHECK(signal(SIGUSR1, SIG_IGN) == simple, "expected our handler back");
    WANT(raise(SIGUSR1), 0);
    WANT(count, 2);
    CHECK(sigset(SIGUSR1, simple) == SIG_IGN, "expected SIG_IGN back");
    CHECK(sigset(SIGUSR1, SIG_HOLD) == simple && blocked(SIGUSR1), "expected it to be held");
    WANT(raise(SIGUSR1), 0);
    WANT(count, 2);
    CHECK(sigset(SIGUSR1, simple) == SIG_HOLD && !blocked(SIGUSR1), "expected SIG_HOLD back");
    WANT(count, 3);
    DONE(sighold(SIGUSR1));
    CHECK(blocked(SIGUSR1), "expected it to be blocked");
    DONE(sigrelse(SIGUSR1));
    CHECK(!blocked(SIGUSR1), "expected it not to be blocked");
    DONE(sigignore(SIGUSR1));
    WANT(raise(SIGUSR1), 0);
    WANT(count, 3);
    CHECK(signal(SIGUSR1, SIG_DFL) == SIG_IGN, "expected SIG_IGN back");
}

static void errors(void) {
    struct sigaction sa = {.sa_handler = simple};
    FAILS(sigaction(0, &sa, NULL), EINVAL);
    FAILS(sigaction(65, &sa, NULL), EINVAL);
    FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL);
    FAILS(sigaction(SIGSTOP, &sa, NULL), EINVAL);
    FAILS(sigaction(SIGRTMIN - 1, &sa, NULL), EINVAL);
    DONE(sigaction(SIGKILL, NULL, &sa));
    CHECK(sa.sa_handler == SIG_DFL, "expected SIG_DFL for SIGKILL");
    CHECK(signal(SIGKILL, simple) == SIG_ERR && errno == EINVAL, "expected EINVAL");
    CHECK(signal(100, simple) == SIG_ERR && errno == EINVAL, "expected EINVAL");
    CHECK(sigset(SIGSTOP, simple) == SIG_ERR && errno == EINVAL, "expected EINVAL");
    WANT(raise(0), 0);
    OK(pthread_kill(pthread_self(), 0));
    DONE(kill(getpid(), 0));
    DONE(tgkill(getpid(), gettid(), 0));
    FAILS(raise(65), EINVAL);
    FAILS(raise(-1), EINVAL);
    ERR(pthread_kill(pthread_self(), -1), EINVAL);
    FAILS(kill(getpid(), 65), EINVAL);
    FAILS(tgkill(getpid(), -1, SIGUSR1), EINVAL);
    FAILS(tgkill(getpid(), 0x3fffffff, SIGUSR1), ESRCH);
    errno = 5;
    WANT(raise(SIGURG), 0);
    WANT(errno, 5);
}

static void *run(void *arg) {
    infos();
    resets();
    old_interfaces();
    errors();
    return arg;
}

int main(void) {
    check_start();
    sigset_t rt;
    sigemptyset(&rt);
    sigaddset(&rt, SIGRTMIN);
    join(spawn(run, NULL));
    run(NULL);
    process_infos();
    return 0;
}
