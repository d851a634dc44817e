/* inherit.c - CPU affinity, nice value and timer slack of a goroutine
 *
 * In Linux these belong to the kernel thread, which is an M here and serves many. So they are
 * remembered for the G, told to whom asks, and given to its children: threads and processes. A G
 * with fewer CPUs than the process, or with another nice value, is wired (wire.c).
 */
#include "shim/inherit.h"
#include "shim/shim.h"
#include "shim/wire.h"

#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Sets of CPUs that threads have asked for: few, and kept for good, so that a thread holds a
 * pointer. */
struct affinity {
    struct affinity *next;
    unsigned long cpus[16]; /* CPU_SETSIZE bits */
};
static struct affinity *affinities;
static struct lock affinities_lock;

static struct affinity *find_locked(const unsigned long *cpus) {
    struct affinity *a = affinities;
    while (a && memcmp(a->cpus, cpus, sizeof a->cpus) != 0)
        a = a->next;
    return a;
}

/* NULL: no memory. */
static const struct affinity *intern(const unsigned long *cpus) {
    lock_acquire(&affinities_lock);
    struct affinity *a = find_locked(cpus);
    lock_release(&affinities_lock);
    struct affinity *fresh = a ? NULL : mem_permanent(sizeof *fresh, 8);
    if (!fresh)
        return a;
    memcpy(fresh->cpus, cpus, sizeof fresh->cpus);
    lock_acquire(&affinities_lock);
    a = find_locked(cpus); /* if two came at once, one piece of memory is lost */
    if (!a) {
        fresh->next = affinities;
        affinities = a = fresh;
    }
    lock_release(&affinities_lock);
    return a;
}

void inherit_from(struct thread *t, const struct thread *self) {
    t->affinity = self ? self->affinity : NULL;
    t->nice_set = self && self->nice_set;
    t->nice = self ? self->nice : 0;
    t->slack = self ? self->slack : 0;
}

/* ---- affinity ---- */

/* What a kernel thread may use; 0: the running one. Bytes, or -errno. */
static long cpus_of(int32_t tid, unsigned long *cpus) {
    memset(cpus, 0, sizeof(unsigned long[16]));
    return sys(SYS_sched_getaffinity, tid, sizeof(unsigned long[16]), cpus);
}

/* What the kernel makes of a set: without the CPUs that the process may not have at all
 * (cpuset(7)). It is asked by giving it to the running M for a moment. 0 or -errno. */
static long kernel_view(unsigned long *cpus) {
    unsigned long have[16];
    section_begin(); /* on one M */
    long r = cpus_of(0, have);
    if (r > 0)
        r = sys(SYS_sched_setaffinity, 0, sizeof have, cpus);
    if (r == 0) {
        cpus_of(0, cpus);
        sys(SYS_sched_setaffinity, 0, sizeof have, have);
    }
    section_end();
    return r;
}

/* sched_setaffinity(2). 0 or an errno. */
static int affinity_set(struct thread *t, size_t size, const void *mask) {
    unsigned long want[16] = {0};
    memcpy(want, mask, size < sizeof want ? size : sizeof want);
    long r = kernel_view(want);
    if (r < 0)
        return (int)-r;
    const struct affinity *a = intern(want);
    if (!a)
        return ENOMEM;
    t->affinity = a;
    int32_t tid = g_wired_tid(t->g);
    if (tid)
        sys(SYS_sched_setaffinity, tid, sizeof want, want);
    if (!inherit_is_all(a))
        return wire_ask(t, WIRE_AFFINITY);
    if (t == thread_self())
        wire_drop(WIRE_AFFINITY);
    else
        __atomic_fetch_and(&t->wire, (uint8_t)~WIRE_AFFINITY, __ATOMIC_SEQ_CST);
    return 0;
}

bool inherit_is_all(const struct affinity *a) {
    unsigned long all[16];
    if (cpus_of(sched_clean_tid(), all) < 0)
        return false;
    for (int i = 0; i < 16; i++)
        if (all[i] & ~a->cpus[i])
            return false;
    return true;
}

int inherit_attr_affinity(struct thread *t, const cpu_set_t *set, bool *all) {
    unsigned long want[16];
    memcpy(want, set, sizeof want);
    long r = kernel_view(want);
    const struct affinity *a = r < 0 ? NULL : intern(want);
    if (!a)
        return r < 0 ? (int)-r : EAGAIN;
    t->affinity = a;
    *all = inherit_is_all(a);
    return 0;
}

/* Bytes, or -errno. */
static long affinity_get(const struct thread *t, size_t size, void *mask) {
    unsigned long cpus[16];
    bool waits = t->wire & WIRE_AFFINITY && !g_wired_tid(t->g);
    long bytes = cpus_of(thread_kernel_id(t), cpus);
    if (bytes < 0)
        return bytes;
    if (size < (size_t)bytes || size % sizeof(long))
        return -EINVAL;
    memcpy(mask, waits ? t->affinity->cpus : cpus, (size_t)bytes);
    return bytes;
}

long inherit_setaffinity_syscall(long pid, long size, long mask) {
    struct thread *t = thread_meant(pid);
    if (!t)
        return sys(SYS_sched_setaffinity, pid, size, mask);
    return -affinity_set(t, (size_t)size, (const void *)mask);
}

long inherit_getaffinity_syscall(long pid, long size, long mask) {
    struct thread *t = thread_meant(pid);
    if (!t)
        return sys(SYS_sched_getaffinity, pid, size, mask);
    return affinity_get(t, (size_t)size, (void *)mask);
}

static int libc_result(long r) {
    if (r >= 0)
        return 0;
    errno = (int)-r;
    return -1;
}

SHIM_API int shim_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set) {
    return libc_result(inherit_setaffinity_syscall(pid, (long)size, (long)set));
}

