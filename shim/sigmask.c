/* sigmask.c - a goroutine's mask and alternate stack, and what saves and restores them
 *
 * Both are the G's alone; the kernel does not know them. Calls of libc that read or restore the
 * kernel's mask by a system call of their own are covered in two ways: before one that reads it
 * (sigsetjmp, getcontext, fork, exec) the kernel's mask becomes the G's for a moment
 * (signal_mask_show); one that restores it (siglongjmp, setcontext) is done by the G's mask first,
 * and what it then tells the kernel is right for the moment too.
 */
#include "shim/signal.h"

#include <setjmp.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* Old interfaces are served too; their names are the only way to say which. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void sigmask_set(uint64_t blocked) {
    struct thread *t = thread_self();
    struct g_signals *s = g_signals(t->g);
    blocked &= ~SIG_UNBLOCKABLE;
    uint64_t old = sig_blocked(t), more = blocked & ~old, less = old & ~blocked;
    if (more)
        sig_catch(more);
    atomic_store_explicit(&s->blocked, blocked, memory_order_seq_cst);
    if (more)
        sig_retarget(t, more);
    if (less) {
        signals_want(less);
        sig_take_over(less);
    }
    if (unlikely(sig_pending(t) & ~blocked))
        signal_deliver_now();
}

void signal_thread_start(struct thread *t, const uint64_t *blocked) {
    struct g *self = getg();
    uint64_t set = 0;
    if (blocked)
        set = *blocked;
    else if (self)
        set = sig_blocked(thread_of(self));
    else /* a thread that libc made for itself */
        sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, sizeof set);
    set &= ~SIG_UNBLOCKABLE;
    if (blocked && set)
        sig_catch(set);
    struct g_signals *s = g_signals(t->g);
    /* Sent to the thread that had this G before, which had ended; the process's may still be on
     * their way from there to somebody else (route_to). */
    if (unlikely(sig_pending(t)))
        signal_thread_forget(t);
    atomic_store_explicit(&s->blocked, set, memory_order_seq_cst);
    if (unlikely(signals_unwanted() & ~set) && self)
        signals_want(~set);
}

/* sigprocmask(2) of the G. 0 or EINVAL. */
static int mask_change(int how, const uint64_t *set, uint64_t *old) {
    uint64_t blocked = sig_blocked(thread_self());
    if (set && how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
        return EINVAL;
    uint64_t given = set ? *set : 0; /* old may be the same memory */
    if (old)
        *old = blocked;
    if (set)
        sigmask_set(how == SIG_BLOCK     ? blocked | given
                    : how == SIG_UNBLOCK ? blocked & ~given
                                         : given);
    return 0;
}

static bool mine(void) { return signal_own() && getg(); }

SHIM_API int shim_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    if (!mine())
        return next(pthread_sigmask)(how, set, old);
    uint64_t was;
    int err = mask_change(how, (const uint64_t *)set, &was);
    if (!err && old) {
        memset(old, 0, sizeof *old);
        memcpy(old, &was, sizeof was);
    }
    return err;
}

SHIM_API int shim_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    if (!mine())
        return next(sigprocmask)(how, set, old);
    int err = shim_pthread_sigmask(how, set, old);
    if (!err)
        return 0;
    errno = err;
    return -1;
}

long sigmask_syscall(long how, long set, long old, long size) {
    if (!mine() || size != 8)
        return sys(SYS_rt_sigprocmask, how, set, old, size);
    return -mask_change((int)how, (const uint64_t *)set, (uint64_t *)old);
}

/* The older interfaces: one signal, or a word of 32. */
static int one(int how, int sig) {
    uint64_t set = sig_valid(sig) ? sig_bit(sig) : 0;
    if (!set) {
        errno = EINVAL;
        return -1;
    }
    return mask_change(how, &set, NULL);
}
SHIM_API int shim_sighold(int sig) { return mine() ? one(SIG_BLOCK, sig) : next(sighold)(sig); }
SHIM_API int shim_sigrelse(int sig) { return mine() ? one(SIG_UNBLOCK, sig) : next(sigrelse)(sig); }

SHIM_API int shim_sigblock(int mask) {
    if (!mine())
        return next(sigblock)(mask);
    uint64_t set = (unsigned)mask, old;
    mask_change(SIG_BLOCK, &set, &old);
    return (int)old;
}

SHIM_API int shim_siggetmask(void) { return shim_sigblock(0); }
SHIM_API int shim_sigsetmask(int mask) {
    if (!mine())
        return next(sigsetmask)(mask);
    uint64_t set = (unsigned)mask, old;
    mask_change(SIG_SETMASK, &set, &old);
    return (int)old;
}

SHIM_API int shim_sigpending(sigset_t *set) {
    struct thread *t = thread_self();
    if (!mine())
        return next(sigpending)(set);
    uint64_t pending = (sig_pending(t) | sig_process_pending()) & sig_blocked(t) & ~SIG_RESERVED;
    memset(set, 0, sizeof *set);
    memcpy(set, &pending, sizeof pending);
    return 0;
}

