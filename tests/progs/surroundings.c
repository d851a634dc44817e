/* surroundings.c - threads work where a process has little: locked memory, an address space limit,
 * no more processes, few descriptors, another root, no /proc, a filter that refuses what threads of
 * the system would not use. Set up before the first thread and, where that means something, after
 */
#include "check.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { N = 20 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int here, go, left, pipes[2];
static char dir[] = "/tmp/surroundings.XXXXXX";

/* Waits in memory, for time and for a descriptor, and computes. */
static void *works(void *arg) {
    char c = 'x';
    volatile unsigned n = 0;
    OK(pthread_mutex_lock(&mutex));
    here++;
    OK(pthread_cond_broadcast(&cond));
    while (!go)
        OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    pause_ms(1);
    WANT(read(pipes[0], &c, 1), 1);
    while (++n < 100000)
        continue;
    WANT(write(pipes[1], &c, 1), 1);
    sched_yield();
    add(&left, 1);
    return arg;
}

static void start(pthread_t *threads) {
    pthread_attr_t attr;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstacksize(&attr, 128 << 10));
    for (int i = 0; i < N; i++)
        threads[i] = spawn_with(&attr, works, NULL);
    OK(pthread_mutex_lock(&mutex));
    while (here < N)
        OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
}

static void finish(pthread_t *threads) {
    OK(pthread_mutex_lock(&mutex));
    go = 1;
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&mutex));
    pause_ms(2);
    WANT(write(pipes[1], "abc", 3), 3);
    join_all(threads, N);
    WANT(left, N);
}

/* ---- the surroundings; false: this machine does not allow it ---- */

static bool locked(void) { return mlockall(MCL_CURRENT | MCL_FUTURE) == 0; }

static bool little_address_space(void) {
    struct rlimit limit = {256 << 20, 256 << 20};
    return setrlimit(RLIMIT_AS, &limit) == 0;
}

static bool no_more_processes(void) {
    struct rlimit limit = {0, 0};
    return setrlimit(RLIMIT_NPROC, &limit) == 0 && setresuid(65534, 65534, 65534) == 0;
}

static bool few_descriptors(void) {
    struct rlimit limit = {12, 12};
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static bool other_root(void) { return chroot(dir) == 0 && chdir("/") == 0; }

static bool no_proc(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/proc", "tmpfs", 0, NULL) == 0 && access("/proc/self", F_OK) < 0;
}

static bool read_only_proc(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("proc", "/proc", "proc", MS_RDONLY, NULL) == 0;
}

#define REFUSE(nr)                                                                                 \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),                                               \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static bool filtered(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(SYS_membarrier),
        REFUSE(SYS_epoll_create1),
        REFUSE(SYS_epoll_ctl),
        REFUSE(SYS_epoll_pwait2),
        REFUSE(SYS_eventfd2),
        REFUSE(SYS_sched_getattr),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static const struct surrounding {
    const char *name;
    bool (*enter)(void);
    bool before, after;
} surroundings[] = {
    {"mlockall", locked, true, true},
    {"RLIMIT_AS", little_address_space, true, true},
    {"RLIMIT_NPROC", no_more_processes, false, true},
    {"RLIMIT_NOFILE", few_descriptors, true, true},
    {"chroot", other_root, true, true},
    {"no /proc", no_proc, true, false},
    {"read-only /proc", read_only_proc, true, false},
    {"filter", filtered, true, false},
};

/* A chaos seed makes reads wait in the kernel, each on a kernel thread, which there cannot be. */
static bool starves(const struct surrounding *s, bool after) {
    const char *debug = getenv("GTHREAD_DEBUG");
    return after && (s->enter == no_more_processes || s->enter == little_address_space) && debug &&
           strstr(debug, "chaos");
}

/* In a child: status 77 where it cannot be had. */
static void run(const struct surrounding *s, bool after) {
    pthread_t threads[N];
    alarm(50);
    if (starves(s, after) || (!after && !s->enter()))
        _exit(77);
    DONE(pipe(pipes));
    start(threads);
    if (after && !s->enter())
        _exit(77);
    finish(threads);
    _exit(0);
}

static int one(const struct surrounding *s, bool after) {
    int status;
    pid_t pid = (pid_t)DONE(fork());
    if (!pid)
        run(s, after);
    DONE(waitpid(pid, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("%s: cannot be had here\n", s->name);
        return 0;
    }
    CHECK(status == 0, "%s, %s the first thread: wait status %x", s->name,
          after ? "after" : "before", (unsigned)status);
    return 1;
}

int main(void) {
    check_start();
    if (geteuid() != 0)
        check_skip("needs root");
    CHECK(mkdtemp(dir), "no folder");
    int done = 0;
    for (size_t i = 0; i < sizeof surroundings / sizeof *surroundings; i++) {
        if (surroundings[i].before)
            done += one(&surroundings[i], false);
        if (surroundings[i].after)
            done += one(&surroundings[i], true);
    }
    rmdir(dir);
    CHECK(done >= 8, "only %d surroundings could be had", done);
    return 0;
}
