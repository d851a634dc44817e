/* entry.h - where functions of libc begin, and how a jump is put there
 *
 * A jump takes 5 bytes. A function can be given one if its first instructions fill 5 bytes or more
 * without one that crosses the end, do not depend on where they stand, and nobody jumps into them;
 * and if all lies in one aligned word of 8 bytes, which is written by one store. Who wants the
 * function as it was calls a thunk (entry.S), which does what those instructions did and goes on
 * behind them.
 */
#ifndef GTHREAD_ENTRY_H
#define GTHREAD_ENTRY_H

/* ENTRY(name, form, first bytes): `?` is any half byte. Known of glibc 2.36; FLAG, FLAG_ARG4: since
 * 2.32. All are compared up to the system call, which says that the function is what its name says.
 *   FLAG   7 bytes: cmpb $0, __libc_single_threaded; then a je (ARG4: after a move of argument 4)
 *   FRAME  5 bytes: push %rbx; sub $16, %rsp
 *   NR     5 bytes: mov $number, %eax; then syscall
 *   WHOLE  5 bytes or more; the function is replaced as a whole, so it has no thunk */
#define ENTRY_LIST(ENTRY)                                                                          \
    ENTRY(read, FLAG, "803d????????0074??31c00f05")                                                \
    ENTRY(write, FLAG, "803d????????0074??b8010000000f05")                                         \
    ENTRY(readv, FLAG, "803d????????0074??b8130000000f05")                                         \
    ENTRY(writev, FLAG, "803d????????0074??b8140000000f05")                                        \
    ENTRY(poll, FLAG, "803d????????0074??b8070000000f05")                                          \
    ENTRY(connect, FLAG, "803d????????0074??b82a0000000f05")                                       \
    ENTRY(accept, FLAG, "803d????????0074??b82b0000000f05")                                        \
    ENTRY(send, FLAG, "803d????????004189ca74??4531c94531c0b82c0000000f05")                        \
    ENTRY(sendto, FLAG, "803d????????004189ca74??b82c0000000f05")                                  \
    ENTRY(sendmsg, FLAG, "803d????????0074??b82e0000000f05")                                       \
    ENTRY(sendmmsg, FLAG, "803d????????004189ca74??b8330100000f05")                                \
    ENTRY(recv, FLAG, "803d????????004189ca74??4531c94531c0b82d0000000f05")                        \
    ENTRY(recvfrom, FLAG, "803d????????004189ca74??b82d0000000f05")                                \
    ENTRY(recvmsg, FRAME, "534883ec10803d????????0074??b82f0000000f05")                            \
    ENTRY(wait4, FLAG, "803d????????004989ca74??b83d0000000f05")                                   \
    ENTRY(close, FLAG, "803d????????0074??b8030000000f05")                                         \
    ENTRY(__close_nocancel, WHOLE, "b8030000000f05")                                               \
    ENTRY(socket, NR, "b8290000000f05")                                                            \
    ENTRY(__lll_lock_wait_private, WHOLE,                                                          \
          "8b0783f802740bb802000000870785c074364531d2ba02000000be80000000b8ca0000000f05")          \
    ENTRY(__lll_lock_wake_private, WHOLE, "4531d2ba01000000be81000000b8ca0000000f05")

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Functions of libc begin at multiples of this. */
#define ENTRY_ALIGN 16

enum entry_id {
#define ENTRY(name, form, bytes) ENTRY_##name,
    ENTRY_LIST(ENTRY)
#undef ENTRY
        ENTRY_COUNT
};

extern const char *const entry_name[ENTRY_COUNT];

/* Does the function begin at `at` as is known? `at` may be any address that can be read on for
 * ENTRY_SPAN bytes. */
#define ENTRY_SPAN 64
bool entry_known(enum entry_id id, const uint8_t *at);
/* Can a jump from `at` reach `to`? */
bool entry_reaches(const uint8_t *at, const void *to);
/* A thunk for the function, which is about to be patched at `at`; NULL: it has none. */
void *entry_thunk(enum entry_id id, const uint8_t *at);
/* Writes the jump. The word at `at` must be writable, entry_known and entry_reaches true, and
 * nobody may be running in it. */
void entry_write(uint8_t *at, const void *to);
#endif

#endif
