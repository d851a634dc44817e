/* futex2.c - futex_wait, futex_wake and futex_requeue by number, which Linux has since 6.7
 *
 * Who waits on a word with these is woken by futex(2), and the other way round. So each is handed
 * to futex_call as the operation of futex(2) that it equals, and is there on older kernels as well.
 * What futex(2) cannot say (words of other sizes, words with a NUMA node) is the kernel's alone:
 * EINVAL, or a wait that only a call with the same flags can end. Linux kernel/futex/syscalls.c.
 */
#include "shim/futex.h"
#include "shim/numbers.h"
#include "shim/shim.h"

#include <linux/futex.h>

#ifndef FUTEX2_SIZE_U32
#define FUTEX2_SIZE_U32 2
#define FUTEX2_PRIVATE FUTEX_PRIVATE_FLAG
#endif

/* A word as futex(2) has it? */
static bool is_plain(uint32_t flags) { return (flags & ~FUTEX2_PRIVATE) == FUTEX2_SIZE_U32; }

static int private_flag(uint32_t flags) { return flags & FUTEX2_PRIVATE ? FUTEX_PRIVATE_FLAG : 0; }

static bool fits(uint64_t value) { return value <= UINT32_MAX; }

/* Waits with a mask, until a point of CLOCK_MONOTONIC or CLOCK_REALTIME. */
static long futex2_wait(long uaddr, long val, long mask, long flags, long timeout, long clock) {
    int op = FUTEX_WAIT_BITSET | private_flag((uint32_t)flags);
    if (!is_plain((uint32_t)flags))
        return LIBC_CALL(sys(SYS_futex_wait, uaddr, val, mask, flags, timeout, clock));
    if (!fits((uint64_t)val) || !fits((uint64_t)mask))
        return -EINVAL;
    if (timeout && (clockid_t)clock == CLOCK_REALTIME)
        op |= FUTEX_CLOCK_REALTIME;
    else if (timeout && (clockid_t)clock != CLOCK_MONOTONIC)
        return -EINVAL;
    /* Unlike those of futex(2) it goes on after a handler with SA_RESTART, also with a timeout. */
    uint64_t mark = signal_mark();
    long r = -ENOSYS;
    if (futex_is_shared(flags, uaddr))
        r = LIBC_CALL(sys(SYS_futex_wait, uaddr, val, mask, flags, timeout, clock));
    if (r != -ENOSYS)
        return r;
    do
        r = futex_call(uaddr, op, val, timeout, 0, mask);
    while (r == -EINTR && !signal_ends(mark, true));
    return r;
}

/* Unlike futex(2) it wakes nobody if told to wake none. */
static long futex2_wake(long uaddr, long mask, long nr, long flags) {
    int op = FUTEX_WAKE_BITSET | private_flag((uint32_t)flags);
    if (!is_plain((uint32_t)flags))
        return sys(SYS_futex_wake, uaddr, mask, nr, flags);
    if (!mask || !fits((uint64_t)mask))
        return -EINVAL;
    if (!(int)nr)
        return uaddr % 4 ? -EINVAL : 0;
    return futex_call(uaddr, op, nr, 0, 0, mask);
}

/* From the first of two words to the second, if the first has its value. */
static long futex2_requeue(const struct futex_waitv *words, long flags, long wake, long move) {
    if (!words || (uint32_t)flags)
        return -EINVAL;
    if (!is_plain(words[0].flags) || !is_plain(words[1].flags))
        return sys(SYS_futex_requeue, words, flags, wake, move);
    if (words[0].flags != words[1].flags)
        return -EINVAL;
    for (int i = 0; i < 2; i++)
        if (words[i].__reserved || !fits(words[i].val))
            return -EINVAL;
    return futex_call((long)words[0].uaddr, FUTEX_CMP_REQUEUE | private_flag(words[0].flags), wake,
                      move, (long)words[1].uaddr, (long)words[0].val);
}

bool futex2_call(long nr, long a, long b, long c, long d, long e, long f, long *r) {
    switch (nr) {
    case SYS_futex_wait:
        *r = futex2_wait(a, b, c, d, e, f);
        return true;
    case SYS_futex_wake:
        *r = futex2_wake(a, b, c, d);
        return true;
    case SYS_futex_requeue:
        *r = futex2_requeue((const struct futex_waitv *)a, b, c, d);
        return true;
    default:
        return false;
    }
}
