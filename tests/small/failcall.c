/* failcall.c - runs a program and has the kernel refuse chosen system calls of the library
 *
 * usage: failcall [-a] [-c FILE] CALL,... ERRNO WHEN program [arguments]
 *
 * WHEN is as strace's: N the n-th call, N+ that and all later ones, N+S that and every S-th later
 * one, 0 none. Counted over all threads together, which strace does not, and only calls that are
 * made from libgthread.so, or with -a all calls after the program's first of personality(2), which
 * it makes to say that its main has begun. -c writes to FILE how many there were. Ends with the
 * program's status.
 *
 * A seccomp filter tells this process of each such call (SECCOMP_RET_USER_NOTIF), which lets it
 * go on or fail; all other calls take no longer than usual.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    int nr;
} known[] = {
    {"mmap", SYS_mmap},
    {"munmap", SYS_munmap},
    {"mprotect", SYS_mprotect},
    {"madvise", SYS_madvise},
    {"process_madvise", SYS_process_madvise},
    {"clone", SYS_clone},
    {"clone3", SYS_clone3},
    {"epoll_create1", SYS_epoll_create1},
    {"epoll_ctl", SYS_epoll_ctl},
    {"epoll_pwait", SYS_epoll_pwait},
    {"epoll_pwait2", SYS_epoll_pwait2},
    {"eventfd2", SYS_eventfd2},
    {"timerfd_create", SYS_timerfd_create},
    {"fcntl", SYS_fcntl},
    {"openat", SYS_openat},
    {"membarrier", SYS_membarrier},
    {"sigaltstack", SYS_sigaltstack},
    {"prctl", SYS_prctl},
};

enum { CALLS = 16 };
static int calls[CALLS] = {SYS_personality}, ncalls = 1, error;
static unsigned long first, step; /* step 0: only the first; first 0: none */
static bool from_anywhere;

static void die(const char *what) {
    fprintf(stderr, "failcall: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void usage(const char *wrong) {
    fprintf(stderr, "failcall: %s\nusage: failcall [-a] [-c FILE] CALL,... ERRNO WHEN program...\n",
            wrong);
    exit(125);
}

static void read_calls(char *list) {
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        size_t i = 0, n = sizeof known / sizeof *known;
        while (i < n && strcmp(known[i].name, name) != 0)
            i++;
        if (i == n || ncalls == CALLS)
            usage(name);
        calls[ncalls++] = known[i].nr;
    }
}

static void read_when(const char *text) {
    char *end;
    first = strtoul(text, &end, 10);
    if (*end == '+')
        step = end[1] ? strtoul(end + 1, &end, 10) : 1;
    if (*end && *end != '+')
        usage(text);
}

/* The number of the error with that name. */
static int error_of(const char *name) {
    for (int e = 1; e < 134; e++)
        if (strerrorname_np(e) && strcmp(strerrorname_np(e), name) == 0)
            return e;
    usage(name);
    return 0;
}

/* In the child: the filter; tells the parent the number of the descriptor that speaks for it, and
 * waits until the parent has it too: exec closes this one. */
static void filter_self(int parent) {
    struct sock_filter code[CALLS + 3];
    int n = 0;
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < ncalls; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i],
                                                 (unsigned char)(ncalls - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog program = {(unsigned short)n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        die("no_new_privs");
    /* A signal must not show in a call that only asks this process. */
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                      &program);
    if (fd < 0)
        die("seccomp");
    int number = (int)fd;
    if (write(parent, &number, sizeof number) != sizeof number || read(parent, &number, 1) != 1)
        die("the other end");
}

/* Is that address in the library, in that process? It lies in one place for its life, and in the
 * same in its children's. */
static bool in_library(uint32_t pid, uint64_t ip) {
    static uint64_t lo, hi;
    char path[64], line[4400];
    snprintf(path, sizeof path, "/proc/%u/maps", pid);
    FILE *maps = hi ? NULL : fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t from, to;
        char mode[5];
        if (strstr(line, "/libgthread.so") && sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 &&
            mode[2] == 'x') {
            lo = from;
            hi = to;
        }
    }
    if (maps)
        fclose(maps);
    return ip >= lo && ip < hi;
}

static bool to_fail(const struct seccomp_notif *call, unsigned long *count) {
    static bool begun;
    begun |= call->data.nr == SYS_personality;
    if (call->data.nr == SYS_personality ||
        (from_anywhere ? !begun : !in_library(call->pid, call->data.instruction_pointer)))
        return false;
    ++*count;
    return first && (*count == first || (step && *count > first && (*count - first) % step == 0));
}

/* Answers until the last process with the filter has ended. */
static unsigned long answer(int listener) {
    unsigned long count = 0;
    for (;;) {
        struct pollfd p = {listener, POLLIN, 0};
        struct seccomp_notif call = {0};
        if (poll(&p, 1, -1) < 0 || p.revents & POLLHUP)
            return count;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
            continue; /* it was killed meanwhile */
        struct seccomp_notif_resp reply = {.id = call.id};
        if (to_fail(&call, &count))
            reply.error = -error;
        else
            reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

int main(int argc, char **argv) {
    const char *count_file = NULL;
    int option, ends[2], number, status;
    while ((option = getopt(argc, argv, "+ac:")) != -1)
        if (option == 'a')
            from_anywhere = true;
        else if (option == 'c')
            count_file = optarg;
        else
            usage("an option that there is not");
    argv += optind;
    if (argc - optind < 4)
        usage("too few arguments");
    read_calls(argv[0]);
    error = error_of(argv[1]);
    read_when(argv[2]);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        die("socketpair");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        filter_self(ends[1]);
        execvp(argv[3], argv + 3);
        die(argv[3]);
    }
    close(ends[1]);
    if (read(ends[0], &number, sizeof number) != sizeof number)
        exit(125); /* the child has said why */
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    int listener = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    if (listener < 0 || write(ends[0], "", 1) != 1)
        die("pidfd_getfd");
    unsigned long count = answer(listener);
    FILE *f = count_file ? fopen(count_file, "we") : NULL;
    if (f && (fprintf(f, "%lu\n", count) < 0 || fclose(f)))
        die(count_file);
    if (waitpid(child, &status, 0) < 0)
        die("waitpid");
    if (WIFSIGNALED(status))
        fprintf(stderr, "failcall: ended by signal %d\n", WTERMSIG(status));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
