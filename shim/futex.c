/* futex.c - futex(2) as programs call it through syscall()
 *
 * Libraries with locks of their own (GLib, Rust, libstdc++'s atomic waits, TBB) come here. A
 * private word is served by the parking lot, so that the waiter parks; a word that
 * may be shared with other processes (mapping.c) goes to the kernel, bracketed, and so do the PI
 * operations. Semantics and errors as futex(2).
 */
#include "shim/futex.h"
#include "shim/mapping.h"
#include "shim/shim.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

static _Atomic uint32_t *word(uintptr_t uaddr) { return (_Atomic uint32_t *)uaddr; }

static long wait_bitset(uintptr_t addr, uint32_t val, uint64_t deadline, uint32_t bits) {
    if (!bits)
        return -EINVAL;
    chaos_point("a futex wait");
    uint64_t mark = signal_mark();
    struct waiter local, *w = lot_self(&local);
    w->tag = bits;
    struct bucket *b = lot_lock(addr);
    if (atomic_load_explicit(word(addr), memory_order_seq_cst) != val) {
        lot_unlock(b);
        g_yield_if_asked();
        return -EAGAIN;
    }
    lot_enqueue(b, w, addr, WAIT_FUTEX);
    lot_unlock(b);
    switch (lot_wait(w, deadline)) {
    case PARK_TIMEOUT:
        return -ETIMEDOUT;
    case PARK_INTERRUPTED:
        /* Begun anew, as the kernel does after a handler with SA_RESTART, but not where there is a
         * deadline: the word may differ. */
        return signal_ends(mark, deadline == TIME_FOREVER) ? -EINTR
                                                           : wait_bitset(addr, val, deadline, bits);
    default:
        return 0;
    }
}

/* Dequeues up to n waiters whose bits match. Bucket lock. */
static long take_waiters(struct bucket *b, uintptr_t addr, long n, uint32_t bits,
                         struct wake_list *woken) {
    long taken = 0;
    struct waiter *w = lot_first(b, addr), *after;
    for (; w && taken < n; w = after) {
        after = lot_next(w);
        if (!(w->tag & bits))
            continue;
        wake_list_take(woken, b, w);
        taken++;
    }
    return taken;
}

static long wake_bitset(uintptr_t addr, int n, uint32_t bits) {
    if (!bits)
        return -EINVAL;
    chaos_point("a futex wake");
    struct wake_list woken = {0};
    struct bucket *b = lot_lock(addr);
    /* The kernel wakes one even for n <= 0. */
    long taken = take_waiters(b, addr, n < 1 ? 1 : n, bits, &woken);
    lot_unlock(b);
    wake_list_ready(&woken);
    g_yield_if_asked();
    return taken;
}

/* Both buckets, without an order between the callers: try the second, else start anew. */
static void lock_pair(uintptr_t a1, uintptr_t a2, struct bucket **b1, struct bucket **b2) {
    for (;;) {
        *b1 = lot_lock(a1);
        *b2 = lot_try_lock_second(*b1, a2);
        if (*b2)
            return;
        lot_unlock(*b1);
        arch_pause();
    }
}

static long requeue(uintptr_t a1, int nwake, int nmove, uintptr_t a2, const uint32_t *expect) {
    if (nwake < 0 || nmove < 0)
        return -EINVAL;
    struct bucket *b1, *b2;
    lock_pair(a1, a2, &b1, &b2);
    if (expect && atomic_load_explicit(word(a1), memory_order_seq_cst) != *expect) {
        lot_unlock_second(b1, b2);
        lot_unlock(b1);
        return -EAGAIN;
    }
    struct wake_list woken = {0};
    struct waiter *w;
    long done = take_waiters(b1, a1, nwake, UINT32_MAX, &woken);
    long moved = 0;
    for (w = a1 == a2 ? lot_first(b1, a1) : NULL; w && moved < nmove; w = lot_next(w))
        moved++; /* to where they are */
    while (a1 != a2 && moved < nmove && (w = lot_first(b1, a1))) {
        lot_requeue(b1, w, b2, a2);
        moved++;
    }
    lot_unlock_second(b1, b2);
    lot_unlock(b1);
    wake_list_ready(&woken);
    g_yield_if_asked();
    return done + moved; /* also of FUTEX_REQUEUE, whatever futex(2) says */
}

