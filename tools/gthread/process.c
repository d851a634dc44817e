/* process.c - a live process: stops its threads by ptrace, reads registers and memory
 *
 * PTRACE_SEIZE and PTRACE_INTERRUPT, which send no signal: the process does not see that it was
 * stopped, one that job control had stopped stays so, and it goes on if this program ends. A hung
 * process is as good as any; a thread that hangs in the kernel uninterruptibly is left out.
 */
#include "gthread.h"
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define STOP_WAIT_MS 2000 /* for a thread to leave the kernel; usually it takes microseconds */

bool process_read(struct target *t, uint64_t address, void *to, size_t n) {
    for (char *at = to; n;) {
        ssize_t got = pread(t->mem, at, n, (off_t)address);
        if (got <= 0)
            return false;
        at += got, address += (uint64_t)got, n -= (size_t)got;
    }
    return true;
}

/* A line of /proc/PID/FILE that begins with key, after it; "" if there is none. */
static char *proc_line(int pid, const char *file, const char *key) {
    static char text[512];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *f = fopen(path, "re");
    char *found = NULL;
    while (f && !found && fgets(text, sizeof text, f))
        if (strncmp(text, key, strlen(key)) == 0)
            found = text + strlen(key);
    if (f)
        fclose(f);
    if (!found)
        return strcpy(text, "");
    found[strcspn(found, "\n")] = 0;
    return found + strspn(found, " \t");
}

static _Noreturn void cannot_attach(int pid, int error) {
    int tracer = atoi(proc_line(pid, "status", "TracerPid:"));
    if (error == ESRCH)
        die(EXIT_GTHREAD, "there is no process %d", pid);
    if (pid == getpid())
        die(EXIT_GTHREAD, "process %d is this one", pid);
    if (error == EPERM && tracer)
        die(EXIT_GTHREAD, "process %d is traced by process %d, %s", pid, tracer,
            proc_line(tracer, "comm", ""));
    if (error == EPERM || error == EACCES)
        die(EXIT_GTHREAD,
            "not permitted to trace process %d (another user's, or kernel.yama.ptrace_scope)", pid);
    die(EXIT_GTHREAD, "cannot trace process %d: %s", pid, strerror(error));
}

/* Asks one thread to stop. False: it has ended meanwhile. */
static bool thread_seize(struct target *t, int tid) {
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
        if (errno == ESRCH && tid != t->pid)
            return false;
        cannot_attach(t->pid, errno);
    }
    GROW(t->threads, t->nthreads, t->threads_capacity);
    struct kthread *k = &t->threads[t->nthreads++];
    *k = (struct kthread){.tid = tid};
    snprintf(k->comm, sizeof k->comm, "%.15s", proc_line(tid, "comm", ""));
    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    return true;
}

/* Seizes the threads that are not yet; returns how many there were. */
static int threads_seize(struct target *t) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", t->pid);
    DIR *dir = opendir(path);
    if (!dir)
        cannot_attach(t->pid, errno == ENOENT ? ESRCH : errno);
    int found = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        int tid = atoi(e->d_name);
        if (tid > 0 && !target_thread(t, tid))
            found += thread_seize(t, tid);
    }
    closedir(dir);
    return found;
}

/* Waits until each has stopped, or the time is over; reads the registers. */
static void threads_wait(struct target *t) {
    struct timespec pause = {0, 200000};
    size_t left = 1;
    for (int ms5 = 0; left && ms5 < STOP_WAIT_MS * 5; ms5++) {
        left = 0;
        for (size_t i = 0; i < t->nthreads; i++) {
            struct kthread *k = &t->threads[i];
            int status;
            if (k->stopped)
                continue;
            if (waitpid(k->tid, &status, __WALL | WNOHANG) == k->tid && WIFSTOPPED(status))
                k->stopped = ptrace(PTRACE_GETREGS, k->tid, NULL, &k->regs) == 0;
            left += !k->stopped;
        }
        if (left)
            nanosleep(&pause, NULL);
    }
    for (size_t i = 0; i < t->nthreads && left; i++)
        if (!t->threads[i].stopped)
            warn_line("thread %d does not stop: it waits in the kernel", t->threads[i].tid);
}

/* False: there is no such process, or it may not be read. */
static bool read_maps(struct target *t) {
    char path[64], *line = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", t->pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (getline(&line, &size, f) > 0) {
        unsigned long start, end, offset;
        int at = 0;
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &start, &end, &offset, &at) < 3)
            continue;
        line[strcspn(line, "\n")] = 0;
        target_add_mapping(t, start, end, offset, line + at);
    }
    free(line);
    fclose(f);
    return true;
}

static void process_name(struct target *t, int pid) {
    char path[64];
    t->pid = pid;
    t->program = need(strdup(proc_line(pid, "comm", "")));
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (access(path, F_OK))
        cannot_attach(pid, ESRCH);
}

static void memory_open(struct target *t, int pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    t->mem = open(path, O_RDONLY | O_CLOEXEC);
    if (t->mem < 0)
        cannot_attach(pid, errno);
    if (!read_maps(t))
        cannot_attach(pid, errno == ENOENT ? ESRCH : errno);
    if (!t->nmaps)
        die(EXIT_GTHREAD, "process %d has no memory (it has ended, or is a kernel thread)", pid);
    target_find_images(t);
}

void process_look(struct target *t, int pid) {
    process_name(t, pid);
    memory_open(t, pid);
}

bool process_try(struct target *t, int pid) {
    char path[64];
    if (t->mem > 0)
        close(t->mem);
    target_forget(t);
    t->pid = pid;
    free(t->program);
    t->program = need(strdup(proc_line(pid, "comm", "")));
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    t->mem = open(path, O_RDONLY | O_CLOEXEC);
    if (t->mem < 0 || !read_maps(t) || !t->nmaps)
        return false;
    target_find_images(t);
    return true;
}

void process_open(struct target *t, int pid) {
    struct timespec now;
    process_name(t, pid);
    /* A thread that is being made while others are stopped shows at the next look. */
    while (threads_seize(t))
        threads_wait(t);
    clock_gettime(CLOCK_MONOTONIC, &now);
    t->now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    t->now_cycles = __rdtsc();
    memory_open(t, pid);
}

void process_release(struct target *t) {
    for (size_t i = 0; i < t->nthreads; i++)
        ptrace(PTRACE_DETACH, t->threads[i].tid, NULL, NULL);
}
