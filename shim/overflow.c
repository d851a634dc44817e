/* overflow.c - a stack that has run over: which thread's
 *
 * A fault that nobody handles in the running thread's own guard ends the process, as it would on
 * NPTL, but one line says before whose stack it was. For that SIGSEGV goes to the trampoline also
 * where the program has no handler (signal_take); the instruction runs again afterwards with the
 * default action, so that the core file shows the place.
 */
#include "shim/signal.h"
#include "sigframe.h"

#include <sys/resource.h>
#include <sys/syscall.h>

/* How far below its stack pointer a function may reach at once and it still counts. The kernel
 * itself lets the first thread's stack grow from anywhere. */
#define REACH (64UL << 10)
/* What may lie above __libc_stack_end: arguments and environment, mostly a few KB. */
#define ABOVE_END (256UL << 10)
#define LEAST_GUARD 4096UL

extern void *__libc_stack_end; /* of the dynamic linker: where the first thread's stack began */

struct bounds {
    uintptr_t lo, hi; /* hi 0: not known */
};

static struct bounds bounds_of(const struct thread *t) {
    struct bounds b = {g_stack_lo(t->g), g_stack_hi(t->g)};
    struct rlimit limit = {0};
    if (b.lo || t != thread_first() || sys(SYS_getrlimit, RLIMIT_STACK, &limit) < 0 ||
        limit.rlim_cur >= (uintptr_t)__libc_stack_end)
        return b;
    b.hi = ((uintptr_t)__libc_stack_end | (LEAST_GUARD - 1)) + 1;
    b.lo = b.hi - limit.rlim_cur;
    return b;
}

void overflow_say(const struct thread *t, const siginfo_t *info, const void *kernel_uc) {
    uintptr_t at = (uintptr_t)info->si_addr, sp = arch_uc_sp(kernel_uc);
    struct bounds b = bounds_of(t);
    bool first = !g_stack_lo(t->g);
    uintptr_t guard = first ? REACH : t->guard > LEAST_GUARD ? t->guard : LEAST_GUARD;
    if (!b.hi || at < b.lo - guard || at >= b.lo + (first ? ABOVE_END : 0) || at > sp + REACH ||
        sp > b.lo + REACH + (first ? ABOVE_END : 0))
        return;
    complain("stack overflow: thread %d \"%.16s\" of process %d has used up its stack of %lu kB, "
             "0x%lx to 0x%lx",
             t->tid, t->name, signal_pid, (unsigned long)(b.hi - b.lo) >> 10, (unsigned long)b.lo,
             (unsigned long)b.hi);
}