/* FUTEX_WAKE_OP: an encoded read-modify-write of the second word decides whether to wake there. */
static bool wake_op_apply(uintptr_t addr, uint32_t op, bool *invalid) {
    uint32_t code = op >> 28 & 7, cmp = op >> 24 & 15;
    int32_t oparg = (int32_t)(op << 8) >> 20, cmparg = (int32_t)(op << 20) >> 20;
    if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
        oparg = 1 << (oparg & 31);
    uint32_t old = atomic_load(word(addr)), new;
    do {
        switch (code) {
        case FUTEX_OP_SET:
            new = (uint32_t)oparg;
            break;
        case FUTEX_OP_ADD:
            new = old + (uint32_t)oparg;
            break;
        case FUTEX_OP_OR:
            new = old | (uint32_t)oparg;
            break;
        case FUTEX_OP_ANDN:
            new = old & ~(uint32_t)oparg;
            break;
        case FUTEX_OP_XOR:
            new = old ^ (uint32_t)oparg;
            break;
        default:
            *invalid = true;
            return false;
        }
    } while (!atomic_compare_exchange_weak(word(addr), &old, new));
    int32_t o = (int32_t)old;
    switch (cmp) {
    case FUTEX_OP_CMP_EQ:
        return o == cmparg;
    case FUTEX_OP_CMP_NE:
        return o != cmparg;
    case FUTEX_OP_CMP_LT:
        return o < cmparg;
    case FUTEX_OP_CMP_LE:
        return o <= cmparg;
    case FUTEX_OP_CMP_GT:
        return o > cmparg;
    case FUTEX_OP_CMP_GE:
        return o >= cmparg;
    default:
        *invalid = true;
        return false;
    }
}

static long wake_op(uintptr_t a1, int n1, int n2, uintptr_t a2, uint32_t op) {
    struct bucket *b1, *b2;
    struct wake_list woken = {0};
    bool invalid = false;
    lock_pair(a1, a2, &b1, &b2);
    bool second = wake_op_apply(a2, op, &invalid);
    long done = 0;
    if (!invalid) {
        done = take_waiters(b1, a1, n1 < 1 ? 1 : n1, UINT32_MAX, &woken);
        if (second)
            done += take_waiters(b2, a2, n2 < 1 ? 1 : n2, UINT32_MAX, &woken);
    }
    lot_unlock_second(b1, b2);
    lot_unlock(b1);
    wake_list_ready(&woken);
    g_yield_if_asked();
    return invalid ? -ENOSYS : done;
}

/* The deadline of a wait: relative for FUTEX_WAIT, else absolute. */
static int wait_deadline(int op, bool realtime, const struct timespec *ts, uint64_t *deadline) {
    *deadline = TIME_FOREVER;
    if (!ts)
        return 0;
    if (op == FUTEX_WAIT)
        return deadline_rel(ts, deadline);
    return ts->tv_sec < 0 ? EINVAL
                          : deadline_abs(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, ts, deadline);
}

/* FUTEX_WAIT has a relative timeout, of which this is left since then. */
static const struct timespec *rest_of(const struct timespec *given, uint64_t begun,
                                      struct timespec *left) {
    uint64_t deadline;
    if (deadline_rel(given, &deadline))
        return given; /* the kernel says so */
    *left = time_until(deadline - (nanotime() - begun));
    return left;
}

static long in_kernel(long uaddr, long op, long val, long timeout, long uaddr2, long val3) {
    int cmd = (int)op & FUTEX_CMD_MASK;
    bool waits = cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_LOCK_PI ||
                 cmd == FUTEX_LOCK_PI2 || cmd == FUTEX_WAIT_REQUEUE_PI;
    if (!waits)
        return sys(SYS_futex, uaddr, op, val, timeout, uaddr2, val3);
    const struct timespec *given = (const struct timespec *)timeout, *ts = given;
    struct timespec left;
    uint64_t mark = signal_mark(), begun = nanotime();
    for (;;) {
        long r = LIBC_CALL(sys(SYS_futex, uaddr, op, val, ts, uaddr2, val3));
        if (r != -EINTR || signal_ends(mark, false))
            return r;
        if (cmd == FUTEX_WAIT && given) /* nothing of the caller's has ended it */
            ts = rest_of(given, begun, &left);
    }
}

