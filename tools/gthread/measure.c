/* measure.c - runs a program and tells what it cost, as seen from outside
 *
 * Time, CPU, switches and memory are the kernel's own accounts (wait4), so they are exact; the
 * number of kernel threads is looked at from time to time, so a short peak can be missed. On both
 * sides of a comparison alike.
 */
#include "gthread.h"
#include "launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A look costs some 20 us for each process; every 2 ms at first, for short programs, then every
 * 20 ms: a thousandth of a CPU. */
#define LOOK_FIRST_MS 2
#define LOOK_MS 20
#define LOOKS_FIRST 50

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- kernel threads of a process and what it started ---- */

static int threads_below(pid_t pid, int depth);

static int threads_of_children(pid_t pid, const char *tid, int depth) {
    char path[320];
    int n = 0, child;
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, tid);
    FILE *f = fopen(path, "re");
    while (f && fscanf(f, "%d", &child) == 1)
        n += threads_below(child, depth + 1);
    if (f)
        fclose(f);
    return n;
}

/* Only the first tasks are asked for children: asking thousands would cost more than it tells. */
enum { TASKS_ASKED = 64, DEPTH_MAX = 16 };

static int threads_below(pid_t pid, int depth) {
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (*e->d_name == '.')
            continue;
        if (n < TASKS_ASKED)
            n += threads_of_children(pid, e->d_name, depth);
        n++;
    }
    closedir(dir);
    return n;
}

/* ---- one run ---- */

pid_t measure_start(const struct launch *l, struct measures *m, bool group) {
    *m = (struct measures){.wall = now()};
    free(program_find(l->argv[0])); /* what cannot be run is told once, before the fork */
    pid_t pid = fork();
    if (pid < 0)
        die(EXIT_GTHREAD, "fork: %s", strerror(errno));
    if (pid == 0) {
        if (group)
            setpgid(0, 0);
        launch_exec(l);
    }
    if (group)
        setpgid(pid, pid);
    return pid;
}

static void account(struct measures *m, const struct rusage *use) {
    m->wall = now() - m->wall;
    m->cpu = (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) +
             (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec) / 1e6;
    m->switches = (double)(use->ru_nvcsw + use->ru_nivcsw);
    m->peak = (double)use->ru_maxrss * 1024;
}

void measure_look(pid_t pid, struct measures *m) {
    int threads = threads_below(pid, 0);
    if (threads > m->threads)
        m->threads = threads;
}

bool measure_wait(pid_t pid, struct measures *m, double seconds) {
    struct rusage use;
    double end = seconds > 0 ? now() + seconds : 1e300;
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        die(EXIT_GTHREAD, "pidfd_open: %s", strerror(errno));
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    bool ended = false;
    for (int looks = 0; !ended && now() < end; looks++) {
        measure_look(pid, m);
        ended = poll(&wait, 1, looks < LOOKS_FIRST ? LOOK_FIRST_MS : LOOK_MS) == 1;
    }
    close(fd);
    if (!ended)
        return false;
    while (wait4(pid, &m->status, 0, &use) < 0)
        if (errno != EINTR)
            die(EXIT_GTHREAD, "wait4: %s", strerror(errno));
    account(m, &use);
    return true;
}

/* ---- run --measure ---- */

static volatile pid_t measured;

static void pass_on(int sig) {
    if (measured > 0)
        kill(measured, sig);
}

static void write_measures(const struct launch *l, const struct measures *m, const char *file) {
    json_t *o =
        json_pack("{s:s s:b s:f s:f s:f s:f s:f}", "program", l->argv[0], "gthread",
                  l->library != NULL, "wall_s", m->wall, "cpu_s", m->cpu, "context_switches",
                  m->switches, "peak_bytes", m->peak, "kernel_threads", m->threads);
    json_object_set_new(
        need(o), WIFSIGNALED(m->status) ? "signal" : "exit_status",
        json_integer(WIFSIGNALED(m->status) ? WTERMSIG(m->status) : WEXITSTATUS(m->status)));
    if (json_dump_file(o, file, JSON_COMPACT))
        die(EXIT_GTHREAD, "%s: cannot be written: %s", file, strerror(errno));
    json_decref(o);
}

int measure_to_file(const struct launch *l, const char *file) {
    static const int passed[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    struct measures m;
    FILE *f = fopen(file, "we"); /* better now than after an hour */
    if (!f)
        die(EXIT_GTHREAD, "%s: %s", file, strerror(errno));
    fclose(f);
    measured = measure_start(l, &m, false);
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        sigaction(passed[i], &action, NULL);
    measure_wait(measured, &m, 0);
    write_measures(l, &m, file);
    return WIFSIGNALED(m.status) ? 128 + WTERMSIG(m.status) : WEXITSTATUS(m.status);
}
