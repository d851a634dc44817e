/* context.c - fresh contexts and the choice of the FS path on x86-64 */
#include "arch.h"

#include <stddef.h>

bool arch_fsgsbase;

/* AT_HWCAP2 bit 1: the kernel lets user code write the FS base (HWCAP2_FSGSBASE). */
#define HWCAP2_FSGSBASE 2UL

void arch_init(unsigned long hwcap2, bool force_syscall) {
    arch_fsgsbase = (hwcap2 & HWCAP2_FSGSBASE) && !force_syscall;
}

/* The frame that arch_switch pops; see switch.S. */
struct switch_frame {
    uint32_t mxcsr;
    uint16_t fcw;
    uint16_t fsw;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t ret;
};

void arch_ctx_init(struct arch_ctx *ctx, uintptr_t top, uintptr_t tp, void (*entry)(void)) {
    /* arch_entry is entered by ret, and its call must leave entry() with the stack that the ABI
     * promises a function (16 k + 8): so rsp is a multiple of 16 at arch_entry. */
    uintptr_t sp = (top & ~(uintptr_t)15) - 16 - offsetof(struct switch_frame, ret) - 8;
    struct switch_frame *f = (struct switch_frame *)sp;
    *f = (struct switch_frame){.rbx = (uintptr_t)entry, .ret = (uintptr_t)arch_entry};
    uint16_t fsw;
    __asm__ volatile("stmxcsr %0" : "=m"(f->mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(f->fcw));
    __asm__ volatile("fnstsw %0" : "=am"(fsw));
    f->fsw = fsw & 0x3f;
    ctx->sp = sp;
    ctx->tp = tp;
}