/* A word that may be shared is the kernel's. But who began to wait before that was known is in the
 * parking lot, so a wake-up goes there as well; it may wake somebody without need, which futex(2)
 * allows. */
static long shared_call(long uaddr, long op, long val, long timeout, long uaddr2, long val3) {
    int cmd = (int)op & FUTEX_CMD_MASK;
    uint32_t bits = cmd == FUTEX_WAKE_BITSET ? (uint32_t)val3 : FUTEX_BITSET_MATCH_ANY;
    uint32_t expect = (uint32_t)val3;
    uintptr_t a1 = (uintptr_t)uaddr, a2 = (uintptr_t)uaddr2;
    long here = 0;
    if (cmd == FUTEX_WAKE || cmd == FUTEX_WAKE_BITSET) {
        here = wake_bitset(a1, (int)val, bits);
        if (here < 0 || (here && here >= (int)val))
            return here;
        val = (int)val - here;
    } else if (cmd == FUTEX_REQUEUE || cmd == FUTEX_CMP_REQUEUE) {
        here = requeue(a1, (int)val, (int)timeout, a2, cmd == FUTEX_REQUEUE ? NULL : &expect);
        if (here < 0)
            return here;
    }
    long r = in_kernel(uaddr, op, val, timeout, uaddr2, val3);
    if (cmd == FUTEX_WAKE_OP && r >= 0)
        here = wake_bitset(a1, (int)val, bits) + wake_bitset(a2, (int)timeout, bits);
    return r < 0 ? (here ? here : r) : r + here;
}

static bool a2_used(int cmd) {
    return cmd == FUTEX_REQUEUE || cmd == FUTEX_CMP_REQUEUE || cmd == FUTEX_WAKE_OP;
}

/* The kernel says what is wrong with it. */
static bool a2_is_wrong(int cmd, uintptr_t a2) {
    return a2_used(cmd) && (a2 % 4 || (!a2 && cmd == FUTEX_WAKE_OP));
}

bool futex_is_shared(long op, long uaddr) {
    return !(op & FUTEX_PRIVATE_FLAG) && mapping_is_shared((uintptr_t)uaddr);
}

/* futex(2), arguments as the kernel's. Returns its result or -errno. Any thread. */
long futex_call(long uaddr, long op, long val, long timeout, long uaddr2, long val3) {
    int cmd = (int)op & FUTEX_CMD_MASK;
    const struct timespec *ts = (const struct timespec *)timeout;
    uintptr_t a1 = (uintptr_t)uaddr, a2 = (uintptr_t)uaddr2;
    bool realtime = op & FUTEX_CLOCK_REALTIME;
    uint64_t deadline;
    uint32_t expect = (uint32_t)val3;
    bool shared = futex_is_shared(op, uaddr) || (a2_used(cmd) && futex_is_shared(op, uaddr2));
    if (passthrough() || a1 % 4 || !a1 || a2_is_wrong(cmd, a2))
        return in_kernel(uaddr, op, val, timeout, uaddr2, val3);
    if (shared)
        return shared_call(uaddr, op, val, timeout, uaddr2, val3);
    switch (cmd) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
        int err = wait_deadline(cmd, realtime, ts, &deadline);
        return err ? -err
                   : wait_bitset(a1, (uint32_t)val, deadline,
                                 cmd == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : expect);
    }
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
        return wake_bitset(a1, (int)val, cmd == FUTEX_WAKE ? FUTEX_BITSET_MATCH_ANY : expect);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return requeue(a1, (int)val, (int)timeout, a2, cmd == FUTEX_REQUEUE ? NULL : &expect);
    case FUTEX_WAKE_OP:
        return wake_op(a1, (int)val, (int)timeout, a2, expect);
    default:
        return in_kernel(uaddr, op, val, timeout, uaddr2, val3);
    }
}
