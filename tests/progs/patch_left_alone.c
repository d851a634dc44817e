/* patch_left_alone.c - where a function of libc's does not begin as is known it is left alone, and
 * its calls are still right; where code may not be written nothing is patched, and the program
 * runs. Here: another's hook at libc's poll; a seccomp filter against executable memory, as
 * systemd's MemoryDenyWriteExecute */
#include "patch.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int hooked;

static int hook(struct pollfd *p, nfds_t n, int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    add(&hooked, 1);
    return (int)syscall(SYS_ppoll, p, n, ms < 0 ? NULL : &t, NULL, 0);
}

static void *waits(void *arg) {
    int fd[2];
    char line[8];
    DONE(pipe(fd));
    WANT(write(fd[1], "line\n", 5), 5);
    FILE *f = fdopen(fd[0], "r");
    CHECK(f && fgets(line, sizeof line, f) && strcmp(line, "line\n") == 0, "expected the line");
    struct pollfd p = {fd[1], POLLOUT, 0};
    WANT(((int (*)(struct pollfd *, nfds_t, int))libc_function("poll"))(&p, 1, 1000), 1);
    fclose(f);
    close(fd[1]);
    return arg;
}

static void another_hook(void) {
    uint8_t *at = libc_function("poll"), jump[14] = {0xff, 0x25}; /* jmp *0(%rip) */
    void *to = (void *)(uintptr_t)hook;
    void *page = (void *)((uintptr_t)at & ~4095UL);
    memcpy(jump + 6, &to, sizeof to);
    DONE(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
    memcpy(at, jump, sizeof jump);
    DONE(mprotect(page, 8192, PROT_READ | PROT_EXEC));
    bool known = as_known("read");
    join(spawn(waits, NULL));
    CHECK(memcmp(at, jump, sizeof jump) == 0, "expected the hook where it was");
    WANT(hooked, 1);
    WANT(jumps("read"), known && check_expects("lib"));
}

static void no_writing(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    DONE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    DONE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
    join(spawn(waits, NULL));
    WANT(jumps("read"), false);
    WANT(jumps("close"), false);
}

int main(int argc, char **argv) {
    const char *debug = getenv("GTHREAD_DEBUG");
    check_start();
    if (argc == 1) {
        again(argv[0], "hook", debug ? debug : "");
        again(argv[0], "filter", debug ? debug : "");
    } else if (strcmp(argv[1], "hook") == 0) {
        another_hook();
    } else {
        no_writing();
    }
    return 0;
}
