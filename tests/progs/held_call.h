/* held_call.h - lets any system call wait: a second process is told of it, and keeps it until asked
 *
 * Most calls on files are answered at once here, and on a slow disk or a server of files they are
 * not. A seccomp filter (SECCOMP_RET_USER_NOTIF) hands the calls of the chosen numbers to the
 * keeper, a child. It lets them go on, except those that are held: these wait, as the kernel lets a
 * call wait that a signal may interrupt, and when they are released they fail with HELD_ERROR. The
 * kernel never begins them, so their arguments may be anything.
 */
#ifndef HELD_CALL_H
#define HELD_CALL_H

#include "check.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum {
    HELD_ERROR = EUNATCH, /* no call has it of its own */
    HELD_MARK = 0x5a5a5a, /* calls with this as their first two arguments are always held */
    HELD_NONE = -1,
    HELD_CALLS = 512, /* that many wait at a time */
};

/* Both processes have it. */
static struct held {
    int numbers[2]; /* calls of these numbers are held, or HELD_NONE */
    int only_fd;    /* with this first argument, or HELD_NONE: with any */
    int released;   /* who was held, and who comes now, fails at once */
    int count;      /* calls that have been held so far */
} * held;

static bool held_wants(const struct seccomp_data *call) {
    int fd = get(&held->only_fd);
    bool listed = call->nr == get(&held->numbers[0]) || call->nr == get(&held->numbers[1]);
    return (listed && (fd == HELD_NONE || fd == (int)call->args[0])) ||
           (call->args[0] == HELD_MARK && call->args[1] == HELD_MARK);
}

static void held_answer(int listener, uint64_t id, int error) {
    struct seccomp_notif_resp reply = {.id = id, .error = -error};
    if (!error)
        reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply); /* else a signal has ended the call */
}

/* Those that a signal has ended meanwhile need no answer. */
static int held_forget_ended(int listener, uint64_t *ids, int n) {
    int left = 0;
    for (int i = 0; i < n; i++)
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &ids[i]) == 0)
            ids[left++] = ids[i];
    return left;
}

/* The keeper, until the last process with the filter has ended. */
__attribute__((noreturn)) static void held_keep(int listener) {
    static uint64_t ids[HELD_CALLS];
    int n = 0;
    for (;;) {
        struct pollfd p = {listener, POLLIN, 0};
        struct seccomp_notif call = {0};
        poll(&p, 1, n ? 1 : -1);
        if (p.revents & POLLHUP)
            _exit(0);
        if (p.revents & POLLIN && ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) {
            n = held_forget_ended(listener, ids, n);
            if (!held_wants(&call.data) || n == HELD_CALLS) {
                held_answer(listener, call.id, 0);
            } else {
                ids[n++] = call.id;
                add(&held->count, 1);
            }
        }
        while (n && get(&held->released))
            held_answer(listener, ids[--n], HELD_ERROR);
    }
}

static void held_send(int to, int fd) {
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } with = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec v = {&fd, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &with, .msg_controllen = sizeof with};
    memcpy(CMSG_DATA(&with.head), &fd, sizeof fd);
    WANT(sendmsg(to, &m, 0), 1);
}

static int held_receive(int from) {
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } with;
    char c;
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &with, .msg_controllen = sizeof with};
    int fd;
    if (recvmsg(from, &m, 0) != 1)
        _exit(0); /* there is no filter, and the other has said why */
    memcpy(&fd, CMSG_DATA(&with.head), sizeof fd);
    return fd;
}

static int held_filter(const int *numbers, size_t n) {
    struct sock_filter code[2 * n + 2];
    size_t at = 0;
    code[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < n; i++) {
        code[at++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)at, code};
    DONE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                          &program);
    if (fd < 0)
        check_skip("the kernel refuses a filter that asks another process");
    return fd;
}

/* Begins this program again, where calls of these numbers are the keeper's; then returns. */
static void held_start(char **argv, const int *numbers, size_t n) {
    const char *number = getenv("GTHREAD_TEST_HELD");
    int ends[2], shared = number ? atoi(number) : (int)DONE(memfd_create("held", 0));
    DONE(ftruncate(shared, sizeof *held));
    held = mmap(NULL, sizeof *held, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    CHECK(held != MAP_FAILED, "mmap: errno %d", errno);
    if (number)
        return;
    held->numbers[0] = held->numbers[1] = held->only_fd = HELD_NONE;
    DONE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    if (DONE(fork()) == 0) {
        close(ends[0]);
        int listener = held_receive(ends[1]);
        close(1); /* whoever reads them is not to wait for this process */
        close(2);
        held_keep(listener);
    }
    close(ends[1]);
    int listener = held_filter(numbers, n);
    DONE(fcntl(listener, F_SETFD, FD_CLOEXEC));
    held_send(ends[0], listener);
    char text[16];
    snprintf(text, sizeof text, "%d", shared);
    DONE(setenv("GTHREAD_TEST_HELD", text, 1));
    DONE(execv("/proc/self/exe", argv));
}

#endif
