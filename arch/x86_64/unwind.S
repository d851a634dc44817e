/* unwind.S - frames that notice when they are unwound
 *
 * A frame with one of these personalities does something when an exception, pthread_exit or a
 * cancellation passes it, whatever unwinder the program has: so the library needs none of its own.
 * The language-specific data is empty.
 */

/* _Unwind_Reason_Code NAME(int version, _Unwind_Action actions, ...): calls FN in phase 2 */
        .macro  personality name, fn
        .globl  \name
        .hidden \name
        .type   \name, @function
\name:
        .cfi_startproc
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        test    $2, %sil                /* _UA_CLEANUP_PHASE */
        jz      1f
        call    \fn
1:      mov     $8, %eax                /* _URC_CONTINUE_UNWIND */
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .text
        personality once_personality, once_unwound
        personality bracket_personality, bracket_unwound

/* once_call(init): calls it through a frame of its own */
        .globl  once_call
        .hidden once_call
        .type   once_call, @function
once_call:
        .cfi_startproc
        .cfi_personality 0x1b, once_personality
        .cfi_lsda 0x1b, arch_no_lsda
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    *%rdi
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   once_call, . - once_call

        .section .rodata
        .globl  arch_no_lsda
        .hidden arch_no_lsda
arch_no_lsda:
        .byte   0

        .section .note.GNU-stack, "", @progbits
