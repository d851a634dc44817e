/* sigaction.c - what is to happen at each signal: the table, the kernel's part of it, sigaction(2)
 *
 * What the kernel has for a signal:
 *   the program handles it           the trampoline, with the flags that the kernel must see
 *   SIG_DFL, somebody blocks it      the trampoline, which does the default action where it is due
 *   SIG_DFL of SIGSEGV               the trampoline, for faults (overflow.c)
 *   SIG_DFL otherwise                SIG_DFL
 *   SIG_IGN                          SIG_IGN, which children inherit (somebody waits for it by
 *                                    sigwait: the trampoline, and exec puts SIG_IGN back)
 * So a signal that a G blocks cannot end the process because some M does not block it.
 */
#include "shim/signal.h"
#include "shim/sigwait.h"

#include <string.h>
#include <sys/syscall.h>

/* Old interfaces are served too; their names are the only way to say which. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

bool signal_virtual, sigquit_dumps;
int32_t signal_pid;
struct lock sig_lock;
struct sig_action sig_actions[NSIG_KERNEL + 1];

/* Signals that the trampoline sees although they have no handler; under sig_lock. */
static uint64_t caught, caught_ignored;
#define CAUGHT_FAULTS sig_bit(SIGSEGV)

void signal_trampoline(int sig, siginfo_t *info, void *context);

enum sig_default sig_default_of(int sig) {
    switch (sig) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
    case SIGCONT: /* the kernel continues the process whatever the action */
        return SIG_DFL_IGNORE;
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return SIG_DFL_STOP;
    default:
        return SIG_DFL_TERMINATE;
    }
}

bool sig_ignored(int sig) {
    void *h = sig_actions[sig].handler;
    return h == SIG_IGN || (h == SIG_DFL && sig_default_of(sig) == SIG_DFL_IGNORE);
}

/* ---- the kernel's side ---- */

static void kernel_set(int sig, const struct arch_sigaction *sa) {
    sys(SYS_rt_sigaction, sig, sa, NULL, sizeof sa->mask);
}

void sig_kernel_default(int sig) {
    struct arch_sigaction sa = {.handler = (void *)SIG_DFL};
    kernel_set(sig, &sa);
}

/* As the program said it, for a process without a runtime. */
static void kernel_restore(int sig) {
    const struct sig_action *a = &sig_actions[sig];
    struct arch_sigaction sa = {a->handler, a->flags | ARCH_SA_RESTORER, (void *)arch_sigreturn,
                                a->mask};
    kernel_set(sig, &sa);
}

/* Gives the kernel what the table above says. sig_lock. */
static void kernel_install_locked(int sig) {
    const struct sig_action *a = &sig_actions[sig];
    bool trampoline = sig_has_handler(a) ||
                      (a->handler == SIG_DFL && (caught | CAUGHT_FAULTS) & sig_bit(sig)) ||
                      caught_ignored & sig_bit(sig);
    struct arch_sigaction sa = {
        .handler = trampoline ? (void *)signal_trampoline : a->handler,
        /* The trampoline runs on the M's alternate stack with all signals blocked. SA_RESTART is
         * the program's, for calls inside libc that we do not see. */
        .flags = (a->flags & (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT)) | SA_SIGINFO | SA_ONSTACK |
                 ARCH_SA_RESTORER,
        .restorer = (void *)arch_sigreturn,
        .mask = ~SIG_SYNC,
    };
    if (trampoline && !sig_has_handler(a))
        sa.flags |= SA_RESTART;
    kernel_set(sig, &sa);
}

static void catch_more(uint64_t set, uint64_t *which) {
    set &= ~SIG_UNBLOCKABLE;
    if (!(set & ~*which))
        return;
    lock_acquire(&sig_lock);
    set &= ~*which;
    *which |= set;
    for (int sig = 1; sig <= NSIG_KERNEL; sig++)
        if (set & sig_bit(sig) && !sig_has_handler(&sig_actions[sig]))
            kernel_install_locked(sig);
    lock_release(&sig_lock);
}

void sig_catch(uint64_t set) { catch_more(set, &caught); }

bool sig_only_faults(int sig) {
    return CAUGHT_FAULTS & sig_bit(sig) && !(caught & sig_bit(sig)) &&
           sig_actions[sig].handler == SIG_DFL;
}

void sig_catch_cancel(void) {
    struct arch_sigaction sa = {
        .handler = (void *)signal_trampoline,
        .flags = SA_RESTART | SA_SIGINFO | SA_ONSTACK | ARCH_SA_RESTORER,
        .restorer = (void *)arch_sigreturn,
        .mask = ~SIG_SYNC,
    };
    kernel_set(SIGCANCEL, &sa);
}

void sig_catch_ignored(uint64_t set) {
    sig_catch(set);
    for (int sig = 1; sig <= NSIG_KERNEL; sig++)
        if (sig_actions[sig].handler != SIG_IGN)
            set &= ~sig_bit(sig);
    catch_more(set, &caught_ignored);
}

