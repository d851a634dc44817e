/* sigframe.h - the frame on which a handler of the program runs, on the stack of a goroutine
 *
 * The kernel delivers signals on the alternate stack of an M, where nothing may stay: the G could
 * go on on another M. So what the kernel has saved there is copied to the G's stack, and the G
 * continues in arch_sig_enter, which calls signal_run(frame) and then makes all registers what
 * the frame says, without a system call: rt_sigreturn would also give the M whatever alternate
 * stack and mask the frame names (shared/DANGERS.md, S2).
 *
 * Unwinders see a signal frame: signal.S says where each register lies in it.
 */
#ifndef GTHREAD_SIGFRAME_H
#define GTHREAD_SIGFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCH_UCONTEXT_SIZE 304 /* the kernel's struct ucontext: ends with 8 bytes of mask */
#define ARCH_SIGFRAME_EXT 256  /* the upper layer's: the siginfo first, as the kernel has it */

struct arch_sigframe {
    /* Used by signal.S: what iretq takes at the end; before, in the first word, the function to
     * run, and in the last one the block that is given back when the frame is left. */
    uint64_t jump[5];
    void *block;
    unsigned char uc[ARCH_UCONTEXT_SIZE];
    unsigned char ext[ARCH_SIGFRAME_EXT];
};
_Static_assert(offsetof(struct arch_sigframe, uc) == 48, "signal.S");
_Static_assert(sizeof(struct arch_sigframe) % 16 == 0, "stack alignment");

/* Offset of the mask in it; of the stack_t. */
#define ARCH_UC_SIGMASK 296
#define ARCH_UC_STACK 16

uintptr_t arch_uc_sp(const void *uc);
/* Was a system call interrupted that is not begun anew, but returns EINTR? */
bool arch_uc_call_ended(const void *uc);

/* A block for floating point states outside the stack: 2.5 kB with AVX-512, 11 kB with AMX. */
#define ARCH_FP_BLOCK 12288

/* Copies the kernel's ucontext to below `top`, or if that is 0 to below what the interrupted code
 * uses of its stack, and its floating point state to `block` (64-byte aligned; arch_block_free gets
 * it when the frame is left), or if that is NULL to above the frame. Async-signal-safe. */
struct arch_sigframe *arch_sigframe_push(const void *kernel_uc, uintptr_t top, void *block);

/* The kernel's ucontext becomes one that continues in run(frame), and when that returns with what
 * the frame says. */
void arch_sigframe_enter(void *kernel_uc, struct arch_sigframe *frame,
                         void (*run)(struct arch_sigframe *));

/* Above: runs when the block's contents are in the registers again, and must not change those:
 * compiled for general registers only. */
void arch_block_free(void *block);

/* The instruction at which the context was interrupted; does it belong to entering or leaving a
 * frame? */
uintptr_t arch_uc_pc(const void *uc);
bool arch_pc_in_sigframe(uintptr_t pc);

/* The floating point settings with which the kernel begins a handler. */
void arch_fp_clean(void);

#endif
