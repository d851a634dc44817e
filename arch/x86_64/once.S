/* once.S - calls a function through a frame that notices when it is unwound
 *
 * once_call(init): rdi = the function. The personality routine is called by whatever unwinder
 * the program has when an exception, pthread_exit or cancellation passes this frame; in the
 * cleanup phase it calls once_unwound. So the library needs no unwinder of its own.
 */
        .text
        .globl  once_call
        .hidden once_call
        .type   once_call, @function
once_call:
        .cfi_startproc
        .cfi_personality 0x1b, once_personality
        .cfi_lsda 0x1b, once_no_lsda
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    *%rdi
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   once_call, . - once_call

/* _Unwind_Reason_Code once_personality(int version, _Unwind_Action actions, ...) */
        .type   once_personality, @function
once_personality:
        .cfi_startproc
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        test    $2, %sil                /* _UA_CLEANUP_PHASE */
        jz      1f
        call    once_unwound
1:      mov     $8, %eax                /* _URC_CONTINUE_UNWIND */
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   once_personality, . - once_personality

        .section .rodata
once_no_lsda:
        .byte   0

        .section .note.GNU-stack, "", @progbits
