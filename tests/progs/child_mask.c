/* child_mask.c - whatever makes a child: it has the mask of the thread that made it, what the
 * program ignores is ignored and what it handles is at its default after an exec; the parent's are
 * untouched. fork, vfork, posix_spawn (with and without attributes), system, popen, clone, and exec
 * of each kind. The child is this program again, which compares. */
#include "util.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>

enum { THREADS = 4, ROUNDS = 3 };

static char self[PATH_MAX];
extern char **environ;

/* ---- the child: its arguments are the mask and whether SIGUSR1 is ignored ---- */

static uint64_t mask_now(void) {
    sigset_t is;
    DONE(sigprocmask(SIG_BLOCK, NULL, &is));
    return *(uint64_t *)&is;
}

static int compare(char **argv) {
    uint64_t want = strtoull(argv[2], NULL, 16), is = mask_now();
    CHECK(is == want, "%s: expected the mask %llx, came %llx", argv[1], (unsigned long long)want,
          (unsigned long long)is);
    struct sigaction sa;
    DONE(sigaction(SIGUSR1, NULL, &sa));
    CHECK(sa.sa_handler == SIG_IGN, "%s: expected SIGUSR1 to be ignored", argv[1]);
    DONE(sigaction(SIGUSR2, NULL, &sa));
    CHECK(sa.sa_handler == SIG_DFL, "%s: expected SIGUSR2 to be at its default", argv[1]);
    DONE(sigaction(SIGTERM, NULL, &sa)); /* blocked somewhere, or handled by nobody */
    CHECK(sa.sa_handler == SIG_DFL, "%s: expected SIGTERM to be at its default", argv[1]);
    return 42;
}

/* ---- the parents ---- */

static __thread char mask_text[32];

static void args(char *argv[4], char *how) {
    snprintf(mask_text, sizeof mask_text, "%llx", (unsigned long long)mask_now());
    argv[0] = self;
    argv[1] = how;
    argv[2] = mask_text;
    argv[3] = NULL;
}

static void by_fork(int how) {
    static char *names[] = {"execv",  "execve",  "execvp",   "execl",     "execle",
                            "execlp", "fexecve", "execveat", "SYS_execve"};
    char *argv[4];
    args(argv, names[how]);
    int fd = how == 6 ? DONE(open(self, O_RDONLY | O_CLOEXEC)) : -1;
    pid_t pid = DONE(fork());
    if (!pid) {
        if (how == 0)
            execv(self, argv);
        if (how == 1)
            execve(self, argv, environ);
        if (how == 2)
            execvp(self, argv);
        if (how == 3)
            execl(self, argv[0], argv[1], argv[2], NULL);
        if (how == 4)
            execle(self, argv[0], argv[1], argv[2], NULL, environ);
        if (how == 5)
            execlp(self, argv[0], argv[1], argv[2], NULL);
        if (how == 6)
            fexecve(fd, argv, environ);
        if (how == 7)
            execveat(AT_FDCWD, self, argv, environ, 0);
        if (how == 8)
            syscall(SYS_execve, self, argv, environ);
        _exit(9);
    }
    if (fd >= 0)
        close(fd);
    child_exits(pid, 42);
}

static void by_vfork(void) {
    char *argv[4];
    args(argv, "vfork");
    pid_t pid = vfork();
    if (!pid) {
        execv(self, argv);
        _exit(9);
    }
    child_exits(DONE(pid), 42);
}

static void by_spawn(void) {
    char *argv[4];
    pid_t pid;
    args(argv, "posix_spawn");
    OK(posix_spawn(&pid, self, NULL, NULL, argv, environ));
    child_exits(pid, 42);
    OK(posix_spawnp(&pid, self, NULL, NULL, argv, environ));
    child_exits(pid, 42);
    posix_spawnattr_t attr;
    sigset_t other;
    sigemptyset(&other);
    sigaddset(&other, SIGWINCH);
    OK(posix_spawnattr_init(&attr));
    OK(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK));
    OK(posix_spawnattr_setsigmask(&attr, &other));
    argv[2] = "8000000";
    OK(posix_spawn(&pid, self, NULL, &attr, argv, environ));
    child_exits(pid, 42);
    OK(posix_spawnattr_destroy(&attr));
    ERR(posix_spawn(&pid, "/does/not/exist", NULL, NULL, argv, environ), ENOENT);
}

static void by_shell(void) {
    char *argv[4], command[PATH_MAX + 100];
    args(argv, "system");
    snprintf(command, sizeof command, "exec %s system %s", self, argv[2]);
    int status = system(command);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "system: came status %x",
          (unsigned)status);
    snprintf(command, sizeof command, "exec %s popen %s", self, argv[2]);
    FILE *f = popen(command, "r");
    CHECK(f, "popen: errno %d", errno);
    status = pclose(f);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "popen: came status %x",
          (unsigned)status);
}

static int clone_child(void *argv) {
    execv(self, argv);
    return 9;
}

static void by_clone(int flags, char *how) {
    static __thread char stack[1 << 16] __attribute__((aligned(16)));
    char *argv[4];
    args(argv, how);
    child_exits(DONE(clone(clone_child, stack + sizeof stack, flags | SIGCHLD, argv)), 42);
}

static void *run(void *arg) {
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGRTMIN + (int)(intptr_t)arg);
    sigaddset(&mine, (intptr_t)arg % 2 ? SIGTERM : SIGHUP);
    OK(pthread_sigmask(SIG_SETMASK, &mine, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t before = mask_now();
        for (int how = 0; how < 9; how++)
            by_fork(how);
        by_vfork();
        by_spawn();
        by_shell();
        by_clone(0, "clone");
        by_clone(CLONE_VM, "clone CLONE_VM");
        by_clone(CLONE_VM | CLONE_VFORK, "clone CLONE_VFORK");
        CHECK(mask_now() == before, "expected the parent's mask to stay");
    }
    return NULL;
}

static void ignore_me(int sig) { (void)sig; }

int main(int argc, char **argv) {
    check_start();
    if (argc > 1)
        return compare(argv);
    self[DONE(readlink("/proc/self/exe", self, sizeof self - 1))] = 0;
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    DONE(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = ignore_me}, NULL));
    run_all(THREADS, run);
    run(as_pointer(THREADS));
    return 0;
}
