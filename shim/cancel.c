/* cancel.c - cancellation of goroutines
 *
 * The request is two bits in struct pthread.cancelhandling, where glibc's own pthread_testcancel,
 * pthread_setcancelstate, pthread_setcanceltype and unwinding look for it. What is ours is that the
 * target notices:
 *
 *   canceller: (1) sets the bits with a read-modify-write that tells whether CANCEL_ASYNC was set.
 *   not set    (2) looks whether the target is linked in the parking lot at a cancellation point,
 *              and ends that wait.
 *   set        (2) sends the target SIGCANCEL, as any signal to a thread (sigsend.c): it runs
 *              cancel_by_signal on its own stack, wherever it is.
 *
 *   waiter:    (1) under the bucket lock marks the wait as interruptible and links itself; the
 *              unlock is a full barrier, (2) reads the bits; if set it ends its own wait.
 *   Either the canceller finds the waiter, or the waiter sees the bits.
 *
 *   who sets CANCEL_ASYNC: does so with a read-modify-write too, and acts if that shows the bits.
 *   It is pthread_setcanceltype, or one of libc's blocking calls for the time of its system call.
 *   So either the canceller sees CANCEL_ASYNC, or the target sees the bits.
 *
 *   From glibc 2.41 on the blocking calls leave CANCEL_ASYNC alone. They look at the bits and enter
 *   the kernel in a few instructions at one place (glibc.cancel_from), and look once more after
 *   EINTR. So the canceller sends SIGCANCEL always, after (1), and it acts if it interrupts just
 *   there. Either the target sees the bits before it enters the kernel, or the signal comes in
 * these instructions, or it ends the call.
 *
 * Unwinding ends the bracket of a call (LIBC_CALL). While a wait of ours has something to undo, an
 * asynchronous request is put off (cancel_hold): it ends the wait as a deferred one does, and the
 * wait acts on it when it has cleaned up.
 */
#include "shim/signal.h"
#include "sigframe.h"

static int bits_of(const struct thread *t) {
    return atomic_load_explicit(tcb_cancelhandling(t->tcb), memory_order_relaxed);
}

bool cancel_pending(const struct thread *t) {
    return (bits_of(t) & (CANCEL_DISABLED | CANCEL_CANCELED | CANCEL_EXITING)) == CANCEL_CANCELED;
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

/* ---- asynchronous ---- */

static bool asynchronous(const struct thread *t) { return bits_of(t) & CANCEL_ASYNC; }

bool cancel_acts_now(const struct thread *t) {
    return !t->cancel_held && asynchronous(t) && cancel_pending(t);
}

bool cancel_ends_call(uintptr_t pc) { return pc >= glibc.cancel_from && pc < glibc.cancel_end; }

bool cancel_acts_at(const struct thread *t, uintptr_t pc) {
    return !t->cancel_held && (asynchronous(t) || cancel_ends_call(pc)) && cancel_pending(t);
}

void cancel_by_signal(int sig, siginfo_t *info, void *context) {
    struct thread *t = thread_self();
    (void)sig;
    (void)info;
    if (t && cancel_acts_at(t, arch_uc_pc(context)))
        cancel_test();
}

void cancel_start(void) { sig_catch_cancel(); }

/* ---- pthread_cancel ---- */

/* A thread that libc has made for itself, or all of them without a runtime. libc takes the signal
 * for its own handler at its first cancellation: we need it back. */
static int cancel_foreign(pthread_t th) {
    int err = next(pthread_cancel)(th);
    if (sched_running())
        sig_catch_cancel();
    return err;
}

SHIM_API int shim_cancel(pthread_t th) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() && getg() ? ESRCH : cancel_foreign(th);
    if (atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED)
        return 0; /* POSIX: not an error while it can be joined */
    int old = atomic_fetch_or(tcb_cancelhandling(t->tcb), CANCEL_CANCELING | CANCEL_CANCELED);
    if (old & (CANCEL_DISABLED | CANCEL_EXITING | CANCEL_CANCELED))
        return 0;
    if (t == thread_self()) {
        if (old & CANCEL_ASYNC)
            cancel_test();
    } else if (old & CANCEL_ASYNC) {
        return sig_send_cancel(t);
    } else {
        g_interrupt(t->g, false);
        if (glibc.cancel_end)
            return sig_send_cancel(t);
    }
    return 0;
}
