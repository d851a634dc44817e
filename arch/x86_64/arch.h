/* arch.h - what the runtime needs of a CPU: thread pointer, context switch, pause, cycle counter
 *
 * Everything above this folder is CPU independent C. Another CPU is one more folder with the same
 * declarations. Nothing here knows goroutines: a context is a stack pointer and a thread pointer.
 */
#ifndef GTHREAD_ARCH_H
#define GTHREAD_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#define ARCH_CACHE_LINE 64

/* A context that is not running: the stack pointer under which arch_switch left the callee-saved
 * registers and the floating point control state, and the thread pointer (FS base). The offsets
 * are used by switch.S. */
struct arch_ctx {
    uintptr_t sp;
    uintptr_t tp;
};
_Static_assert(__builtin_offsetof(struct arch_ctx, sp) == 0, "switch.S");
_Static_assert(__builtin_offsetof(struct arch_ctx, tp) == 8, "switch.S");

/* True when user code may write the FS base itself (AT_HWCAP2 bit 1, kernel 5.9). Read by
 * switch.S; set once by arch_init, before the first switch. */
extern bool arch_fsgsbase;

/* Chooses how the thread pointer is set. hwcap2: getauxval(AT_HWCAP2); force_syscall: use
 * arch_prctl even where wrfsbase is allowed (GTHREAD_DEBUG=fsbase=prctl). */
void arch_init(unsigned long hwcap2, bool force_syscall);

/* arch_switch - saves the running context in `from` and continues `to`
 *
 * Saves what the ABI says a call keeps: rbx, rbp, r12-r15, mxcsr, the x87 control word and the
 * x87 exception flags (the last three are loaded only if they differ). Returns when somebody
 * switches to `from` again, maybe on another kernel thread. Between the load of the stack
 * pointer and the write of FS a signal handler sees a mixed context. */
void arch_switch(struct arch_ctx *from, const struct arch_ctx *to);

/* A place in arch_switch whose unwind information describes what lies at ctx.sp of a context that
 * does not run: from (arch_switch_resume, ctx.sp) an unwinder finds its frames. */
extern const char arch_switch_resume[];

/* Where a context that has not run yet begins; nothing called it. */
void arch_entry(void);

/* Prepares `ctx` so that the first switch to it calls entry() on the stack that ends at `top`
 * (16-byte aligned here) with thread pointer `tp`. entry must not return. The floating point
 * environment is the caller's, as POSIX asks of pthread_create. */
void arch_ctx_init(struct arch_ctx *ctx, uintptr_t top, uintptr_t tp, void (*entry)(void));

/* The thread pointer of the running context; the x86-64 TLS ABI keeps it at %fs:0. */
static inline uintptr_t arch_tp(void) {
    uintptr_t tp;
    __asm__("mov %%fs:0, %0" : "=r"(tp));
    return tp;
}

/* Reads a 32-bit word at `offset` from the thread pointer. */
static inline uint32_t arch_tp_read32(uintptr_t offset) {
    uint32_t v;
    __asm__ volatile("movl %%fs:(%1), %0" : "=r"(v) : "r"(offset));
    return v;
}

/* In a C function: when its frame is unwound, `personality` of unwind.S is called. */
#define ARCH_ON_UNWIND(personality)                                                                \
    __asm__ volatile(".cfi_personality 0x1b, " #personality "\n\t.cfi_lsda 0x1b, arch_no_lsda")

/* What the kernel takes as a signal's action: rt_sigaction(2) without libc's own checks. */
struct arch_sigaction {
    void *handler;
    uint64_t flags;
    void *restorer;
    uint64_t mask;
};
#define ARCH_SA_RESTORER 0x04000000
void arch_sigreturn(void); /* the restorer of every such action; never called */

static inline void arch_pause(void) { __builtin_ia32_pause(); }

/* A cheap, roughly constant-rate counter; only differences on one thread mean anything. */
static inline uint64_t arch_cycles(void) { return __builtin_ia32_rdtsc(); }

#endif