void sig_export_ignored(void) {
    for (int sig = 1; sig <= NSIG_KERNEL; sig++)
        if (caught_ignored & sig_bit(sig))
            kernel_restore(sig);
    caught_ignored = 0;
}

void sig_default_now(int sig) {
    uint64_t bit = sig_bit(sig), old;
    if (sig_default_of(sig) == SIG_DFL_IGNORE)
        return;
    sig_kernel_default(sig);
    sys(SYS_tgkill, sys(SYS_getpid), sys(SYS_gettid), sig);
    sys(SYS_rt_sigprocmask, SIG_UNBLOCK, &bit, &old, sizeof old);
    /* Only after a stop: the process has been continued. */
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
    lock_acquire(&sig_lock);
    kernel_install_locked(sig);
    lock_release(&sig_lock);
}

/* ---- start and fork ---- */

/* From signal_take to signal_open the trampoline is there and what it works with (signal_pid, the
 * first thread, its G) is not. Another process may send at any time, and a trampoline that ran then
 * would take us for a fork's child. So in between no thread with a G or an M takes any:
 *   1. signal_take blocks all on the first thread before the first trampoline is in the kernel;
 *   2. signals_start finds that mask and makes it what nobody wants, and threads are born with all
 *      blocked: so an M that the template thread makes meanwhile blocks all as well (m_started);
 *   3. signal_open, with all in place and announced (`started`), wants what the program let
 *      through: so the first M takes it, and what has come meanwhile; the others follow when a G
 *      comes in on them (sched/signal.c).
 * Threads of libc's have no G: there the handlers run as before. */
static uint64_t mask_at_start; /* the first thread's */

void signal_take(void) {
    uint64_t all = ~SIG_RESERVED;
    sys(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask_at_start, sizeof all);
    caught = mask_at_start & ~SIG_UNBLOCKABLE;
    if (sigquit_dumps)
        caught |= sig_bit(SIGQUIT);
    lock_acquire(&sig_lock);
    for (int sig = 1; sig <= NSIG_KERNEL; sig++) {
        struct arch_sigaction sa = {0};
        if (SIG_UNBLOCKABLE & sig_bit(sig) ||
            sys(SYS_rt_sigaction, sig, NULL, &sa, sizeof sa.mask) < 0)
            continue;
        sig_actions[sig] =
            (struct sig_action){sa.handler, sa.flags & ~(uint64_t)ARCH_SA_RESTORER, sa.mask};
        if (sig_has_handler(&sig_actions[sig]) ||
            (sa.handler == SIG_DFL && (caught | CAUGHT_FAULTS) & sig_bit(sig)))
            kernel_install_locked(sig);
    }
    lock_release(&sig_lock);
}

void signal_start(void) {
    struct thread *t = thread_self();
    atomic_store(&g_signals(t->g)->blocked, mask_at_start & ~SIG_UNBLOCKABLE);
    signal_pid = (int32_t)sys(SYS_getpid);
    signal_virtual = true;
    sig_take_from_kernel(t);
}

void signal_open(void) { signals_want(~mask_at_start | SIG_SYNC); }

static void give_back(void) {
    for (int sig = 1; sig <= NSIG_KERNEL; sig++)
        if (!(SIG_UNBLOCKABLE & sig_bit(sig)) &&
            (sig_has_handler(&sig_actions[sig]) ||
             (caught | caught_ignored | CAUGHT_FAULTS) & sig_bit(sig)))
            kernel_restore(sig);
    caught = caught_ignored = 0;
}

void signal_untake(void) {
    give_back();
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask_at_start, NULL, sizeof mask_at_start);
}

/* In the child, single-threaded, before its G is gone. A signal that comes meanwhile must not find
 * a handler whose world is gone: everything is blocked until signal_child_ready. */
uint64_t signal_reset_child(void) {
    if (!signal_virtual)
        return 0;
    struct thread *t = thread_self();
    uint64_t all = UINT64_MAX, blocked = t ? sig_blocked(t) : 0;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    sig_lock = (struct lock){0};
    signal_virtual = false;
    give_back();
    sig_queues_reset_child();
    sigtimer_reset_child();
    sigwait_reset_child();
    stack_t none = {.ss_flags = SS_DISABLE};
    sys(SYS_sigaltstack, t && t->alt.ss_size ? &t->alt : &none, NULL);
    return blocked;
}

void signal_child_ready(uint64_t blocked) {
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked);
}

/* ---- sigaction and its relatives ---- */

