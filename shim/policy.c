/* policy.c - scheduling policies and priorities of threads
 *
 * A thread has the process's until it asks for another; then it is wired and its kernel thread has
 * it (wire.c). What is asked for another thread is tried on the caller's kernel thread first, so
 * that its error comes at once, and remembered until that thread has one of its own.
 */
#include "shim/inherit.h"
#include "shim/signal.h"
#include "shim/wire.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define POLICY_DEADLINE 6
/* The head of linux/sched/types.h's, which cannot stand beside sched.h. */
struct kernel_sched_attr {
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t runtime, deadline, period;
};
#define SCHED_ATTR_SIZE_VER0 48

static int libc_result(long r) {
    if (r >= 0)
        return (int)r;
    errno = (int)-r;
    return -1;
}

/* ---- what a thread has ---- */

int32_t thread_kernel_id(const struct thread *t) {
    int32_t tid = g_wired_tid(t->g);
    return tid ? tid : sched_clean_tid();
}

static int default_policy(void) { return (int)sys(SYS_sched_getscheduler, sched_clean_tid()); }

/* Is something remembered for t that its kernel thread has not got yet? */
static bool waits_for_it(const struct thread *t) {
    return t->wire & WIRE_SCHED && !g_wired_tid(t->g);
}

static long policy_get(const struct thread *t, struct sched_param *param) {
    if (waits_for_it(t)) {
        *param = t->sched_param;
        return t->sched_policy;
    }
    int32_t tid = thread_kernel_id(t);
    long r = sys(SYS_sched_getparam, tid, param);
    return r < 0 ? r : sys(SYS_sched_getscheduler, tid);
}

/* ---- setting it ---- */

/* Would the kernel let a thread of ours have it? */
static long trial(int policy, const struct sched_param *param) {
    struct sched_param was;
    /* Nobody is refused these, and not everybody may leave SCHED_IDLE again. */
    if ((policy == SCHED_IDLE || policy == SCHED_BATCH) && !param->sched_priority)
        return 0;
    section_begin(); /* on one M */
    long policy_was = sys(SYS_sched_getscheduler, 0);
    sys(SYS_sched_getparam, 0, &was);
    long r = sys(SYS_sched_setscheduler, 0, policy, param);
    if (r == 0)
        sys(SYS_sched_setscheduler, 0, policy_was, &was);
    section_end();
    return r;
}

bool policy_is_default(int policy, const struct sched_param *param) {
    struct sched_param dflt = {0};
    sys(SYS_sched_getparam, sched_clean_tid(), &dflt);
    return policy == default_policy() && param->sched_priority == dflt.sched_priority;
}

static long policy_set(struct thread *t, int policy, const struct sched_param *param) {
    int32_t tid = g_wired_tid(t->g);
    bool dflt = policy_is_default(policy, param);
    long r = tid    ? sys(SYS_sched_setscheduler, tid, policy, param)
             : dflt ? 0
                    : trial(policy & ~SCHED_RESET_ON_FORK, param);
    if (r < 0)
        return r;
    t->sched_policy = policy;
    t->sched_param = *param;
    if (!dflt)
        return -wire_ask(t, WIRE_SCHED);
    if (t == thread_self())
        wire_drop(WIRE_SCHED);
    else
        __atomic_fetch_and(&t->wire, (uint8_t)~WIRE_SCHED, __ATOMIC_SEQ_CST);
    return 0;
}

/* Nothing but what a thread has anyhow: glib's pools ask for that. */
static bool changes_nothing(const struct kernel_sched_attr *a, const struct thread *t) {
    struct sched_param param = {.sched_priority = (int)a->sched_priority};
    return !g_wired_tid(t->g) && !(t->wire & WIRE_SCHED) && !a->sched_flags &&
           a->sched_policy != POLICY_DEADLINE && policy_is_default((int)a->sched_policy, &param) &&
           a->sched_nice == inherit_nice(t);
}

/* sched_setattr(2). */
static long attr_set(struct thread *t, const struct kernel_sched_attr *a, long flags) {
    if (!a || flags || a->size < SCHED_ATTR_SIZE_VER0)
        return sys(SYS_sched_setattr, 0, a, flags); /* EINVAL or E2BIG */
    if (changes_nothing(a, t))
        return 0;
    bool self = t == thread_self(), had = t->wire & WIRE_SCHED;
    int32_t tid = wire_other(t, WIRE_SCHED);
    if (!tid)
        return -EAGAIN;
    long r = sys(SYS_sched_setattr, tid, a, flags);
    if (r < 0) {
        if (self && !had)
            wire_drop(WIRE_SCHED);
        return r;
    }
    t->sched_policy = (int)sys(SYS_sched_getscheduler, tid);
    sys(SYS_sched_getparam, tid, &t->sched_param);
    t->nice = 20 - (int)sys(SYS_getpriority, PRIO_PROCESS, tid);
    t->nice_set = t->nice != inherit_nice_of_process();
    return 0;
}

/* ---- the calls ---- */

struct thread *thread_meant(long tid) {
    struct thread *self = wire_thread();
    if (!self || tid == 0)
        return self;
    return tid < 0 ? NULL : thread_of_tid((int32_t)tid);
}

