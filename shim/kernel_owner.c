/* kernel_owner.c - mutexes whose owner the kernel has to know
 *
 * Of a mutex with PTHREAD_PRIO_INHERIT that processes share, or that is robust, the word says the
 * owner's id, to which the kernel lends the priority of those who wait; it hands it on when that
 * kernel thread ends. PTHREAD_PRIO_PROTECT sets the priority of the caller by its id. So a
 * goroutine that uses one is wired to a kernel thread from then on, and libc, whose these mutexes
 * are, finds that one's id in the TCB for the time of each call: kernel_owner_begin, the call,
 * kernel_owner_end, or bracket_unwound where a cancellation ends the call. The thread keeps its own
 * id otherwise: other mutexes that it holds say it.
 *
 * libc's list of robust ones is the goroutine's; it is registered for the kernel thread, so that
 * they are given up when the process is killed. When the thread ends: tcb_robust_abandon marks
 * them, as the kernel would, and the end of the kernel thread, which comes next, hands them on. The
 * process's first kernel thread ends only if somebody waits for such a one.
 */
#include "shim/mutex.h"
#include "shim/wire.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#define HEAD_SIZE 24 /* of the kernel's struct robust_list_head */

static bool concerns(const pthread_mutex_t *mp) {
    const struct thread *t = thread_self();
    return unlikely(kind_of(&mp->__data) & (KIND_PI | KIND_PP)) && mutex_in_kernel(mp) && t &&
           !t->vforked && !passthrough();
}

/* No program expects a lock to fail for want of a kernel thread: so on a busy machine it waits. */
#define WIRE_TRIES 20 /* of a second each */

static bool wire_patiently(void) {
    for (int i = 0; i < WIRE_TRIES; i++)
        if (wire_self(WIRE_LOCK))
            return true;
    return false;
}

bool kernel_owner_begin(const pthread_mutex_t *mp) {
    struct thread *t = thread_self();
    if (!concerns(mp))
        return true;
    if (!(t->wire & WIRE_LOCK)) {
        if (!wire_patiently())
            return false;
        sys(SYS_set_robust_list, t->tcb + glibc.off_robust_head, HEAD_SIZE);
    }
    tcb_set_tid(t->tcb, g_wired_tid(t->g));
    return true;
}

/* What it has locked before, the kernel thread that it was then has. */
void kernel_owner_start(void) {
    struct thread *t = thread_self();
    if (t && unlikely(tcb_robust_pi_held(t->tcb)))
        wire_patiently();
}

void kernel_owner_end(void) {
    struct thread *t = thread_self();
    if (t && unlikely(self_tid() != t->tid) && !t->vforked)
        tcb_set_tid(t->tcb, t->tid);
}

void kernel_owner_thread_end(struct thread *t) {
    int32_t tid = t->wire & WIRE_LOCK ? g_wired_tid(t->g) : 0;
    if (tcb_robust_abandon(t->tcb, t->tid, tid))
        g_ends_first_m();
    if (tid) /* what comes to lie there next is another thread's */
        sys(SYS_set_robust_list, NULL, HEAD_SIZE);
}

int kernel_owner_check(const pthread_mutex_t *mp) {
    const mutex *m = &mp->__data;
    if (!concerns(mp))
        return m->__owner == self_tid() && m->__lock ? 0 : EPERM;
    if (!kernel_owner_begin(mp)) /* locked before there was a runtime */
        return EAGAIN;
    int32_t owner = kind_of(m) & KIND_PI ? m->__lock & FUTEX_TID_MASK : m->__owner;
    int err = owner == self_tid() ? 0 : EPERM;
    kernel_owner_end();
    return err;
}

/* The frame of a bracketed call of libc's is unwound. */
void bracket_unwound(void);
void bracket_unwound(void) {
    syscall_exit();
    kernel_owner_end();
}

SHIM_API int shim_mutex_setprioceiling(pthread_mutex_t *mp, int ceiling, int *old) {
    if (!kernel_owner_begin(mp))
        return EAGAIN;
    int err = LIBC_CALL_BLOCK(next(pthread_mutex_setprioceiling)(mp, ceiling, old));
    kernel_owner_end();
    return err;
}
