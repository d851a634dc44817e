/* attr.c - what a thread can be asked about, and what can be set: bounds, name, clock
 *
 * A thread has no kernel thread of its own, so what NPTL asks the kernel by tid is kept here.
 */
#include "shim/cpuclock.h"
#include "shim/inherit.h"
#include "shim/shim.h"
#include "shim/wire.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* libc's own answer where the thread is not a goroutine of ours. */
#define NOT_OURS(name, ...) (sched_running() && getg() ? ESRCH : next(name)(__VA_ARGS__))

static bool is_first(const struct thread *t) { return t == thread_first(); }

SHIM_API int shim_getattr(pthread_t th, pthread_attr_t *attr) {
    struct thread *t = thread_find(th);
    /* The process stack grows on demand; libc reads its bounds from /proc. It also asks for the
     * affinity of TCB.tid, which is the process id there. */
    if (!t || is_first(t))
        return next(pthread_getattr_np)(th, attr);
    int err = pthread_attr_init(attr);
    if (err)
        return err;
    uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
    size_t size = g_stack_hi(t->g) - g_stack_lo(t->g);
    pthread_attr_setstack(attr, (void *)g_stack_lo(t->g), size);
    pthread_attr_setguardsize(attr, t->guard);
    pthread_attr_setdetachstate(attr, state & THREAD_DETACHED ? PTHREAD_CREATE_DETACHED
                                                              : PTHREAD_CREATE_JOINABLE);
    int policy;
    struct sched_param param;
    if (shim_getschedparam(th, &policy, &param) == 0) {
        pthread_attr_setschedpolicy(attr, policy);
        pthread_attr_setschedparam(attr, &param);
    }
    return 0;
}

/* ---- names: at most 15 bytes, as the kernel's ----
 * A new thread has its creator's. The first thread's is also that of the kernel thread whose tid
 * is the process id: tools know the process by it. A wired one's is its kernel thread's. */

static void name_to_kernel(long tid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", tid);
    long fd = sys(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        sys(SYS_write, fd, name, strlen(name));
        sys(SYS_close, fd);
    }
}

static void name_set(struct thread *t, const char *name) {
    strncpy(t->name, name, sizeof t->name - 1);
    int32_t tid = g_wired_tid(t->g);
    if (tid)
        name_to_kernel(tid, t->name);
    else if (is_first(t))
        name_to_kernel(sys(SYS_getpid), t->name);
}

SHIM_API int shim_setname(pthread_t th, const char *name) {
    struct thread *t = thread_find(th);
    if (!t)
        return NOT_OURS(pthread_setname_np, th, name);
    if (strlen(name) >= sizeof t->name)
        return ERANGE;
    name_set(t, name);
    return 0;
}

SHIM_API int shim_getname(pthread_t th, char *buf, size_t size) {
    struct thread *t = thread_find(th);
    if (!t)
        return NOT_OURS(pthread_getname_np, th, buf, size);
    if (size < sizeof t->name)
        return ERANGE;
    memcpy(buf, t->name, sizeof t->name);
    return 0;
}

/* prctl is the older way to the name, and the only one to the timer slack; all its other options
 * are the kernel thread's or process's. */
SHIM_API int shim_prctl(int option, long a, long b, long c, long d) {
    struct thread *t = wire_thread();
    if (t && option == PR_SET_NAME)
        name_set(t, (const char *)a);
    else if (t && option == PR_GET_NAME)
        memcpy((char *)a, t->name, sizeof t->name);
    else if (t && option == PR_GET_TID_ADDRESS)
        *(int32_t **)a = tid_address_get(t);
    else if (t && option == PR_SET_TIMERSLACK)
        return (int)inherit_setslack((unsigned long)a);
    else if (t && option == PR_GET_TIMERSLACK)
        return (int)inherit_getslack();
    else if (wire_prctl(option, a))
        return WIRED_CALL(next(prctl)(option, a, b, c, d));
    else
        return next(prctl)(option, a, b, c, d);
    return 0;
}

/* ---- set_tid_address(2) ----
 * The kernel would do it when the kernel thread ends, which serves other threads before. */

int32_t *tid_address_get(const struct thread *t) {
    return t->tid_address ? t->tid_address : (int32_t *)(t->tcb + glibc.off_tid);
}

int32_t tid_address_set(struct thread *t, int32_t *address) {
    t->tid_address = address == (int32_t *)(t->tcb + glibc.off_tid) ? NULL : address;
    return t->tid;
}

/* The memory may be gone, which is nobody's fault: so the kernel writes. */
void tid_address_clear(struct thread *t) {
    int32_t zero = 0;
    if (likely(!t->tid_address))
        return;
    struct iovec from = {&zero, sizeof zero}, to = {t->tid_address, sizeof zero};
    if (sys(SYS_process_vm_writev, sys(SYS_getpid), &from, 1, &to, 1, 0) == sizeof zero)
        shim_syscall(SYS_futex, (long)t->tid_address, FUTEX_WAKE, 1, 0, 0, 0);
}

/* ---- clocks ---- */

SHIM_API int shim_getcpuclockid(pthread_t th, clockid_t *clock) {
    struct thread *t = thread_find(th);
    if (!t)
        return NOT_OURS(pthread_getcpuclockid, th, clock);
    if (atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED)
        return ESRCH;
    *clock = cpuclock_of(t->tid);
    return 0;
}

/* For dumps (sched_host.g_describe). */
void thread_describe(struct g *g, char *buf, size_t size);
void thread_describe(struct g *g, char *buf, size_t size) {
    struct thread *t = thread_of(g);
    uint64_t blocked = atomic_load(&g_signals(g)->blocked),
             pending = atomic_load(&g_signals(g)->pending);
    char signals[64] = "";
    if (blocked | pending)
        snprintf(signals, sizeof signals, ", signals blocked %lx pending %lx",
                 (unsigned long)blocked, (unsigned long)pending);
    snprintf(buf, size, "tid %d%s%.16s%s", t->tid, t->name[0] ? " " : "", t->name, signals);
}