/* glibc clears what the kernel does not write. */
static long get_whole(const struct thread *t, size_t size, cpu_set_t *set) {
    long r = affinity_get(t, size, set);
    if (r > 0)
        memset((char *)set + r, 0, size - (size_t)r);
    return r;
}

SHIM_API int shim_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    struct thread *t = thread_meant(pid);
    return t ? libc_result(get_whole(t, size, set)) : next(sched_getaffinity)(pid, size, set);
}

SHIM_API int shim_getaffinity(pthread_t th, size_t size, cpu_set_t *set) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() ? ESRCH : next(pthread_getaffinity_np)(th, size, set);
    long r = get_whole(t, size, set);
    return r < 0 ? (int)-r : 0;
}

SHIM_API int shim_setaffinity(pthread_t th, size_t size, const cpu_set_t *set) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() ? ESRCH : next(pthread_setaffinity_np)(th, size, set);
    return affinity_set(t, size, set);
}

/* ---- nice ---- */

static int nice_of_kernel(int32_t tid) { return 20 - (int)sys(SYS_getpriority, PRIO_PROCESS, tid); }
int inherit_nice_of_process(void) { return nice_of_kernel(sched_clean_tid()); }

int inherit_nice(const struct thread *t) {
    bool waits = t->nice_set && !g_wired_tid(t->g);
    return waits ? t->nice : nice_of_kernel(thread_kernel_id(t));
}

/* May this thread's nice value become lower, down to `to`? setpriority(2). */
static bool may_lower(int to) {
    struct rlimit limit;
    return sys(SYS_geteuid) == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur != 0 &&
                                     (int)limit.rlim_cur >= 20 - to);
}

static int nice_set(struct thread *t, int value) {
    value = value < -20 ? -20 : value > 19 ? 19 : value;
    int32_t tid = g_wired_tid(t->g);
    bool dflt = value == inherit_nice_of_process();
    if (tid) {
        long r = sys(SYS_setpriority, PRIO_PROCESS, tid, value);
        if (r < 0)
            return (int)-r;
    } else if (value < inherit_nice(t) && !may_lower(value)) {
        return EACCES;
    }
    t->nice = value;
    t->nice_set = !dflt;
    if (!dflt)
        return wire_ask(t, WIRE_NICE);
    if (t == thread_self())
        wire_drop(WIRE_NICE);
    else
        __atomic_fetch_and(&t->wire, (uint8_t)~WIRE_NICE, __ATOMIC_SEQ_CST);
    return 0;
}

/* glibc declares `which` as an enum in C. */
SHIM_API int shim_setpriority(__priority_which_t which, id_t who, int value) {
    struct thread *t = which == PRIO_PROCESS ? thread_meant((long)who) : NULL;
    return t ? libc_result(-nice_set(t, value)) : next(setpriority)(which, who, value);
}

SHIM_API int shim_getpriority(__priority_which_t which, id_t who) {
    struct thread *t = which == PRIO_PROCESS ? thread_meant((long)who) : NULL;
    return t ? inherit_nice(t) : next(getpriority)(which, who);
}

SHIM_API int shim_nice(int by) {
    struct thread *t = thread_meant(0);
    if (!t)
        return next(nice)(by);
    if (nice_set(t, inherit_nice(t) + by)) {
        errno = EPERM; /* nice(3) says EPERM where setpriority says EACCES */
        return -1;
    }
    return inherit_nice(t);
}

/* ---- timer slack ---- */

long inherit_setslack(unsigned long ns) {
    struct thread *t = thread_self();
    if (!t)
        return sys(SYS_prctl, PR_SET_TIMERSLACK, ns);
    t->slack = (long)ns; /* 0: the default again */
    if (g_wired_tid(t->g))
        sys(SYS_prctl, PR_SET_TIMERSLACK, ns);
    return 0;
}

long inherit_getslack(void) {
    struct thread *t = thread_self();
    return t && t->slack ? t->slack : sys(SYS_prctl, PR_GET_TIMERSLACK);
}

/* ---- processes ---- */

void inherit_apply_affinity(const struct thread *t) {
    sys(SYS_sched_setaffinity, 0, sizeof t->affinity->cpus, t->affinity->cpus);
}

void inherit_apply(const struct thread *t) {
    if (t->affinity)
        inherit_apply_affinity(t);
    if (t->nice_set)
        sys(SYS_setpriority, PRIO_PROCESS, 0, t->nice);
    if (t->slack)
        sys(SYS_prctl, PR_SET_TIMERSLACK, t->slack);
}

void inherit_show(const struct thread *t, struct inherit_saved *saved) {
    *saved = (struct inherit_saved){0};
    if (likely(!t->affinity && !t->nice_set && !t->slack) || g_wired_tid(t->g))
        return; /* a wired one's kernel thread has it all */
    struct thread shown = *t;
    saved->affinity = t->affinity && cpus_of(0, saved->cpus) > 0;
    saved->slack = t->slack != 0;
    saved->slack_was = sys(SYS_prctl, PR_GET_TIMERSLACK);
    saved->nice_was = nice_of_kernel(0);
    /* Only if the M can have its own value back. */
    saved->nice = t->nice_set && (t->nice <= saved->nice_was || may_lower(saved->nice_was));
    shown.nice_set = saved->nice;
    inherit_apply(&shown);
}

void inherit_hide(const struct inherit_saved *saved) {
    if (saved->affinity)
        sys(SYS_sched_setaffinity, 0, sizeof saved->cpus, saved->cpus);
    if (saved->nice)
        sys(SYS_setpriority, PRIO_PROCESS, 0, saved->nice_was);
    if (saved->slack)
        sys(SYS_prctl, PR_SET_TIMERSLACK, saved->slack_was);
}
