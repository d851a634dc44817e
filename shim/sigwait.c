/* sigwait.c - waiting for signals: sigwait and relatives, sigsuspend, pause, signalfd
 *
 * Who waits in sigwait is on a list with its set; a signal that somebody there wants is given to it
 * and to no handler (sigsend.c asks here first).
 *
 *   waiter: (0) takes what the kernel holds back into our queues, (1) on the list, (2) looks at
 * what is pending, its own and the process's, (3) parks until `sig` is set. sender: under sig_lock
 * takes a waiter off the list and sets its sig, or if there is none puts the signal into a queue;
 * then wakes whom it has found. (1), (2) and the sender's part are under sig_lock: so a signal is
 * seen in (2), or finds the waiter on the list.
 */
#include "shim/fd.h"
#include "shim/sigwait.h"
#include "shim/signal.h"

#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Old interfaces are served too; their names are the only way to say which. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct sigwait {
    struct sigwait *next;
    struct thread *t;
    uint64_t set;
    _Atomic int sig;  /* what was given; 0: on the list still */
    bool for_process; /* it was sent to the process */
    siginfo_t info;
};
static struct sigwait *waiters; /* sig_lock */

void sigwait_reset_child(void) { waiters = NULL; }

uintptr_t sigwait_give_locked(int sig, const siginfo_t *info, struct thread *only) {
    struct sigwait **at = &waiters;
    while (*at && !((*at)->set & sig_bit(sig) && (!only || (*at)->t == only)))
        at = &(*at)->next;
    struct sigwait *s = *at;
    if (!s)
        return 0;
    *at = s->next;
    s->info = *info;
    s->info.si_signo = sig;
    s->for_process = !only;
    atomic_store_explicit(&s->sig, sig, memory_order_release);
    return (uintptr_t)s;
}

/* Off the list, unless somebody has taken it off; then it has its signal. */
static int leave(struct sigwait *s) {
    lock_acquire(&sig_lock);
    struct sigwait **at = &waiters;
    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    lock_release(&sig_lock);
    return atomic_load_explicit(&s->sig, memory_order_acquire);
}

/* What is pending already. */
static int take_pending(struct thread *t, uint64_t set, siginfo_t *info) {
    lock_acquire(&sig_lock);
    int sig = sig_take_locked(t, set, info);
    if (!sig)
        sig = sig_take_locked(NULL, set, info);
    lock_release(&sig_lock);
    return sig;
}

static enum park_result park(struct sigwait *s, uint64_t deadline, bool cancels) {
    uintptr_t addr = (uintptr_t)s;
    struct waiter local, *w = lot_self(&local);
    struct bucket *b = lot_lock(addr);
    if (atomic_load_explicit(&s->sig, memory_order_acquire)) {
        lot_unlock(b);
        return PARK_WOKEN;
    }
    lot_enqueue_interruptible(b, w, addr, WAIT_SIGNAL);
    lot_unlock(b);
    return cancels ? cancel_wait(w, deadline) : lot_wait(w, deadline);
}

/* Waits once on the list. A section: a handler may jump away or end the thread, so none runs before
 * we are off the list again. The signal, 0 after an interruption, or -EAGAIN. */
static int wait_once(struct thread *t, uint64_t set, siginfo_t *info, uint64_t deadline,
                     bool cancels) {
    struct sigwait s = {.t = t, .set = set};
    enum park_result r = PARK_WOKEN;
    section_begin();
    lock_acquire(&sig_lock);
    s.next = waiters;
    waiters = &s;
    lock_release(&sig_lock);
    int got = take_pending(t, set, info);
    if (!got && !atomic_load(&s.sig))
        r = park(&s, deadline, cancels);
    int given = leave(&s);
    section_end();
    if (given && got) /* two at once: the other one goes on */
        sig_route(given, &s.info, s.for_process ? NULL : t);
    else if (given)
        *info = s.info;
    return got ? got : given ? given : r == PARK_TIMEOUT ? -EAGAIN : 0;
}

/* The signal, or -EAGAIN at the deadline, -EINTR after a handler has run. */
static int wait_for(uint64_t set, siginfo_t *info, uint64_t deadline, bool cancels) {
    struct thread *t = thread_self();
    uint64_t mark = signal_mark();
    set &= ~SIG_UNBLOCKABLE;
    if (cancels)
        cancel_test();
    sig_catch_ignored(set);
    signals_want(set); /* what the kernel holds back comes now, and waits in our queues */
    for (;;) {
        int r = wait_once(t, set, info, deadline, cancels);
        if (r)
            return r;
        if (cancels)
            cancel_test();
        if (signal_ends(mark, false))
            return -EINTR;
    }
}

static int fail_or(int r) {
    if (r >= 0)
        return r;
    errno = -r;
    return -1;
}

/* -errno or the signal. */
static int timed_wait(const void *set, siginfo_t *info, const struct timespec *t, bool cancels) {
    siginfo_t local;
    uint64_t deadline = TIME_FOREVER;
    int err = t ? deadline_rel(t, &deadline) : 0;
    return err ? -err : wait_for(sig_set_of(set), info ? info : &local, deadline, cancels);
}

