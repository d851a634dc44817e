/* sigtimer.c - timers that signal one thread (timer_create with SIGEV_THREAD_ID)
 *
 * The kernel knows only Ms. So it gets a timer that signals the process, and the trampoline finds
 * the thread by the timer's id, which the kernel puts into the siginfo. The ids are small numbers
 * that the kernel gives out in order and does not use twice soon.
 */
#include "shim/cpuclock.h"
#include "shim/signal.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define SLOTS 1024 /* ids are taken modulo this; a slot that is in use refuses (EAGAIN) */

struct slot {
    _Atomic int32_t tid; /* whom to signal; 0: free */
    _Atomic int timer;
};
static struct slot slots[SLOTS];

static struct slot *slot_of(int timer) { return &slots[(unsigned)timer % SLOTS]; }

struct thread *sig_timer_thread(const siginfo_t *info) {
    if (info->si_code != SI_TIMER)
        return NULL;
    struct slot *s = slot_of(info->si_timerid);
    if (atomic_load_explicit(&s->timer, memory_order_relaxed) != info->si_timerid)
        return NULL;
    return thread_of_tid(atomic_load_explicit(&s->tid, memory_order_acquire));
}

/* libc's timer_t of a timer without a thread of its own is the kernel's id. */
static int id_of(timer_t t) { return (int)(intptr_t)t; }

SHIM_API int shim_timer_create(clockid_t clock, struct sigevent *ev, timer_t *out) {
    struct thread *t = NULL;
    if (!cpuclock_for_timer(&clock))
        return -1;
    if (signal_own() && ev && ev->sigev_notify == SIGEV_THREAD_ID)
        t = thread_of_tid(ev->_sigev_un._tid);
    if (!t)
        return next(timer_create)(clock, ev, out);
    struct sigevent to_process = *ev;
    timer_t timer;
    to_process.sigev_notify = SIGEV_SIGNAL;
    if (next(timer_create)(clock, &to_process, &timer))
        return -1;
    struct slot *s = slot_of(id_of(timer));
    int32_t free = 0;
    bool ours = atomic_compare_exchange_strong(&s->tid, &free, t->tid);
    if (ours) { /* it is not armed yet: nothing can come before this */
        atomic_store_explicit(&s->timer, id_of(timer), memory_order_release);
    } else {
        next(timer_delete)(timer);
        errno = EAGAIN;
        return -1;
    }
    *out = timer;
    return 0;
}

SHIM_API int shim_timer_delete(timer_t timer) {
    struct slot *s = slot_of(id_of(timer));
    bool one_of_ours =
        (intptr_t)timer >= 0 && atomic_load(&s->tid) && atomic_load(&s->timer) == id_of(timer);
    int r = next(timer_delete)(timer);
    if (!r && one_of_ours)
        atomic_store_explicit(&s->tid, 0, memory_order_release);
    return r;
}

/* Timers are not inherited. */
void sigtimer_reset_child(void) { memset(slots, 0, sizeof slots); }
