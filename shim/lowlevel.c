/* lowlevel.c - the locks that libc takes by itself: of malloc's arenas, stdio's streams, its lists
 *
 * The word (glibc, sysdeps/nptl/lowlevellock.h; Drepper, "Futexes Are Tricky", mutex 2):
 *   0  free
 *   1  held, nobody waits
 *   2  held, somebody may wait
 * Taking and dropping are inline in libc. Who finds the lock held comes here to wait, and who has
 * made a 2 to 0 comes here to wake, by jumps at the entries of libc's two functions (patch.c in
 * interpose: both or neither). A G waits in the parking lot, at the word's address. Who may not
 * park (in a call's bracket, a section or a child of vfork, on the g0 of an M that ends) sleeps in
 * the kernel. So does a child of fork, which comes here before the runtime is reset: libc drops a
 * lock of its own before it calls the first handler (lot_here).
 *
 * The library takes some of these locks too, to change libc's lists.
 *
 * No wake-up is lost:
 *   lot:    waiter: (1) stores 2, (2) under the bucket's lock: waits if the word is 2. Waker: (1)
 *           libc has stored 0, (2) takes the bucket's lock, then the first waiter. If the waker's
 *           (2) comes first, the waiter sees the 0, or what a later holder has made of it: a 2 is
 *           followed by a waker again.
 *   kernel: waiter: (1) adds itself to kernel_waiters (seq_cst), (2) futex(2): sleeps if the word
 *           is 2. Waker: (1) libc has stored 0 by an exchange, a full barrier, (2) reads
 *           kernel_waiters. Either it sees the waiter, or that sees the 0.
 * Where there are both, one of each is woken: one too many, which finds the lock held and stores 2.
 */
#include "shim/shim.h"

bool patched_locks;

static _Atomic uint32_t kernel_waiters; /* at all words */

/* False: not this one. */
static bool park_at(_Atomic uint32_t *word) {
    if (!patched_locks || !lot_here() || (getg() && (!g_may_park() || section_inside())))
        return false;
    uintptr_t addr = (uintptr_t)word;
    struct waiter local, *w = lot_self(&local);
    struct bucket *b = lot_lock(addr);
    bool held = atomic_load_explicit(word, memory_order_relaxed) == 2;
    if (held)
        lot_enqueue(b, w, addr, WAIT_LIBC);
    lot_unlock(b);
    if (held)
        lot_wait(w, TIME_FOREVER);
    return true;
}

static void sleep_at(_Atomic uint32_t *word) {
    atomic_fetch_add_explicit(&kernel_waiters, 1, memory_order_seq_cst);
    futex_sleep(word, 2, FUTEX_FOREVER);
    atomic_fetch_sub_explicit(&kernel_waiters, 1, memory_order_relaxed);
}

/* __lll_lock_wait_private and __lll_lock_wake_private of glibc */
void shim_lll_wait(_Atomic uint32_t *word);
void shim_lll_wait(_Atomic uint32_t *word) {
    if (lot_here())
        chaos_point("a lock of libc's");
    while (atomic_exchange_explicit(word, 2, memory_order_acquire) != 0)
        if (!park_at(word))
            sleep_at(word);
}

void shim_lll_wake(_Atomic uint32_t *word);
void shim_lll_wake(_Atomic uint32_t *word) {
    if (lot_here())
        lot_wake_first((uintptr_t)word);
    /* Unpatched, libc's own waiters are in the kernel, and nobody has counted them. */
    if (!patched_locks || atomic_load_explicit(&kernel_waiters, memory_order_seq_cst))
        futex_wake(word, 1);
}

/* What is inline in libc. */
void lll_lock(_Atomic uint32_t *word) {
    uint32_t free = 0;
    if (!atomic_compare_exchange_strong_explicit(word, &free, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        shim_lll_wait(word);
}

void lll_unlock(_Atomic uint32_t *word) {
    if (atomic_exchange_explicit(word, 0, memory_order_seq_cst) == 2)
        shim_lll_wake(word);
}

void lowlevel_reset_child(void) { atomic_store(&kernel_waiters, 0); }
