/* child_inherits.c - a thread's affinity, nice value and timer slack are its own, go to the threads
 * that it makes, and to the children of fork, vfork and posix_spawn */
#include "check.h"

#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;
static int first_cpu = -1, cpus;

/* The child says what it has: nice value, slack, number of CPUs. */
static char *show[] = {(char *)"sh", (char *)"-c",
                       (char *)"exec 2>&1; nice; cat /proc/self/timerslack_ns; nproc", NULL};

static void expect_child(int fd, pid_t pid, int nice, long slack, int n) {
    int got_nice, got_cpus, status;
    long got_slack;
    FILE *f = fdopen(fd, "r");
    WANT(fscanf(f, "%d %ld %d", &got_nice, &got_slack, &got_cpus), 3);
    fclose(f);
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
    WANT(got_nice, nice);
    WANT(got_slack, slack);
    WANT(got_cpus, n);
}

static pid_t spawned(const int *fd) {
    pid_t pid;
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
    OK(posix_spawn(&pid, "/bin/sh", &fa, NULL, show, environ));
    posix_spawn_file_actions_destroy(&fa);
    return pid;
}

static pid_t forked(const int *fd, pid_t (*by)(void)) {
    pid_t pid = by == fork ? fork() : vfork();
    if (pid == 0) {
        dup2(fd[1], 1);
        execv("/bin/sh", show);
        _exit(127);
    }
    return (pid_t)DONE(pid);
}

static void child(int kind, int nice, long slack, int n) {
    int fd[2];
    DONE(pipe(fd));
    pid_t pid = kind == 2 ? spawned(fd) : forked(fd, kind ? vfork : fork);
    close(fd[1]);
    expect_child(fd[0], pid, nice, slack, n);
}

static void children(int nice, long slack, int n) {
    for (int kind = 0; kind < 3; kind++)
        child(kind, nice, slack, n);
}

static void *inherits(void *arg) {
    cpu_set_t set;
    WANT(getpriority(PRIO_PROCESS, 0), 5);
    WANT(prctl(PR_GET_TIMERSLACK), 70000);
    DONE(sched_getaffinity(0, sizeof set, &set));
    WANT(CPU_COUNT(&set), 1);
    WANT(CPU_ISSET(first_cpu, &set), 1);
    children(5, 70000, 1);
    return arg;
}

static void *changes(void *arg) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(first_cpu, &set);
    DONE(sched_setaffinity(0, sizeof set, &set));
    DONE(setpriority(PRIO_PROCESS, 0, 5));
    DONE(prctl(PR_SET_TIMERSLACK, 70000));
    pthread_t t = spawn(inherits, NULL);
    join(t);
    children(5, 70000, 1);
    return arg;
}

static void *keeps(void *arg) {
    cpu_set_t set;
    WANT(getpriority(PRIO_PROCESS, 0), 0);
    OK(pthread_getaffinity_np(pthread_self(), sizeof set, &set));
    WANT(CPU_COUNT(&set), cpus);
    children(0, 50000, cpus);
    return arg;
}

int main(void) {
    check_start();
    cpu_set_t set;
    DONE(sched_getaffinity(0, sizeof set, &set));
    cpus = CPU_COUNT(&set);
    for (int i = 0; first_cpu < 0; i++)
        if (CPU_ISSET(i, &set))
            first_cpu = i;
    if (getpriority(PRIO_PROCESS, 0) != 0 || geteuid() != 0)
        check_skip("needs to start as root and not niced");
    for (int i = 0; i < 3; i++) {
        pthread_t t = spawn(changes, NULL);
        join(t);
        t = spawn(keeps, NULL);
        join(t);
        keeps(NULL);
    }
    CPU_ZERO(&set);
    FAILS(sched_setaffinity(0, sizeof set, &set), EINVAL);
    /* Having left a CPU does not keep from coming back to it. */
    cpu_set_t all;
    DONE(sched_getaffinity(0, sizeof all, &all));
    CPU_SET(first_cpu, &set);
    DONE(sched_setaffinity(0, sizeof set, &set));
    DONE(sched_setaffinity(0, sizeof all, &all));
    DONE(sched_getaffinity(0, sizeof set, &set));
    WANT(CPU_COUNT(&set), cpus);
    return 0;
}
