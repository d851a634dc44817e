/* child.c - starting a program with a chosen environment and seeing what it does */
#include "child.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHOWN = 16000 }; /* bytes of a failed program's output that are shown, the last ones */

/* A path below the build folder of the tests, which is the one this harness lies in. */
const char *child_build_path(char *to, size_t size, const char *rest) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    cr_assert(n > 0, "readlink /proc/self/exe");
    self[n] = 0;
    *strrchr(self, '/') = 0;
    cr_assert((size_t)snprintf(to, size, "%s/%s", self, rest) < size, "path too long");
    return to;
}

const char *child_library(void) {
    static char path[PATH_MAX];
    const char *given = getenv("GTHREAD_TEST_LIB");
    if (given)
        return given;
    return child_build_path(path, sizeof path, "../libgthread.so");
}

/* Seconds a program has; GTHREAD_TEST_DEADLINE for slow machines and for valgrind. */
int child_deadline(void) {
    const char *given = getenv("GTHREAD_TEST_DEADLINE");
    return given ? atoi(given) : 120;
}

/* What a child gets of our environment: all but what decides how it runs, and of the tests' own
 * switches the seed only. */
static bool child_inherits(const char *entry) {
    if (strncmp(entry, "LD_PRELOAD=", 11) == 0)
        return false;
    return strncmp(entry, "GTHREAD_", 8) != 0 || strncmp(entry, "GTHREAD_TEST_SEED=", 18) == 0;
}

/* The settings go first: getenv takes the first, so none can be hidden by what is inherited. */
static char **child_environment(const struct child_plan *plan) {
    extern char **environ;
    size_t n = 0, have = 0;
    while (environ[have])
        have++;
    char **env = calloc(have + CHILD_SETTINGS + 4, sizeof *env);
    cr_assert(env, "out of memory");
    for (int i = 0; i < CHILD_SETTINGS && plan->settings[i]; i++)
        env[n++] = strdup(plan->settings[i]);
    if (plan->with_library)
        cr_assert(asprintf(&env[n++], "LD_PRELOAD=%s", child_library()) > 0);
    env[n++] = strdup(plan->with_library ? "GTHREAD_TEST_EXPECT=lib" : "GTHREAD_TEST_EXPECT=nptl");
    /* The program's own watchdog must not come before ours, which asks for a dump first. */
    cr_assert(asprintf(&env[n++], "GTHREAD_TEST_WATCHDOG=%d", child_deadline() + 10) > 0);
    for (size_t i = 0; i < have; i++)
        if (child_inherits(environ[i]))
            env[n++] = strdup(environ[i]);
    return env;
}

void child_start(struct child *child, const struct child_plan *plan) {
    int input[2];
    snprintf(child->where, sizeof child->where, "/tmp/gthread-test.XXXXXX");
    cr_assert(mkdtemp(child->where), "mkdtemp %s: %m", child->where);
    child->out = memfd_create("stdout", MFD_CLOEXEC);
    child->err = memfd_create("stderr", MFD_CLOEXEC);
    cr_assert(child->out >= 0 && child->err >= 0 && pipe2(input, O_CLOEXEC) == 0, "no files: %m");
    child->input = input[1];

    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input[0], 0);
    posix_spawn_file_actions_adddup2(&files, child->out, 1);
    posix_spawn_file_actions_adddup2(&files, child->err, 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3); /* whatever Criterion left open */
    posix_spawn_file_actions_addchdir_np(&files, child->where);
    posix_spawnattr_init(&attr);
    /* A group of its own, so that what it forks can be killed with it; plain signal handling. */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);

    char *argv[] = {(char *)plan->program, (char *)plan->argument, NULL};
    char **env = child_environment(plan);
    int error = posix_spawn(&child->pid, plan->program, &files, &attr, argv, env);
    cr_assert(error == 0, "%s: cannot start: %s", plan->program, strerror(error));
    close(input[0]);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    for (char **e = env; *e; e++)
        free(*e);
    free(env);
}

/* All that is in a memory file by now, its last SHOWN bytes at least; free it. */
char *child_text(int file) {
    struct stat st;
    cr_assert(fstat(file, &st) == 0);
    off_t from = st.st_size > SHOWN ? st.st_size - SHOWN : 0;
    char *text = calloc(1, SHOWN + 1);
    cr_assert(text && pread(file, text, SHOWN, from) >= 0, "cannot read output: %m");
    return text;
}

/* Wait until the text stands in that output of the child; false if it does not come. */
bool child_says(const struct child *child, int file, const char *text, int seconds) {
    for (int tries = 0; tries < seconds * 100; tries++) {
        char *said = child_text(file);
        bool found = strstr(said, text) != NULL;
        free(said);
        if (found)
            return true;
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            seconds = 0; /* it has ended: this was the last look, but for the race just lost */
        usleep(10000);
    }
    char *said = child_text(file);
    bool found = strstr(said, text) != NULL;
    free(said);
    return found;
}

static bool child_ends_within(int pidfd, int seconds) {
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    return poll(&wait, 1, seconds * 1000) == 1;
}

static int child_remove(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* Give it end of file on stdin and wait for its end: SIGQUIT for a dump when the time is over,
 * SIGKILL two seconds later. */
struct child_end child_finish(struct child *child, int seconds) {
    struct child_end end = {0};
    close(child->input);
    int pidfd = pidfd_open(child->pid, 0);
    cr_assert(pidfd >= 0, "pidfd_open: %m");
    if (!child_ends_within(pidfd, seconds)) {
        end.late = true;
        kill(child->pid, SIGQUIT);
        child_ends_within(pidfd, 2);
    }
    kill(-child->pid, SIGKILL); /* it, and whatever it left behind in its group */
    close(pidfd);
    cr_assert(waitpid(child->pid, &end.status, 0) == child->pid, "waitpid: %m");
    end.out = child_text(child->out);
    end.err = child_text(child->err);
    close(child->out);
    close(child->err);
    nftw(child->where, child_remove, 8, FTW_DEPTH | FTW_PHYS);
    return end;
}

struct child_end child_run(const struct child_plan *plan, int seconds) {
    struct child child;
    child_start(&child, plan);
    return child_finish(&child, seconds);
}

void child_free(struct child_end *end) {
    free(end->out);
    free(end->err);
}

const char *child_describe(int status, char *to, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(to, size, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(to, size, "exit status %d", WEXITSTATUS(status));
    return to;
}
