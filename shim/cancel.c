/* cancel.c - deferred cancellation of goroutines
 *
 * The request is two bits in struct pthread.cancelhandling, where glibc's own pthread_testcancel,
 * pthread_setcancelstate and unwinding look for it. What is ours is to wake the target:
 *
 *   canceller: (1) sets the bits (seq_cst), (2) looks whether the target is linked in the parking
 *              lot and ends its wait.
 *   waiter:    (1) under the bucket lock marks the wait as interruptible and links itself; the
 *              unlock is a full barrier, (2) reads the bits; if set it ends its own wait.
 * Either the canceller finds the waiter, or the waiter sees the bits.
 *
 * A target inside one of libc's calls is libc's: that has set CANCEL_ASYNC for the time of the
 * system call and, with a read-modify-write, looked at the bits.
 *
 *   canceller: (1) sets the bits, (2) reads the target's status; in a system call: signals its M.
 *   caller:    (1) its status says SYSCALL, (2) libc's compare-exchange sets CANCEL_ASYNC and sees
 *              the bits, (3) the system call.
 * So either libc sees the bits in (2), or the signal arrives in or after (3), and its handler acts
 * on the request if CANCEL_ASYNC is still set. The same without (1) where nothing of ours is around
 * the call (stdio): the target is running, and what the signal interrupts is code of libc's.
 * Unwinding ends the bracket (LIBC_CALL). While a handler of the program has interrupted the call,
 * the status is RUNNING; when it becomes SYSCALL again the bits are looked at once more
 * (signal_run).
 */
#include "shim/signal.h"
#include "sigframe.h"

#include <signal.h>
#include <sys/syscall.h>

#define SIGCANCEL 32 /* what libc uses for the same; programs cannot get at it */

bool cancel_pending(const struct thread *t) {
    int h = atomic_load_explicit(tcb_cancelhandling(t->tcb), memory_order_relaxed);
    return (h & (CANCEL_DISABLED | CANCEL_CANCELED | CANCEL_EXITING)) == CANCEL_CANCELED;
}

void cancel_test(void) {
    struct thread *t = thread_self();
    if (t && unlikely(cancel_pending(t)))
        next(pthread_testcancel)();
}

enum park_result cancel_wait(struct waiter *w, uint64_t deadline) {
    if (w->g && unlikely(cancel_pending(thread_of(w->g))))
        g_interrupt(w->g, false);
    return lot_wait(w, deadline);
}

/* ---- in the kernel ---- */

void cancel_in_call(void) {
    struct thread *t = thread_self();
    if (atomic_load_explicit(tcb_cancelhandling(t->tcb), memory_order_seq_cst) & CANCEL_ASYNC)
        cancel_test();
}

/* Does the goroutine stand in libc without our knowing, in a read of stdio's? */
static bool in_libc_unseen(const void *context) {
    return !g_is_g0(getg()) && !section_inside() && preempt_in_libc(arch_uc_pc(context));
}

static void on_sigcancel(int sig, siginfo_t *info, void *context) {
    if (sig == SIGCANCEL && info->si_code == SI_TKILL && info->si_pid == sys(SYS_getpid) &&
        thread_self() && (syscall_inside() || in_libc_unseen(context)))
        cancel_in_call();
}

/* NODEFER: the handler may never return, and this M's mask must not keep the signal. */
void cancel_start(void) {
    struct arch_sigaction sa = {
        .handler = (void *)on_sigcancel,
        .flags = SA_SIGINFO | SA_RESTART | SA_NODEFER | ARCH_SA_RESTORER,
        .restorer = (void *)arch_sigreturn,
    };
    sys(SYS_rt_sigaction, SIGCANCEL, &sa, NULL, sizeof sa.mask);
}

static void cancel_in_kernel(struct g *g) {
    int32_t tid = g_kernel_tid(g);
    if (tid)
        sys(SYS_tgkill, sys(SYS_getpid), tid, SIGCANCEL);
}

SHIM_API int shim_cancel(pthread_t th) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() && getg() ? ESRCH : next(pthread_cancel)(th);
    if (atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED)
        return 0; /* POSIX: not an error while it can be joined */
    int old = atomic_fetch_or(tcb_cancelhandling(t->tcb), CANCEL_CANCELING | CANCEL_CANCELED);
    if (old & (CANCEL_DISABLED | CANCEL_EXITING | CANCEL_CANCELED))
        return 0;
    if (t == thread_self()) {
        if (old & CANCEL_ASYNC)
            cancel_test();
        return 0;
    }
    if (!g_interrupt(t->g, false))
        cancel_in_kernel(t->g);
    return 0;
}
