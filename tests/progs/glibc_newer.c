/* glibc_newer.c - what glibc 2.39 and 2.41 have added and the library has wrappers for: pidfd_spawn
 * and pidfd_spawnp give a child the mask of their thread, and a descriptor of it; sched_setattr and
 * sched_getattr are about the thread that they name. Where libc has no pidfd_spawn, the library's
 * fails with ENOSYS. */
#include "check.h"

#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
static int (*setattr)(pid_t, struct attr *, unsigned);
static int (*getattr)(pid_t, struct attr *, unsigned, unsigned);
static int (*spawn_path)(int *, const char *, const posix_spawn_file_actions_t *,
                         const posix_spawnattr_t *, char *const *, char *const *);
static int (*spawn_file)(int *, const char *, const posix_spawn_file_actions_t *,
                         const posix_spawnattr_t *, char *const *, char *const *);
static pid_t (*getpid_of)(int);
static int other_id, end;

static int glibc_minor(void) {
    int major = 0, minor = 0;
    sscanf(gnu_get_libc_version(), "%d.%d", &major, &minor);
    return minor;
}

/* The kernel itself is asked, on whichever kernel thread this one runs. */
static long kernel_policy(void) {
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(SYS_sched_getscheduler), "D"(0)
                     : "rcx", "r11", "memory");
    return r;
}

static void exits_with(int pidfd, int status) {
    siginfo_t info;
    DONE(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED));
    WANT(info.si_code, CLD_EXITED);
    WANT(info.si_status, status);
    if (getpid_of)
        WANT(getpid_of(pidfd), -1); /* it is gone */
    DONE(close(pidfd));
}

/* The child finds the mask that its thread has: one has SIGUSR1 in it, the other SIGUSR2. */
static void *spawns(void *arg) {
    int pidfd, signal = arg ? SIGUSR1 : SIGUSR2;
    char one[] = "/^SigBlk:.*200$/q1", two[] = "/^SigBlk:.*800$/q2";
    char *argv[] = {(char *)"sed", (char *)"-n",  (char *)"-e",
                    one,           (char *)"-e",  two,
                    (char *)"-e",  (char *)"$q3", (char *)"/proc/self/status",
                    NULL};
    char *nobody[] = {(char *)"nobody", NULL};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    OK(pthread_sigmask(SIG_SETMASK, &mask, NULL));
    if (glibc_minor() < 39) {
        ERR(spawn_path(&pidfd, "/bin/sed", NULL, NULL, argv, environ), ENOSYS);
        ERR(spawn_file(&pidfd, "sed", NULL, NULL, argv, environ), ENOSYS);
        return NULL;
    }
    OK(spawn_path(&pidfd, "/bin/sed", NULL, NULL, argv, environ));
    exits_with(pidfd, arg ? 1 : 2);
    OK(spawn_file(&pidfd, "sed", NULL, NULL, argv, environ));
    if (getpid_of)
        CHECK(getpid_of(pidfd) > 0, "pidfd_getpid: errno %d", errno);
    exits_with(pidfd, arg ? 1 : 2);
    ERR(spawn_path(&pidfd, "/nowhere/sed", NULL, NULL, argv, environ), ENOENT);
    ERR(spawn_file(&pidfd, "/nowhere/sed", NULL, NULL, nobody, environ), ENOENT);
    return NULL;
}

static void *other(void *arg) {
    set(&other_id, gettid());
    wait_until(&end, 1);
    WANT(kernel_policy(), SCHED_IDLE);
    return arg;
}

static void *own_policy(void *arg) {
    struct attr a = {.size = sizeof a};
    DONE(getattr(0, &a, sizeof a, 0));
    WANT(a.policy, SCHED_OTHER);
    CHECK(a.size >= 48, "expected 48 bytes or more, came %u", a.size);
    DONE(setattr(0, &a, 0)); /* nothing new */
    WANT(kernel_policy(), SCHED_OTHER);
    a.policy = SCHED_BATCH;
    DONE(setattr(gettid(), &a, 0));
    WANT(kernel_policy(), SCHED_BATCH);
    DONE(getattr(0, &a, sizeof a, 0));
    WANT(a.policy, SCHED_BATCH);
    return arg;
}

static void policies(void) {
    struct attr a = {.size = sizeof a};
    pthread_t thread = spawn(other, NULL);
    wait_until(&other_id, 1);
    join(spawn(own_policy, NULL));
    DONE(getattr(other_id, &a, sizeof a, 0));
    WANT(a.policy, SCHED_OTHER);
    a.policy = SCHED_IDLE;
    DONE(setattr(other_id, &a, 0));
    DONE(getattr(other_id, &a, sizeof a, 0));
    WANT(a.policy, SCHED_IDLE);
    WANT(kernel_policy(), SCHED_OTHER);
    set(&end, 1);
    join(thread);
    FAILS(getattr(0, &a, 8, 0), EINVAL);
    FAILS(getattr(0, &a, sizeof a, 1), EINVAL);
    FAILS(getattr(-1, &a, sizeof a, 0), EINVAL);
    FAILS(getattr(0, NULL, sizeof a, 0), EINVAL);
    FAILS(setattr(0, NULL, 0), EINVAL);
    FAILS(setattr(0, &a, 1), EINVAL);
    a.policy = 77;
    FAILS(setattr(0, &a, 0), EINVAL);
}

int main(void) {
    check_start();
    *(void **)&setattr = dlsym(RTLD_DEFAULT, "sched_setattr");
    *(void **)&getattr = dlsym(RTLD_DEFAULT, "sched_getattr");
    *(void **)&spawn_path = dlsym(RTLD_DEFAULT, "pidfd_spawn");
    *(void **)&spawn_file = dlsym(RTLD_DEFAULT, "pidfd_spawnp");
    *(void **)&getpid_of = dlsym(RTLD_DEFAULT, "pidfd_getpid");
    if (check_expects("lib"))
        CHECK(setattr && getattr && spawn_path && spawn_file, "a wrapper is not there");
    if (!setattr && !spawn_path)
        check_skip("this glibc is older than 2.39");
    if (setattr)
        policies();
    run_all(2, spawns);
    return 0;
}
