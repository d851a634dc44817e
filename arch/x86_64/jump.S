/* jump.S - entries of functions that return more than once to the same place
 *
 * A C wrapper around them would have left its frame when they return again. So these call something
 * first, with the arguments kept, and then jump to libc's own function, whose address that gave.
 */
        .text

        /* name, what to call first, which argument it gets (rdi or rsi) */
        .macro  before name, first, arg
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        push    %rdi
        .cfi_adjust_cfa_offset 8
        push    %rsi
        .cfi_adjust_cfa_offset 8
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        .ifnc   \arg, rdi
        mov     %\arg, %rdi
        .endif
        call    \first
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %rsi
        .cfi_adjust_cfa_offset -8
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   \name, . - \name
        .endm

        before  shim_sigsetjmp, jump_sigsetjmp, rsi
        before  shim_getcontext, jump_getcontext, rdi
        before  shim_swapcontext, jump_swapcontext, rsi

/* setjmp as a function, not the macro: BSD's, which saves the mask. */
        .globl  shim_setjmp
        .type   shim_setjmp, @function
shim_setjmp:
        mov     $1, %esi
        jmp     shim_sigsetjmp
        .size   shim_setjmp, . - shim_setjmp

/* vfork: the child returns first, on this very stack, so the return address waits in a register,
 * which the kernel keeps for the parent. process_vfork_before gives up the P and says so in memory
 * that both see; process_vfork_after is for the parent alone. */
        .globl  shim_vfork
        .type   shim_vfork, @function
        .p2align 4
shim_vfork:
        .cfi_startproc
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    process_vfork_before
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        mov     $58, %eax               /* vfork */
        syscall
        push    %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rip, 0
        test    %eax, %eax
        jz      1f
        mov     %eax, %edi
        jmp     process_vfork_after     /* returns what vfork is to return */
1:      ret
        .cfi_endproc
        .size   shim_vfork, . - shim_vfork

        .section .note.GNU-stack, "", @progbits