SHIM_API int shim_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *t) {
    if (!signal_own() || !getg())
        return LIBC_CALL_BLOCK(next(sigtimedwait)(set, info, t));
    int r = timed_wait(set, info, t, true);
    if (r > 0 && info && info->si_code == SI_TKILL) /* as glibc: POSIX knows SI_USER only */
        info->si_code = SI_USER;
    return fail_or(r);
}

long sigtimedwait_syscall(long set, long info, long t) {
    return timed_wait((const void *)set, (siginfo_t *)info, (const struct timespec *)t, false);
}

SHIM_API int shim_sigwaitinfo(const sigset_t *set, siginfo_t *info) {
    return shim_sigtimedwait(set, info, NULL);
}

/* POSIX has no EINTR for sigwait; glibc goes on. */
SHIM_API int shim_sigwait(const sigset_t *set, int *sig) {
    if (!signal_own() || !getg())
        return LIBC_CALL_BLOCK(next(sigwait)(set, sig));
    siginfo_t info;
    int r;
    do
        r = wait_for(sig_set_of(set), &info, TIME_FOREVER, true);
    while (r == -EINTR);
    if (r < 0)
        return -r;
    *sig = r;
    return 0;
}

/* ---- until a handler has run ---- */

/* True: a handler has run since mark. Else waits until one is to run. From the look at the count to
 * the wait is a section: a handler that ran between them would be waited for in vain. */
static bool suspend_once(uint64_t mark, bool cancels) {
    section_begin();
    bool ended = signal_ends(mark, false);
    if (!ended) {
        struct waiter local, *w = lot_self(&local);
        uintptr_t addr = (uintptr_t)w;
        struct bucket *b = lot_lock(addr);
        lot_enqueue_interruptible(b, w, addr, WAIT_SIGNAL);
        lot_unlock(b);
        if (cancels)
            cancel_wait(w, TIME_FOREVER);
        else
            lot_wait(w, TIME_FOREVER);
    }
    section_end();
    return ended;
}

static void suspend(uint64_t mask, bool cancels) {
    struct thread *t = thread_self();
    if (cancels)
        cancel_test();
    uint64_t mark = signal_mark(), old;
    signal_mask_enter((const sigset_t *)&mask, &old);
    while (!suspend_once(mark, cancels))
        if (cancels && cancel_pending(t)) {
            signal_mask_leave(old);
            cancel_test();
        }
    signal_mask_leave(old);
}

long sigsuspend_syscall(long mask) {
    suspend(sig_set_of((const void *)mask), false);
    return -EINTR;
}

long pause_syscall(void) {
    suspend(sig_blocked(thread_self()), false);
    return -EINTR;
}

/* As libc's functions: cancellation points. */
static int suspend_fail(uint64_t mask) {
    suspend(mask, true);
    return fail_or(-EINTR);
}

SHIM_API int shim_sigsuspend(const sigset_t *mask) {
    if (!signal_own() || !getg())
        return LIBC_CALL_BLOCK(next(sigsuspend)(mask));
    return suspend_fail(sig_set_of(mask));
}

SHIM_API int shim_pause(void) {
    if (!signal_own() || !getg())
        return LIBC_CALL_BLOCK(next(pause)());
    return suspend_fail(sig_blocked(thread_self()));
}

/* sigpause(3): BSD's takes a mask of 32 bits, System V's the signal to let through. */
SHIM_API int shim_sigpause(int mask) {
    if (!signal_own() || !getg())
        return next(sigpause)(mask);
    return suspend_fail((sig_blocked(thread_self()) & ~0xffffffffULL) | (unsigned)mask);
}

int __xpg_sigpause(int sig); /* glibc declares it under the name sigpause */
SHIM_API int shim_xpg_sigpause(int sig) {
    if (!signal_own() || !getg())
        return next(__xpg_sigpause)(sig);
    if (!sig_valid(sig))
        return fail_or(-EINVAL);
    return suspend_fail(sig_blocked(thread_self()) & ~sig_bit(sig));
}

/* The two behind one name, as older programs call it. */
SHIM_API int shim___sigpause(int sig_or_mask, int is_sig) {
    return is_sig ? shim_xpg_sigpause(sig_or_mask) : shim_sigpause(sig_or_mask);
}

/* ---- signalfd ---- */

static bool wants(struct g *g, void *arg) {
    uint64_t *unwanted = arg;
    if (thread_of(g)->g == g)
        *unwanted &= sig_blocked(thread_of(g));
    return *unwanted != 0;
}

/* The kernel reads a signalfd from what it holds back: so what nobody lets through is blocked in
 * the kernel from now on, on every M. */
static void hold_in_kernel(uint64_t set) {
    sig_catch_ignored(set);
    uint64_t unwanted = set;
    g_each(wants, &unwanted);
    signals_unwant(unwanted);
    uint64_t still = unwanted;
    g_each(wants, &still);
    if (unwanted & ~still) /* somebody has begun to want it meanwhile */
        signals_want(unwanted & ~still);
    if (unwanted & still)
        sig_follow_all(unwanted & still);
}

SHIM_API int shim_signalfd(int fd, const sigset_t *mask, int flags) {
    if (signal_own() && getg())
        hold_in_kernel(sig_set_of(mask) & ~SIG_UNBLOCKABLE);
    return fd_born(next(signalfd)(fd, mask, flags));
}
