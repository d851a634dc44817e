/* thread_ids.c - the id that gettid tells is good for every call that takes the id of a thread: for
 * the caller by itself, for others, and for those with a kernel thread of their own; an id
 * that no thread has is refused with ESRCH. glib's pools set scheduling attributes so. */
#include "check.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* linux/sched/types.h cannot stand beside sched.h */
struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static int tid, stop, caught;
static pthread_t other;

static void handler(int sig) {
    (void)sig;
    if (pthread_equal(pthread_self(), other))
        add(&caught, 1);
}

/* All reads, on a thread that has nothing of its own. */
static void reads(pid_t id) {
    struct sched_param p = {-1};
    struct attr a = {0};
    struct timespec t;
    struct rlimit limit;
    cpu_set_t set;
    WANT(sched_getscheduler(id), SCHED_OTHER);
    DONE(sched_getparam(id, &p));
    WANT(p.sched_priority, 0);
    WANT(syscall(SYS_sched_getattr, id, &a, sizeof a, 0), 0);
    WANT(a.policy, SCHED_OTHER);
    WANT(a.size >= 48, 1);
    DONE(sched_rr_get_interval(id, &t));
    DONE(sched_getaffinity(id, sizeof set, &set));
    CHECK(CPU_COUNT(&set) > 0, "an empty set of CPUs");
    errno = 0;
    WANT(getpriority(PRIO_PROCESS, (id_t)id), getpriority(PRIO_PROCESS, 0));
    WANT(errno, 0);
    DONE(syscall(SYS_ioprio_get, 1, id));
    DONE(prlimit(id, RLIMIT_NOFILE, NULL, &limit));
    CHECK(limit.rlim_cur > 0, "no limit came");
    if (!id)
        return;
    DONE(tgkill(getpid(), id, 0));
    DONE(syscall(SYS_tkill, id, 0));
}

/* What changes nothing, as glib's pools do. */
static void same_again(pid_t id) {
    struct sched_param p = {0};
    struct attr a = {0};
    cpu_set_t set;
    WANT(syscall(SYS_sched_getattr, id, &a, sizeof a, 0), 0);
    DONE(syscall(SYS_sched_setattr, id, &a, 0));
    DONE(sched_setscheduler(id, SCHED_OTHER, &p));
    DONE(sched_setparam(id, &p));
    DONE(sched_getaffinity(id, sizeof set, &set));
    DONE(sched_setaffinity(id, sizeof set, &set));
    DONE(setpriority(PRIO_PROCESS, (id_t)id, getpriority(PRIO_PROCESS, (id_t)id)));
}

static void refuses(pid_t id) {
    struct sched_param p = {0};
    struct attr a = {.size = 48};
    struct timespec t;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    FAILS(sched_getscheduler(id), ESRCH);
    FAILS(sched_setscheduler(id, SCHED_OTHER, &p), ESRCH);
    FAILS(sched_getparam(id, &p), ESRCH);
    FAILS(sched_setparam(id, &p), ESRCH);
    FAILS(sched_rr_get_interval(id, &t), ESRCH);
    FAILS(syscall(SYS_sched_setattr, id, &a, 0), ESRCH);
    FAILS(syscall(SYS_sched_getattr, id, &a, sizeof a, 0), ESRCH);
    FAILS(sched_getaffinity(id, sizeof set, &set), ESRCH);
    FAILS(sched_setaffinity(id, sizeof set, &set), ESRCH);
    FAILS(getpriority(PRIO_PROCESS, (id_t)id), ESRCH);
    FAILS(setpriority(PRIO_PROCESS, (id_t)id, 0), ESRCH);
    FAILS(syscall(SYS_ioprio_get, 1, id), ESRCH);
    FAILS(tgkill(getpid(), id, 0), ESRCH);
}

static void *waits(void *arg) {
    set(&tid, gettid());
    reads(0);
    reads(gettid());
    same_again(gettid());
    same_again(0);
    wait_until(&stop, 1);
    return arg;
}

/* The name that the kernel has for a thread with a kernel thread of its own. */
static void *named(void *arg) {
    char name[32] = "", path[64];
    if (setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1))
        return arg;
    OK(pthread_setname_np(pthread_self(), "its-own"));
    snprintf(path, sizeof path, "/proc/thread-self/comm");
    FILE *f = fopen(path, "re");
    if (f) {
        CHECK(fgets(name, sizeof name, f), "no name");
        fclose(f);
        CHECK(strcmp(name, "its-own\n") == 0, "expected its-own, came %s", name);
    }
    return arg;
}

/* A CPU clock of a thread that computes: of its own kernel thread. */
static int spun;
static void *spins(void *arg) {
    DONE(setpriority(PRIO_PROCESS, 0, 1));
    volatile unsigned long n = 0;
    set(&spun, 1);
    while (!get(&stop))
        n++;
    return arg;
}

static void cpu_clock(void) {
    clockid_t clock;
    struct timespec a, b;
    set(&stop, 0);
    pthread_t t = spawn(spins, NULL);
    wait_until(&spun, 1);
    OK(pthread_getcpuclockid(t, &clock));
    DONE(clock_gettime(clock, &a));
    do {
        pause_ms(1);
        DONE(clock_gettime(clock, &b));
    } while (to_ns(b) - to_ns(a) < 3 * MS_NS);
    set(&stop, 1);
    join(t);
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_handler = handler};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    int tried = 0;
    for (int round = 0; round < 3; round++) {
        set(&tid, 0);
        set(&stop, 0);
        other = spawn(waits, NULL);
        wait_until(&tid, 1);
        pid_t id = get(&tid);
        reads(id);
        reads(gettid());
        same_again(id);
        same_again(gettid());
        set(&caught, 0);
        DONE(tgkill(getpid(), id, SIGUSR1));
        wait_until(&caught, 1);
        set(&stop, 1);
        join(other);
        for (int i = 0; i < 200 && kill(id, 0) == 0; i++)
            pause_ms(1); /* on NPTL the kernel forgets it soon after the join */
        refuses(id);
        tried++;
    }
    refuses((1 << 30) - 7);
    join(spawn(named, NULL));
    cpu_clock();
    WANT(tried, 3);
    return 0;
}
