/* wired_state.c - what a thread changes of its own in the kernel (name space, ids, capabilities,
 * no_new_privs, a filter, personality, memory policy, I/O priority, CPUs, nice value, keyring) is
 * there wherever it waits, is inherited by the threads that it makes, and by nobody else, also
 * not when it has ended and others run (DANGERS X2, X4). By functions of libc and by number. */
#include "check.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>

extern int capset(cap_user_header_t h, const cap_user_data_t data);
extern int capget(cap_user_header_t h, cap_user_data_t data);

static int other_runs = 1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The kernel itself is asked, on whichever kernel thread this one runs. */
static long raw(long nr, long a, long b, long c) {
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return r;
}

/* ---- each kind: change it; a number that says what the kernel has ---- */

static bool hostname_change(void) {
    return unshare(CLONE_NEWUTS) == 0 && sethostname("wired", 5) == 0;
}
static long hostname_look(void) {
    char name[100] = "";
    gethostname(name, sizeof name);
    return strcmp(name, "wired") == 0;
}

static bool fsuid_change(void) {
    setfsuid(1234);
    return true;
}
static long fsuid_look(void) { return raw(SYS_setfsuid, -1, 0, 0); }

static bool uid_change(void) { return syscall(SYS_setresuid, -1, 1234, -1) == 0; }
static long uid_look(void) { return raw(SYS_geteuid, 0, 0, 0); }

static bool caps_change(void) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    DONE(capget(&h, d));
    d[0].effective &= ~(1U << CAP_CHOWN);
    h.pid = gettid();
    return capset(&h, d) == 0;
}
static long caps_look(void) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    WANT(raw(SYS_capget, (long)&h, (long)d, 0), 0);
    return d[0].effective >> CAP_CHOWN & 1;
}

static bool nnp_change(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0; }
static long nnp_look(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }

/* uname fails with EXDEV. */
static bool filter_change(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_uname, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0;
}
static long filter_look(void) {
    char buf[1000];
    return raw(SYS_uname, (long)buf, 0, 0);
}

static bool persona_change(void) { return personality(UNAME26) >= 0; }
static long persona_look(void) { return personality(0xffffffff) & UNAME26; }

static bool policy_change(void) { return syscall(SYS_set_mempolicy, 4 /* LOCAL */, NULL, 0) == 0; }
static long policy_look(void) {
    int mode = -1;
    return syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) ? -1 : mode;
}

static bool io_change(void) { return syscall(SYS_ioprio_set, 1, gettid(), 2 << 13 | 6) == 0; }
static long io_look(void) {
    long r = raw(SYS_ioprio_get, 1, 0, 0);
    WANT(syscall(SYS_ioprio_get, 1, gettid()), r);
    return r;
}

static bool nice_change(void) { return setpriority(PRIO_PROCESS, (id_t)gettid(), 7) == 0; }
static long nice_look(void) {
    WANT(getpriority(PRIO_PROCESS, 0), 20 - raw(SYS_getpriority, 0, 0, 0));
    return raw(SYS_getpriority, 0, 0, 0);
}

static bool cpus_change(void) {
    cpu_set_t set;
    DONE(sched_getaffinity(0, sizeof set, &set));
    int last = CPU_SETSIZE - 1;
    if (CPU_COUNT(&set) < 2)
        return false;
    while (!CPU_ISSET(last, &set))
        last--;
    CPU_ZERO(&set);
    CPU_SET(last, &set);
    OK(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
    WANT(sched_getcpu(), last);
    return true;
}
static long cpus_look(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CHECK(raw(SYS_sched_getaffinity, 0, sizeof set, (long)&set) > 0, "sched_getaffinity failed");
    return CPU_COUNT(&set);
}

static const struct kind {
    const char *name;
    bool (*change)(void); /* false: it cannot be changed here */
    long (*look)(void);
} kinds[] = {
    {"unshare", hostname_change, hostname_look},
    {"setfsuid", fsuid_change, fsuid_look},
    {"SYS_setresuid", uid_change, uid_look},
    {"capset", caps_change, caps_look},
    {"no_new_privs", nnp_change, nnp_look},
    {"seccomp", filter_change, filter_look},
    {"personality", persona_change, persona_look},
    {"mempolicy", policy_change, policy_look},
    {"ioprio", io_change, io_look},
    {"nice", nice_change, nice_look},
    {"affinity", cpus_change, cpus_look},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- one thread changes it ---- */

struct run {
    const struct kind *kind;
    long before, after;
    pid_t me;
};

static void *inherits(void *arg) {
    struct run *r = arg;
    for (int i = 0; i < 5; i++) {
        long now = r->kind->look();
        CHECK(now == r->after, "%s: a thread made by one that has %ld has %ld", r->kind->name,
              r->after, now);
        if (i % 2)
            sched_yield();
        else
            pause_ms(1);
    }
    return arg;
}

/* Waits in several ways; what it has changed stays. */
static void waits(const struct run *r) {
    int fd[2];
    char c = 'x';
    DONE(pipe(fd));
    for (int i = 0; i < 20; i++) {
        switch (i % 4) {
        case 0:
            pause_ms(1);
            break;
        case 1:
            OK(pthread_mutex_lock(&mutex));
            OK(pthread_mutex_unlock(&mutex));
            break;
        case 2:
            WANT(write(fd[1], &c, 1), 1);
            WANT(read(fd[0], &c, 1), 1);
            break;
        default:
            sched_yield();
        }
        long now = r->kind->look();
        CHECK(now == r->after, "%s: has become %ld, was %ld", r->kind->name, now, r->after);
        WANT(gettid(), r->me);
    }
    close(fd[0]);
    close(fd[1]);
}

static void *changes(void *arg) {
    struct run *r = arg;
    r->me = gettid();
    r->before = r->kind->look();
    if (!r->kind->change())
        return as_pointer(1);
    r->after = r->kind->look();
    CHECK(r->after != r->before, "%s: the kernel still says %ld after it was changed",
          r->kind->name, r->before);
    waits(r);
    join(spawn(inherits, r));
    return NULL;
}

static void *has_not(void *arg) {
    const struct run *r = arg;
    for (int i = 0; i < 3; i++) {
        long now = r->kind->look();
        CHECK(now == r->before, "%s: a thread of another's making has %ld, should have %ld",
              r->kind->name, now, r->before);
        sched_yield();
    }
    return NULL;
}

/* Threads that go on all the time, so that there is something to be confused with. */
static void *bystander(void *arg) {
    while (get(&other_runs)) {
        OK(pthread_mutex_lock(&mutex));
        OK(pthread_mutex_unlock(&mutex));
        pause_ms(1);
    }
    return arg;
}

static int one_kind(const struct kind *k) {
    struct run r = {.kind = k};
    long mine = k->look();
    long refused = (long)join(spawn(changes, &r));
    WANT(r.before, mine);
    for (int i = 0; i < 5; i++)
        join(spawn(has_not, &r));
    WANT(k->look(), mine);
    if (refused)
        printf("%s: cannot be changed here\n", k->name);
    return !refused;
}

int main(void) {
    check_start();
    pthread_t threads[3];
    if (geteuid() != 0)
        check_skip("needs root");
    spawn_all(threads, 3, bystander);
    int done = 0;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < KINDS; i++)
            done += one_kind(&kinds[i]);
    set(&other_runs, 0);
    join_all(threads, 3);
    CHECK(done >= 15, "only %d kinds could be changed", done);
    return 0;
}
