/* dlsym.S - dlsym and dlvsym, which libc's must find called by the program: see interpose/dlsym.c
 *
 * With a handle (not RTLD_DEFAULT, 0, nor RTLD_NEXT, -1): on to FN in C. Else REAL says where to
 * jump, with the arguments and the return address as they came.
 */
        .macro  lookup name, fn, real
        .globl  \name
        .type   \name, @function
\name:
        .cfi_startproc
        lea     1(%rdi), %rax
        cmp     $1, %rax
        ja      \fn
        push    %rdi
        .cfi_adjust_cfa_offset 8
        push    %rsi
        .cfi_adjust_cfa_offset 8
        push    %rdx
        .cfi_adjust_cfa_offset 8
        call    \real
        pop     %rdx
        .cfi_adjust_cfa_offset -8
        pop     %rsi
        .cfi_adjust_cfa_offset -8
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .text
        lookup  shim_dlsym, dlsym_handle, dlsym_real
        lookup  shim_dlvsym, dlvsym_handle, dlvsym_real

        .section .note.GNU-stack, "", @progbits