/* rt_sigaction(2) on the table. 0 or an errno. */
static int action_change(int sig, const struct sig_action *new, struct sig_action *old) {
    if (!sig_valid(sig) || SIG_RESERVED & sig_bit(sig) || (new &&SIG_UNBLOCKABLE &sig_bit(sig)))
        return EINVAL;
    lock_acquire(&sig_lock);
    if (old)
        *old = sig_actions[sig];
    if (new) {
        sig_actions[sig] = *new;
        sig_actions[sig].mask &= ~SIG_UNBLOCKABLE;
        caught_ignored &= ~sig_bit(sig);
        if (sig_ignored(sig)) {
            sig_discard_locked(sig);
            if (new->handler == SIG_DFL) { /* the trampoline would keep what is pending there */
                struct arch_sigaction ignore = {.handler = (void *)SIG_IGN};
                kernel_set(sig, &ignore);
            }
        }
        kernel_install_locked(sig);
    }
    lock_release(&sig_lock);
    return 0;
}

SHIM_API int shim_sigaction(int sig, const struct sigaction *act, struct sigaction *old) {
    if (!signal_own())
        return next(sigaction)(sig, act, old);
    struct sig_action new, was;
    if (act)
        new = (struct sig_action){(void *)act->sa_handler, (uint64_t)(unsigned)act->sa_flags,
                                  sig_set_of(&act->sa_mask)};
    int err = action_change(sig, act ? &new : NULL, &was);
    if (err) {
        errno = err;
        return -1;
    }
    if (old) {
        memset(old, 0, sizeof *old);
        old->sa_handler = (__sighandler_t)was.handler;
        old->sa_flags = (int)was.flags;
        memcpy(&old->sa_mask, &was.mask, sizeof was.mask);
    }
    return 0;
}

/* rt_sigaction by number: the kernel's own structure. The result is the kernel's. */
long sigaction_syscall(long sig, long act, long old, long size) {
    if (!signal_own() || size != 8)
        return sys(SYS_rt_sigaction, sig, act, old, size);
    const struct arch_sigaction *a = (const struct arch_sigaction *)act;
    struct arch_sigaction *o = (struct arch_sigaction *)old;
    struct sig_action new, was;
    if (a)
        new = (struct sig_action){a->handler, a->flags & ~(uint64_t)ARCH_SA_RESTORER, a->mask};
    int err = action_change((int)sig, a ? &new : NULL, &was);
    if (!err && o)
        *o = (struct arch_sigaction){was.handler, was.flags, NULL, was.mask};
    return -err;
}

static __sighandler_t action_simple(int sig, __sighandler_t handler, int flags, bool mask_itself) {
    struct sigaction act = {.sa_handler = handler, .sa_flags = flags}, old;
    if (handler == SIG_ERR || !sig_valid(sig)) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (mask_itself)
        sigaddset(&act.sa_mask, sig);
    return shim_sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

/* What siginterrupt has chosen for later calls of signal(). */
static uint64_t interrupting;

SHIM_API __sighandler_t shim_signal(int sig, __sighandler_t handler) {
    if (!signal_own())
        return next(signal)(sig, handler);
    bool interrupts = sig_valid(sig) && interrupting & sig_bit(sig);
    return action_simple(sig, handler, interrupts ? 0 : SA_RESTART, true);
}

SHIM_API __sighandler_t shim_sysv_signal(int sig, __sighandler_t handler) {
    if (!signal_own())
        return next(__sysv_signal)(sig, handler);
    return action_simple(sig, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

SHIM_API int shim_siginterrupt(int sig, int interrupt) {
    struct sigaction act;
    if (!signal_own())
        return next(siginterrupt)(sig, interrupt);
    if (shim_sigaction(sig, NULL, &act))
        return -1;
    if (interrupt) {
        interrupting |= sig_bit(sig);
        act.sa_flags &= ~SA_RESTART;
    } else {
        interrupting &= ~sig_bit(sig);
        act.sa_flags |= SA_RESTART;
    }
    return shim_sigaction(sig, &act, NULL);
}

/* System V: sigset(3). SIG_HOLD blocks; a handler unblocks. Returns SIG_HOLD if it was blocked. */
SHIM_API __sighandler_t shim_sigset(int sig, __sighandler_t handler) {
    if (!signal_own())
        return next(sigset)(sig, handler);
    if (handler == SIG_ERR || !sig_valid(sig)) {
        errno = EINVAL;
        return SIG_ERR;
    }
    struct thread *t = thread_self();
    struct sigaction act = {.sa_handler = handler}, old;
    bool hold = handler == SIG_HOLD;
    if (shim_sigaction(sig, hold ? NULL : &act, &old))
        return SIG_ERR;
    if (!t)
        return old.sa_handler;
    uint64_t was = sig_blocked(t);
    sigmask_set(hold ? was | sig_bit(sig) : was & ~sig_bit(sig));
    return was & sig_bit(sig) ? SIG_HOLD : old.sa_handler;
}

SHIM_API int shim_sigignore(int sig) {
    struct sigaction act = {.sa_handler = SIG_IGN};
    return shim_sigaction(sig, &act, NULL);
}
