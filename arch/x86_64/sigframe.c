/* sigframe.c - see sigframe.h */
#include "sigframe.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>

_Static_assert(offsetof(ucontext_t, uc_sigmask) == ARCH_UC_SIGMASK, "kernel's layout");
_Static_assert(offsetof(ucontext_t, uc_stack) == ARCH_UC_STACK, "kernel's layout");
_Static_assert(offsetof(ucontext_t, uc_mcontext) == 40, "signal.S");

#define RED_ZONE 128 /* System V ABI: what leaf functions use below the stack pointer */
#define FXSAVE_SIZE 512
#define FLAG_DF (1 << 10) /* clear at a function's entry */
#define FLAG_TF (1 << 8)

/* The kernel's description of an extended state, in the part of the FXSAVE image that is left to
 * software (struct _fpx_sw_bytes, arch/x86/include/uapi/asm/sigcontext.h). */
#define SW_OFFSET 464
#define SW_MAGIC 0x46505853u
struct sw_bytes {
    uint32_t magic;
    uint32_t extended_size; /* with a second magic word behind it */
    uint64_t features;
};

static size_t fp_size(const char *fp) {
    struct sw_bytes sw;
    memcpy(&sw, fp + SW_OFFSET, sizeof sw);
    return sw.magic == SW_MAGIC ? sw.extended_size : FXSAVE_SIZE;
}

uintptr_t arch_uc_sp(const void *uc) {
    return (uintptr_t)((const ucontext_t *)uc)->uc_mcontext.gregs[REG_RSP];
}

bool arch_uc_call_ended(const void *uc) {
    const greg_t *regs = ((const ucontext_t *)uc)->uc_mcontext.gregs;
    return regs[REG_RAX] == -EINTR;
}

uintptr_t arch_uc_pc(const void *uc) {
    return (uintptr_t)((const ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
}

struct arch_sigframe *arch_sigframe_push(const void *kernel_uc, uintptr_t top, void *block) {
    const ucontext_t *from = kernel_uc;
    const char *fp = (const char *)from->uc_mcontext.fpregs;
    uintptr_t at = top ? top : arch_uc_sp(kernel_uc) - RED_ZONE;
    size_t size = fp ? fp_size(fp) : 0;
    if (!block)
        at -= size;
    at &= ~(uintptr_t)63; /* XRSTOR */
    char *fp_copy = block ? block : (char *)at;
    struct arch_sigframe *frame = (struct arch_sigframe *)(at - sizeof *frame);
    memcpy(frame->uc, kernel_uc, ARCH_UCONTEXT_SIZE);
    memset(frame->ext, 0, sizeof frame->ext);
    frame->block = block;
    if (fp) {
        memcpy(fp_copy, fp, size);
        memcpy(frame->uc + offsetof(ucontext_t, uc_mcontext.fpregs), &fp_copy, sizeof fp_copy);
    }
    return frame;
}

void arch_fp_clean(void) {
    static const uint32_t mxcsr = 0x1f80; /* all exceptions masked, round to nearest */
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

void arch_sig_enter(void);
extern const char arch_sig_enter_end[];

bool arch_pc_in_sigframe(uintptr_t pc) {
    return pc >= (uintptr_t)arch_sig_enter && pc < (uintptr_t)arch_sig_enter_end;
}

void arch_sigframe_enter(void *kernel_uc, struct arch_sigframe *frame,
                         void (*run)(struct arch_sigframe *)) {
    ucontext_t *uc = kernel_uc;
    frame->jump[0] = (uintptr_t)run;
    uc->uc_mcontext.gregs[REG_RSP] = (greg_t)frame;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)arch_sig_enter;
    uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)(FLAG_DF | FLAG_TF);
}