/* One of these calls on t, as the kernel would. */
static long policy_call(struct thread *t, long nr, long b, long c, long d) {
    struct sched_param param = {0};
    const struct sched_param *given;
    long r;
    switch (nr) {
    case SYS_sched_setscheduler:
        given = (const struct sched_param *)c;
        return !given || b < 0 ? -EINVAL : policy_set(t, (int)b, given);
    case SYS_sched_setparam:
        given = (const struct sched_param *)b;
        r = policy_get(t, &param);
        return r < 0 ? r : !given ? -EINVAL : policy_set(t, (int)r, given);
    case SYS_sched_setattr:
        return attr_set(t, (const struct kernel_sched_attr *)b, c);
    case SYS_sched_getscheduler:
        return policy_get(t, &param);
    case SYS_sched_getparam:
        r = b ? policy_get(t, (struct sched_param *)b) : -EINVAL;
        return r < 0 ? r : 0;
    case SYS_sched_getattr:
        return sys(SYS_sched_getattr, thread_kernel_id(t), b, c, d);
    default:
        return sys(nr, thread_kernel_id(t), b);
    }
}

long policy_syscall(long nr, long a, long b, long c, long d, bool *ours) {
    struct thread *t;
    *ours = false;
    switch (nr) {
    case SYS_sched_setscheduler:
    case SYS_sched_setparam:
    case SYS_sched_setattr:
    case SYS_sched_getscheduler:
    case SYS_sched_getparam:
    case SYS_sched_getattr:
    case SYS_sched_rr_get_interval:
        t = thread_meant(a);
        *ours = t != NULL;
        return t ? policy_call(t, nr, b, c, d) : 0;
    default:
        return 0;
    }
}

#define POLICY_CALL(name, nr, b, c, call)                                                          \
    do {                                                                                           \
        struct thread *t_ = thread_meant(pid);                                                     \
        return t_ ? libc_result(policy_call(t_, nr, (long)(b), (long)(c), 0)) : (call);            \
    } while (0)

SHIM_API int shim_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param) {
    POLICY_CALL(sched_setscheduler, SYS_sched_setscheduler, policy, param,
                next(sched_setscheduler)(pid, policy, param));
}
SHIM_API int shim_sched_setparam(pid_t pid, const struct sched_param *param) {
    POLICY_CALL(sched_setparam, SYS_sched_setparam, param, 0, next(sched_setparam)(pid, param));
}
SHIM_API int shim_sched_getscheduler(pid_t pid) {
    POLICY_CALL(sched_getscheduler, SYS_sched_getscheduler, 0, 0, next(sched_getscheduler)(pid));
}
SHIM_API int shim_sched_getparam(pid_t pid, struct sched_param *param) {
    POLICY_CALL(sched_getparam, SYS_sched_getparam, param, 0, next(sched_getparam)(pid, param));
}
SHIM_API int shim_sched_rr_get_interval(pid_t pid, struct timespec *t) {
    POLICY_CALL(sched_rr_get_interval, SYS_sched_rr_get_interval, t, 0,
                next(sched_rr_get_interval)(pid, t));
}

/* glibc has these two since 2.41, and nothing in them but the system call. */
SHIM_API int shim_sched_setattr(pid_t pid, const struct kernel_sched_attr *a, unsigned flags) {
    POLICY_CALL(sched_setattr, SYS_sched_setattr, a, flags,
                (int)next(syscall)(SYS_sched_setattr, pid, a, flags));
}
SHIM_API int shim_sched_getattr(pid_t pid, struct kernel_sched_attr *a, unsigned size,
                                unsigned flags) {
    struct thread *t = thread_meant(pid);
    return t ? libc_result(policy_call(t, SYS_sched_getattr, (long)a, size, flags))
             : (int)next(syscall)(SYS_sched_getattr, pid, a, size, flags);
}

/* libc's own answer where the thread is not a goroutine of ours. */
#define NOT_OURS(name, ...) (sched_running() && getg() ? ESRCH : next(name)(__VA_ARGS__))

SHIM_API int shim_getschedparam(pthread_t th, int *policy, struct sched_param *param) {
    struct thread *t = thread_find(th);
    if (!t)
        return NOT_OURS(pthread_getschedparam, th, policy, param);
    long r = policy_get(t, param);
    if (r < 0)
        return (int)-r;
    *policy = (int)r & ~SCHED_RESET_ON_FORK;
    return 0;
}

SHIM_API int shim_setschedparam(pthread_t th, int policy, const struct sched_param *param) {
    struct thread *t = thread_find(th);
    if (!t)
        return NOT_OURS(pthread_setschedparam, th, policy, param);
    return (int)-policy_set(t, policy, param);
}

SHIM_API int shim_setschedprio(pthread_t th, int prio) {
    struct thread *t = thread_find(th);
    if (!t)
        return NOT_OURS(pthread_setschedprio, th, prio);
    struct sched_param param = {0};
    long r = policy_get(t, &param);
    param.sched_priority = prio;
    return (int)(r < 0 ? -r : -policy_set(t, (int)r, &param));
}
