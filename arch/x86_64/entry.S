/* entry.S - what functions of libc did before a jump was put over their first instructions
 *
 * r11 is free at a function's entry. A thunk is part of the function that it goes on in: it leaves
 * the stack as that expects it, and unwinds as that does.
 */
#include "entry.h"

        .hidden entry_flag
        .hidden entry_places
        .globl  entry_places
        .section .data.rel.local, "aw"
        .p2align 3
        .type   entry_places, @object
entry_places:

        /* struct entry_place of entry.c: the thunk; where it goes on; for NR, the number */
        .macro  entry name, form
        .ifnc   \form, WHOLE
        .section .data.rel.local, "aw"
        .quad   .Lthunk_\name
.Lback_\name:
        .quad   0
.Lnumber_\name:
        .quad   0
        .text
        .p2align 4
        .type   .Lthunk_\name, @function
.Lthunk_\name:
        .cfi_startproc
        .ifc    \form, FLAG
        mov     entry_flag(%rip), %r11
        cmpb    $0, (%r11)
        .endif
        .ifc    \form, FRAME
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        sub     $16, %rsp
        .cfi_adjust_cfa_offset 16
        .endif
        .ifc    \form, NR
        mov     .Lnumber_\name(%rip), %eax
        .endif
        jmp     *.Lback_\name(%rip)
        .cfi_endproc
        .else
        .section .data.rel.local, "aw"
        .quad   0, 0, 0
        .endif
        .endm

#define ENTRY(name, form, bytes) entry name, form;
ENTRY_LIST(ENTRY)

        .section .data.rel.local, "aw"
        .size   entry_places, . - entry_places
        .section .note.GNU-stack, "", @progbits
