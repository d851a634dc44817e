/* signal.S - from the kernel's signal delivery to a handler on the goroutine's stack, and back */

#define UC(off) (48 + 40 + (off))       /* in the frame: uc_mcontext.gregs, 8 bytes each */
#define R8_      UC(0)
#define R9_      UC(8)
#define R10_     UC(16)
#define R11_     UC(24)
#define R12_     UC(32)
#define R13_     UC(40)
#define R14_     UC(48)
#define R15_     UC(56)
#define RDI_     UC(64)
#define RSI_     UC(72)
#define RBP_     UC(80)
#define RBX_     UC(88)
#define RDX_     UC(96)
#define RAX_     UC(104)
#define RCX_     UC(112)
#define RSP_     UC(120)
#define RIP_     UC(128)
#define EFL_     UC(136)
#define FP_      UC(184)
#define SW_MAGIC 464                    /* sigframe.c */
#define SW_FEATURES 472

/* DW_CFA_expression: register `reg` is saved at rsp + off. The operand of DW_OP_breg7 takes two
 * bytes of SLEB128 for 64 <= off < 8192. */
        .macro  saved reg, off
        .cfi_escape 0x10, \reg, 3, 0x77, (\off & 0x7f) | 0x80, \off >> 7
        .endm

        .text
        .globl  arch_sig_enter
        .hidden arch_sig_enter
        .type   arch_sig_enter, @function
        .p2align 4
/* rsp = the frame. The rules hold in the whole function, since rsp does not move in it. */
        .cfi_startproc simple
        .cfi_signal_frame
        /* CFA: the interrupted rsp. DW_CFA_def_cfa_expression: breg7 off, deref */
        .cfi_escape 0x0f, 4, 0x77, (RSP_ & 0x7f) | 0x80, RSP_ >> 7, 0x06
        saved   0, RAX_
        saved   1, RDX_
        saved   2, RCX_
        saved   3, RBX_
        saved   4, RSI_
        saved   5, RDI_
        saved   6, RBP_
        saved   7, RSP_
        saved   8, R8_
        saved   9, R9_
        saved   10, R10_
        saved   11, R11_
        saved   12, R12_
        saved   13, R13_
        saved   14, R14_
        saved   15, R15_
        saved   16, RIP_
        nop                             /* unwinders look at the byte before a return address */
arch_sig_enter:
        cld
        fninit                          /* as the kernel enters a handler */
        ldmxcsr .Lmxcsr(%rip)
        mov     %rsp, %rdi
        call    signal_run

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
2:      mov     RIP_(%rsp), %rax
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

        .section .rodata
        .p2align 2
.Lmxcsr:
        .long   0x1f80                  /* all exceptions masked, round to nearest */

        .section .note.GNU-stack, "", @progbits
