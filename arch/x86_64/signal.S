/* signal.S - from the kernel's signal delivery to a handler on the goroutine's stack, and back */

/* Where things lie in the frame: uc_mcontext.gregs, 8 bytes each, then the floating point state. */
        .set    BLOCK, 40
        .set    GREGS, 48 + 40
        .set    R8_, GREGS + 0
        .set    R9_, GREGS + 8
        .set    R10_, GREGS + 16
        .set    R11_, GREGS + 24
        .set    R12_, GREGS + 32
        .set    R13_, GREGS + 40
        .set    R14_, GREGS + 48
        .set    R15_, GREGS + 56
        .set    RDI_, GREGS + 64
        .set    RSI_, GREGS + 72
        .set    RBP_, GREGS + 80
        .set    RBX_, GREGS + 88
        .set    RDX_, GREGS + 96
        .set    RAX_, GREGS + 104
        .set    RCX_, GREGS + 112
        .set    RSP_, GREGS + 120
        .set    RIP_, GREGS + 128
        .set    EFL_, GREGS + 136
        .set    FP_, GREGS + 184
#define SW_MAGIC 464                    /* sigframe.c */
#define SW_FEATURES 472

/* DW_CFA_expression: register `reg` is saved at rsp + off. The operand of DW_OP_breg7 is an SLEB128,
 * here always of two bytes. */
        .macro  saved reg, off
        .cfi_escape 0x10, \reg, 3, 0x77, ((\off) & 0x7f) | 0x80, (\off) >> 7
        .endm

/* Where the interrupted registers are, the ucontext lying at rsp + 48 - less. The CFA is the
 * interrupted rsp: DW_CFA_def_cfa_expression: breg7 off, deref. */
        .macro  frame less
        .cfi_escape 0x0f, 4, 0x77, ((RSP_-\less) & 0x7f) | 0x80, (RSP_-\less) >> 7, 0x06
        saved   0, RAX_-\less
        saved   1, RDX_-\less
        saved   2, RCX_-\less
        saved   3, RBX_-\less
        saved   4, RSI_-\less
        saved   5, RDI_-\less
        saved   6, RBP_-\less
        saved   7, RSP_-\less
        saved   8, R8_-\less
        saved   9, R9_-\less
        saved   10, R10_-\less
        saved   11, R11_-\less
        saved   12, R12_-\less
        saved   13, R13_-\less
        saved   14, R14_-\less
        saved   15, R15_-\less
        saved   16, RIP_-\less
        .endm

        .text
        .globl  arch_sig_enter
        .hidden arch_sig_enter
        .type   arch_sig_enter, @function
        .p2align 4
/* rsp = the frame. The rules hold in the whole function, since rsp does not move in it. */
        .cfi_startproc simple
        .cfi_signal_frame
        frame   0
        nop                             /* unwinders look at the byte before a return address */
arch_sig_enter:
        cld
        fninit                          /* as the kernel enters a handler */
        ldmxcsr .Lmxcsr(%rip)
        mov     %rsp, %rdi
        call    *(%rsp)

        /* All registers become those of the frame. Any of this may be interrupted by another
         * signal: nothing here belongs to the M. */
        mov     FP_(%rsp), %rdi
        test    %rdi, %rdi
        jz      2f
        cmpl    $0x46505853, SW_MAGIC(%rdi)
        jne     1f
        mov     SW_FEATURES(%rdi), %eax
        mov     SW_FEATURES+4(%rdi), %edx
        xrstor64 (%rdi)
        jmp     2f
1:      fxrstor64 (%rdi)
2:      mov     BLOCK(%rsp), %rdi
        test    %rdi, %rdi
        jz      3f
        call    arch_block_free         /* leaves vector registers alone */
3:      mov     RIP_(%rsp), %rax
        mov     %rax, (%rsp)
        mov     %cs, %eax
        mov     %rax, 8(%rsp)
        mov     EFL_(%rsp), %rax
        mov     %rax, 16(%rsp)
        mov     RSP_(%rsp), %rax
        mov     %rax, 24(%rsp)
        mov     %ss, %eax
        mov     %rax, 32(%rsp)
        mov     R8_(%rsp), %r8
        mov     R9_(%rsp), %r9
        mov     R10_(%rsp), %r10
        mov     R11_(%rsp), %r11
        mov     R12_(%rsp), %r12
        mov     R13_(%rsp), %r13
        mov     R14_(%rsp), %r14
        mov     R15_(%rsp), %r15
        mov     RDI_(%rsp), %rdi
        mov     RSI_(%rsp), %rsi
        mov     RBP_(%rsp), %rbp
        mov     RBX_(%rsp), %rbx
        mov     RDX_(%rsp), %rdx
        mov     RAX_(%rsp), %rax
        mov     RCX_(%rsp), %rcx
        iretq                           /* leaves the red zone below the interrupted rsp alone */
        .cfi_endproc
        .size   arch_sig_enter, . - arch_sig_enter
        .globl  arch_sig_enter_end
        .hidden arch_sig_enter_end
arch_sig_enter_end:

/* The return address of the kernel's handlers, where rsp points at the ucontext: the same rules. gdb
 * and older unwinders know it by these very instructions. */
        .globl  arch_sigreturn
        .hidden arch_sigreturn
        .type   arch_sigreturn, @function
        .cfi_startproc simple
        .cfi_signal_frame
        frame   48
        nop
arch_sigreturn:
        mov     $15, %rax               /* rt_sigreturn */
        syscall
        .cfi_endproc
        .size   arch_sigreturn, . - arch_sigreturn

        .section .rodata
        .p2align 2
.Lmxcsr:
        .long   0x1f80                  /* all exceptions masked, round to nearest */

        .section .note.GNU-stack, "", @progbits
