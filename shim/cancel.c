/* cancel.c - deferred cancellation of goroutines
 *
 * The request is two bits in struct pthread.cancelhandling, where glibc's own pthread_testcancel,
 * pthread_setcancelstate and unwinding look for it. What is ours is to wake the target:
 *
 *   canceller: (1) sets the bits (seq_cst), (2) looks whether the target is linked in the parking
 *              lot and ends its wait.
 *   waiter:    (1) links itself (under the bucket lock, then a full barrier), (2) reads the bits;
 *              if set it ends its own wait.
 * Either the canceller finds the waiter, or the waiter sees the bits.
 */
#include "shim/shim.h"

static bool cancel_pending(struct thread *t) {
    int h = atomic_load_explicit(tcb_cancelhandling(t->tcb), memory_order_relaxed);
    return (h & (CANCEL_DISABLED | CANCEL_CANCELED | CANCEL_EXITING)) == CANCEL_CANCELED;
}

void cancel_test(void) {
    struct thread *t = thread_self();
    if (t && unlikely(cancel_pending(t)))
        next(pthread_testcancel)();
}

enum park_result cancel_wait(struct waiter *w, uint64_t deadline, enum park_reason why) {
    if (w->g) {
        atomic_thread_fence(memory_order_seq_cst);
        if (unlikely(cancel_pending(thread_of(w->g))))
            g_interrupt(w->g);
    }
    return lot_wait(w, deadline, why);
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
    g_interrupt(t->g);
    return 0;
}
