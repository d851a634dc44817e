/* switch.S - the context switch of x86-64
 *
 * Frame below the return address, from high to low addresses:
 *   rbp rbx r12 r13 r14 r15 { mxcsr:32 fcw:16 fsw-exceptions:16 }
 */
        .text

        .globl  arch_switch
        .hidden arch_switch
        .type   arch_switch, @function
        .p2align 4
arch_switch:                            /* rdi = from, rsi = to */
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        push    %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        push    %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        push    %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        push    %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        fnstsw  %ax
        and     $0x3f, %eax             /* only the sticky exception flags are per thread */
        mov     (%rsp), %r8d            /* each load has the width of its store: one load over all */
        movzwl  4(%rsp), %r9d           /* of them would wait until they have left the store buffer */
        shl     $16, %eax
        or      %r9d, %eax
        shl     $32, %rax
        or      %rax, %r8               /* the state in the FPU now */
        mov     %r8, (%rsp)
        mov     8(%rsi), %rdx
        mov     %rsp, (%rdi)
        mov     (%rsi), %rsp
        cmpb    $0, arch_fsgsbase(%rip)
        je      .Lprctl
        wrfsbase %rdx
.Lfs_set:
        cmp     (%rsp), %r8
        jne     .Lfp_differs
        .globl  arch_switch_resume
        .hidden arch_switch_resume
arch_switch_resume:                     /* where a context that does not run goes on, for unwinders */
.Lfp_set:
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        pop     %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        pop     %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        pop     %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        ret

        .cfi_adjust_cfa_offset 56       /* both branches run with the whole frame pushed */
        .cfi_rel_offset %r15, 8
        .cfi_rel_offset %r14, 16
        .cfi_rel_offset %r13, 24
        .cfi_rel_offset %r12, 32
        .cfi_rel_offset %rbx, 40
        .cfi_rel_offset %rbp, 48
.Lprctl:
        mov     $158, %eax              /* arch_prctl(ARCH_SET_FS, tp) */
        mov     $0x1002, %edi
        mov     %rdx, %rsi
        syscall
        jmp     .Lfs_set

.Lfp_differs:
        ldmxcsr (%rsp)
        movzwl  4(%rsp), %eax
        shr     $32, %r8
        cmp     %ax, %r8w
        je      1f
        fldcw   4(%rsp)
1:      shr     $16, %r8d
        movzwl  6(%rsp), %eax
        cmp     %ax, %r8w
        je      .Lfp_set
        sub     $32, %rsp               /* exception flags can only be set through the environment */
        .cfi_adjust_cfa_offset 32
        fnstenv (%rsp)
        andb    $0xc0, 4(%rsp)
        or      %al, 4(%rsp)
        fldenv  (%rsp)
        add     $32, %rsp
        .cfi_adjust_cfa_offset -32
        jmp     .Lfp_set
        .cfi_endproc
        .size   arch_switch, . - arch_switch

/* The first return of a fresh context lands here: rbx holds the function to call. The return
 * address is undefined, so unwinders (backtraces, exceptions, pthread_exit) stop. */
        .globl  arch_entry
        .hidden arch_entry
        .type   arch_entry, @function
        .p2align 4
arch_entry:
        .cfi_startproc
        .cfi_undefined %rip
        xor     %ebp, %ebp
        call    *%rbx
        ud2
        .cfi_endproc
        .size   arch_entry, . - arch_entry

        .section .note.GNU-stack, "", @progbits
