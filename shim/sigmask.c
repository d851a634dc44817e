/* sigmask.c - each goroutine's set of blocked signals
 *
 * The set belongs to the G and the kernel's set of an M follows the G that runs on it, so while a
 * G runs the two agree, and the kernel does what pthread_sigmask promises. All ways in which libc
 * changes the kernel's set of the calling thread are noted here.
 */
#include "shim/shim.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

static uint64_t kernel_set(const void *set) {
    uint64_t mask;
    memcpy(&mask, set, sizeof mask); /* the first 64 bits of a sigset_t */
    return mask;
}

/* After libc has changed the kernel's set: asks what it is now. */
static void note_changed(void) {
    uint64_t mask = 0;
    if (sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask) == 0)
        g_sigmask_note(mask);
}

SHIM_API int shim_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    int err = next(pthread_sigmask)(how, set, old);
    if (getg() && set && !err)
        note_changed();
    return err;
}

long sigmask_syscall(long how, long set, long old, long size) {
    long r = sys(SYS_rt_sigprocmask, how, set, old, size);
    if (!r)
        note_changed();
    return r;
}

SHIM_API int shim_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    int r = next(sigprocmask)(how, set, old);
    if (getg() && set && !r)
        note_changed();
    return r;
}

/* ---- jumps that restore a set by a system call inside libc ---- */

/* True if sp lies on the alternate stack on which the caller runs. */
static bool on_alternate_stack(uintptr_t sp) {
    stack_t ss;
    if (sigaltstack(NULL, &ss) || !(ss.ss_flags & SS_ONSTACK))
        return false;
    return sp - (uintptr_t)ss.ss_sp < ss.ss_size;
}

static void note_jump(const struct __jmp_buf_tag *env) {
    if (!getg())
        return;
    uintptr_t sp = jmp_buf_sp(env->__jmpbuf);
    if (syscall_inside() && !on_alternate_stack(sp)) {
        /* In a signal handler, which has its own mask in the kernel. It becomes the G's, since the
         * end of the bracket may be on another kernel thread. */
        note_changed();
        syscall_unwind_to(sp);
    }
    if (env->__mask_was_saved)
        g_sigmask_note(kernel_set(&env->__saved_mask));
}

SHIM_API _Noreturn void shim_siglongjmp(struct __jmp_buf_tag env[1], int value) {
    note_jump(env);
    next(siglongjmp)(env, value);
    __builtin_unreachable();
}

SHIM_API _Noreturn void shim_longjmp_chk(struct __jmp_buf_tag env[1], int value) {
    note_jump(env);
    next(__longjmp_chk)(env, value);
    __builtin_unreachable();
}

SHIM_API int shim_setcontext(const ucontext_t *uc) {
    if (getg())
        g_sigmask_note(kernel_set(&uc->uc_sigmask));
    return next(setcontext)(uc);
}

/* Returns when somebody continues `out`, whose own set is then the kernel's again. */
SHIM_API int shim_swapcontext(ucontext_t *out, const ucontext_t *in) {
    if (!getg())
        return next(swapcontext)(out, in);
    g_sigmask_note(kernel_set(&in->uc_sigmask));
    return next(swapcontext)(out, in);
}
