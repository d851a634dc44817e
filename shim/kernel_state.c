/* kernel_state.c - calls that change what the kernel keeps for one thread: they wire their caller
 *
 * Each comes as a function of libc's and by number through syscall(). What belongs to the process
 * (limits, setuid and its family by their functions: setxid.c) is not here.
 */
#include "shim/fd.h"
#include "shim/numbers.h"
#include "shim/wire.h"

#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

/* prctl(2): those of the calling thread alone. The others belong to the process, or read. A
 * parent's death (PR_SET_PDEATHSIG) is told to the process whichever thread has asked for it. */
bool wire_prctl(long option, long a) {
    switch (option) {
    case PR_SET_KEEPCAPS:
    case PR_SET_SECUREBITS:
    case PR_CAPBSET_DROP:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_SECCOMP:
    case PR_SET_TSC:
    case PR_MCE_KILL:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_IO_FLUSHER:
    case PR_SET_SYSCALL_USER_DISPATCH:
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
#ifdef PR_SCHED_CORE
    case PR_SCHED_CORE:
#endif
        return true;
    case PR_CAP_AMBIENT:
        return a != PR_CAP_AMBIENT_IS_SET;
    default:
        return false;
    }
}

static bool names_thread_keyring(long a, long b, long c) {
    return a == KEY_SPEC_THREAD_KEYRING || b == KEY_SPEC_THREAD_KEYRING ||
           c == KEY_SPEC_THREAD_KEYRING;
}

static bool keyctl_wires(long op, long a, long b) {
    return op == KEYCTL_JOIN_SESSION_KEYRING || op == KEYCTL_SET_REQKEY_KEYRING ||
           op == KEYCTL_ASSUME_AUTHORITY || names_thread_keyring(a, b, 0);
}

bool wire_is_for(long nr, long a, long b, long c) {
    switch (nr) {
    case SYS_unshare:
    case SYS_setns:
    case SYS_landlock_restrict_self:
    case SYS_capset:
    case SYS_set_mempolicy:
    case SYS_ioperm:
    case SYS_iopl:
    case SYS_ptrace:
    case SYS_set_robust_list:
    case SYS_set_thread_area:
    case SYS_lsm_set_self_attr:
    /* By number the ids are one thread's (DANGERS X4). */
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setgroups:
        return true;
    case SYS_setfsuid:
    case SYS_setfsgid:
    case SYS_personality:
        return (uint32_t)a != UINT32_MAX; /* the way to ask for it */
    case SYS_seccomp:                     /* with TSYNC all threads get the filter */
        return a == SECCOMP_SET_MODE_STRICT ||
               (a == SECCOMP_SET_MODE_FILTER && !(b & SECCOMP_FILTER_FLAG_TSYNC));
    case SYS_arch_prctl:
        return a == ARCH_SET_GS || a == ARCH_SET_CPUID;
    case SYS_keyctl:
        return keyctl_wires(a, b, c);
    case SYS_perf_event_open: /* of the calling thread */
        return b == 0;
    case SYS_prctl:
        return wire_prctl(a, b);
    default:
        return false;
    }
}

/* ---- calls with the id of a thread ---- */

/* Of one thread, by its number in the argument `who`: 0 or -EAGAIN; *id: what the kernel calls it.
 */
static long wire_id(long who, bool changes, long *id) {
    struct thread *t = thread_meant(who);
    *id = who;
    if (!t)
        return 0;
    *id = changes ? wire_other(t, WIRE_KERNEL) : thread_kernel_id(t);
    return *id ? 0 : -EAGAIN;
}

/* By number: changes *a or *b to what the kernel calls the thread. */
long wire_ids(long nr, long *a, long *b) {
    switch (nr) {
    case SYS_ioprio_set:
        return *a == IOPRIO_WHO_PROCESS ? wire_id(*b, true, b) : 0;
    case SYS_ioprio_get:
        return *a == IOPRIO_WHO_PROCESS ? wire_id(*b, false, b) : 0;
    case SYS_perf_event_open:
        return *b > 0 && thread_meant(*b) ? wire_id(*b, true, b) : 0;
    case SYS_get_robust_list:
        return wire_id(*a, false, a);
    case SYS_prlimit64: /* limits are the process's */
        if (*a > 0 && thread_meant(*a))
            *a = 0;
        return 0;
    default:
        return 0;
    }
}

SHIM_API int shim_prlimit(pid_t pid, __rlimit_resource_t what, const struct rlimit *new,
                          struct rlimit *old) {
    return next(prlimit)(pid > 0 && thread_meant(pid) ? 0 : pid, what, new, old);
}

/* A header that names the caller by its own id. */
static cap_user_header_t caps_of_self(cap_user_header_t h, struct __user_cap_header_struct *own) {
    struct thread *t = wire_thread();
    if (!t || !h || h->pid != t->tid)
        return h;
    *own = *h;
    own->pid = 0;
    return own;
}

SHIM_API int shim_capset(cap_user_header_t h, const cap_user_data_t data) {
    struct __user_cap_header_struct own;
    cap_user_header_t header = caps_of_self(h, &own);
    return WIRED_CALL(next(capset)(header, data));
}

SHIM_API int shim_capget(cap_user_header_t h, cap_user_data_t data) {
    struct __user_cap_header_struct own;
    return next(capget)(caps_of_self(h, &own), data);
}

/* ---- libc's functions ---- */

SHIM_API int shim_unshare(int flags) {
    struct runtime_fds were;
    table_leaving(&were);
    int r = WIRED_CALL(next(unshare)(flags));
    if (r == 0 && flags & CLONE_FILES && wire_thread())
        fd_table_left(&were);
    return r;
}
SHIM_API int shim_setns(int fd, int type) { return WIRED_CALL(next(setns)(fd, type)); }
SHIM_API int shim_ioperm(unsigned long from, unsigned long n, int on) {
    return WIRED_CALL(next(ioperm)(from, n, on));
}
SHIM_API int shim_iopl(int level) { return WIRED_CALL(next(iopl)(level)); }

SHIM_API int shim_personality(unsigned long persona) {
    if ((uint32_t)persona == UINT32_MAX)
        return next(personality)(persona);
    return WIRED_CALL(next(personality)(persona));
}

/* They give back what was, and never fail. */
SHIM_API int shim_setfsuid(uid_t id) {
    if (id != UINT32_MAX && wire_thread() && !wire_self(WIRE_KERNEL))
        id = UINT32_MAX;
    return next(setfsuid)(id);
}
SHIM_API int shim_setfsgid(gid_t id) {
    if (id != UINT32_MAX && wire_thread() && !wire_self(WIRE_KERNEL))
        id = UINT32_MAX;
    return next(setfsgid)(id);
}

/* A traced process knows one kernel thread as its tracer. */
SHIM_API long shim_ptrace(enum __ptrace_request request, ...) {
    va_list ap;
    va_start(ap, request);
    pid_t pid = va_arg(ap, pid_t);
    void *addr = va_arg(ap, void *), *data = va_arg(ap, void *), *more = va_arg(ap, void *);
    va_end(ap);
    if (wire_thread() && !wire_self(WIRE_KERNEL))
        return -1;
    return next(ptrace)(request, pid, addr, data, more);
}