void signal_mask_enter(const sigset_t *mask, uint64_t *old) {
    if (!mine())
        return;
    struct thread *t = thread_self();
    *old = sig_blocked(t);
    if (!mask)
        return;
    section_begin(); /* the first handler that runs is one that the new mask lets through */
    t->mask_after = *old;
    t->mask_lent = true;
    sigmask_set(sig_set_of(mask));
    section_end();
}

void signal_mask_leave(uint64_t old) {
    if (!mine()) /* a handler has forked, and this is the child: it has returned to the old mask */
        return;
    struct thread *t = thread_self();
    t->mask_lent = false;
    if (sig_blocked(t) != old)
        sigmask_set(old);
}

void signal_mask_show(void) {
    if (!mine())
        return;
    section_begin();
    m_mask_set(sig_blocked(thread_self()));
    section_end();
}

/* ---- jumps that restore a mask ---- */

/* The mask of the jmp_buf becomes the G's; libc gets a copy without one. It reads all registers
 * from there before it leaves our stack. */
static struct __jmp_buf_tag *jump(struct __jmp_buf_tag *env, struct __jmp_buf_tag *copy) {
    if (!env->__mask_was_saved || !mine())
        return env;
    *copy = *env;
    copy->__mask_was_saved = 0;
    sigmask_set(sig_set_of(&env->__saved_mask));
    return copy;
}

SHIM_API _Noreturn void shim_siglongjmp(struct __jmp_buf_tag env[1], int value) {
    struct __jmp_buf_tag copy;
    next(siglongjmp)(jump(env, &copy), value);
    __builtin_unreachable();
}

SHIM_API _Noreturn void shim_longjmp_chk(struct __jmp_buf_tag env[1], int value) {
    struct __jmp_buf_tag copy;
    next(__longjmp_chk)(jump(env, &copy), value);
    __builtin_unreachable();
}

/* libc is about to make the kernel's mask what it finds in uc. */
static void mask_from(const ucontext_t *uc) {
    uint64_t set = sig_set_of(&uc->uc_sigmask);
    sigmask_set(set);
    section_begin();
    m_mask_note(set);
    section_end();
}

SHIM_API int shim_setcontext(const ucontext_t *uc) {
    if (mine())
        mask_from(uc);
    return next(setcontext)(uc);
}

/* Called by the entries of arch's jump.S, which go on to libc's function; that then reads the
 * kernel's mask, and returns to their caller more than once. */
void *jump_sigsetjmp(int save_mask);
void *jump_sigsetjmp(int save_mask) {
    if (save_mask)
        signal_mask_show();
    return next_get(NEXT___sigsetjmp);
}

void *jump_getcontext(void);
void *jump_getcontext(void) {
    signal_mask_show();
    return next_get(NEXT_getcontext);
}

/* This one reads the mask and sets another. */
void *jump_swapcontext(const ucontext_t *in);
void *jump_swapcontext(const ucontext_t *in) {
    if (mine()) {
        uint64_t old = sig_blocked(thread_self()), new = sig_set_of(&in->uc_sigmask);
        if (old != new)
            sigmask_set(new);
        section_begin();
        m_mask_set(old);
        m_mask_note(old | new);
        section_end();
    }
    return next_get(NEXT_swapcontext);
}

/* ---- alternate stacks ---- */

static bool on_stack(const stack_t *ss, uintptr_t sp) {
    return ss->ss_size && sp - (uintptr_t)ss->ss_sp < ss->ss_size;
}

/* sigaltstack(2). 0 or an errno. */
static int stack_change(const stack_t *new, stack_t *old) {
    struct thread *t = thread_self();
    stack_t was = t->alt, set;
    bool on = on_stack(&was, (uintptr_t)__builtin_frame_address(0));
    if (new)
        set = *new;
    if (old) {
        *old = was;
        if (on)
            old->ss_flags |= SS_ONSTACK;
        else if (!was.ss_size)
            old->ss_flags |= SS_DISABLE;
    }
    if (!new)
        return 0;
    if (on)
        return EPERM;
    int flags = set.ss_flags & ~(int)SS_AUTODISARM;
    if (flags & ~(SS_ONSTACK | SS_DISABLE) || flags == (SS_ONSTACK | SS_DISABLE))
        return EINVAL;
    if (flags == SS_DISABLE) {
        t->alt = (stack_t){0};
        return 0;
    }
    if (set.ss_size < 2048) /* the kernel's MINSIGSTKSZ */
        return ENOMEM;
    set.ss_flags &= (int)SS_AUTODISARM;
    t->alt = set;
    return 0;
}

SHIM_API int shim_sigaltstack(const stack_t *new, stack_t *old) {
    if (!mine())
        return next(sigaltstack)(new, old);
    int err = stack_change(new, old);
    if (!err)
        return 0;
    errno = err;
    return -1;
}

long sigaltstack_syscall(long new, long old) {
    if (!mine())
        return sys(SYS_sigaltstack, new, old);
    return -stack_change((const stack_t *)new, (stack_t *)old);
}
