/* main_exit_robust_pi.c - main ends by pthread_exit with a robust mutex of PTHREAD_PRIO_INHERIT:
 * who waits for it, a thread or another process, gets it with EOWNERDEAD at once, not only when the
 * process ends; and the process, whose first kernel thread may be gone, goes on as any.
 */
#include "util.h"

#include <signal.h>
#include <sys/mman.h>

#define WAITERS 0x80000000u /* FUTEX_WAITERS */

struct shared {
    pthread_mutex_t mutex;
    int got, handled;
};
static struct shared *shared;
static pthread_t main_thread;

/* Somebody is in the kernel, which says so in the word. */
static void wait_for_waiter(void) {
    while (!((unsigned)get(&shared->mutex.__data.__lock) & WAITERS))
        pause_ms(1);
}

static void *take_over(void *arg) {
    ERR(pthread_mutex_lock(&shared->mutex), EOWNERDEAD);
    OK(pthread_mutex_consistent(&shared->mutex));
    OK(pthread_mutex_unlock(&shared->mutex));
    set(&shared->got, 1);
    return arg;
}

static void *brief(void *arg) { return arg; }

static void handler(int sig) {
    (void)sig;
    add(&shared->handled, 1);
}

/* After main: the process can do what others can. */
static void *goes_on(void *arg) {
    void *result;
    OK(pthread_join(main_thread, &result));
    WANT(result, 17);
    wait_until(&shared->got, 1);
    for (int i = 0; i < 20; i++)
        run_all(4, brief);
    DONE(kill(getpid(), SIGUSR1));
    wait_until(&shared->handled, 1);
    DONE(setresuid(getuid(), geteuid(), geteuid()));
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        run_all(2, brief);
        _exit(5);
    }
    child_exits(pid, 5);
    return arg;
}

/* In a child: main, the only thread that locks in it unless the waiter is a thread too. */
static void process(bool waiter_is_thread) {
    alarm(50);
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    main_thread = pthread_self();
    OK(pthread_mutex_lock(&shared->mutex));
    spawn(goes_on, NULL);
    if (waiter_is_thread)
        spawn(take_over, NULL);
    wait_for_waiter();
    pthread_exit(as_pointer(17));
}

static void with_waiter(bool thread) {
    pthread_mutexattr_t a;
    memset(shared, 0, sizeof *shared);
    OK(pthread_mutexattr_init(&a));
    OK(pthread_mutexattr_setpshared(&a, thread ? PTHREAD_PROCESS_PRIVATE : PTHREAD_PROCESS_SHARED));
    OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
    OK(pthread_mutex_init(&shared->mutex, &a));
    pid_t other = 0, pid = (pid_t)DONE(fork());
    if (!pid)
        process(thread);
    if (!thread && !(other = (pid_t)DONE(fork()))) {
        alarm(50);
        while (!get(&shared->mutex.__data.__lock))
            pause_ms(1);
        take_over(NULL);
        _exit(0);
    }
    child_exits(pid, 0);
    if (other)
        child_exits(other, 0);
}

int main(void) {
    check_start();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED, "mmap: errno %d", errno);
    with_waiter(true);
    with_waiter(false);
    return 0;
}
