/* lock.c - the runtime's own lock, and futex sleeping */
#include "sched/runtime.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

/* A critical section is about 50 ns; 30 pauses are about 1 us, so a waiter only goes to the
 * kernel when the holder itself was descheduled by it. */
#define SPIN_PAUSES 30

static void lock_acquire_slow(struct lock *l) {
    for (int i = 0; i < SPIN_PAUSES; i++) {
        uint32_t free = 0;
        if (atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(&l->word, &free, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
        arch_pause();
    }
    while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
        futex_sleep(&l->word, 2, FUTEX_FOREVER);
}

void lock_acquire(struct lock *l) {
    struct g *g = getg();
    if (g)
        section_open(g, LOCK_ONE);
    uint32_t free = 0;
    if (!atomic_compare_exchange_strong_explicit(&l->word, &free, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        lock_acquire_slow(l);
}

bool lock_try(struct lock *l) {
    struct g *g = getg();
    if (g)
        section_open(g, LOCK_ONE);
    uint32_t free = 0;
    if (atomic_compare_exchange_strong_explicit(&l->word, &free, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return true;
    if (g)
        section_close(g, LOCK_ONE);
    return false;
}

void lock_release(struct lock *l) {
    if (atomic_exchange_explicit(&l->word, 0, memory_order_seq_cst) == 2)
        futex_wake(&l->word, 1);
    struct g *g = getg();
    if (g)
        section_close(g, LOCK_ONE);
}

int futex_sleep(_Atomic uint32_t *word, uint32_t val, uint64_t deadline) {
    struct timespec ts, *tp = NULL;
    int op = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG; /* takes an absolute time */
    if (deadline != FUTEX_FOREVER) {
        uint64_t ns = deadline & ~DEADLINE_REAL;
        ts = (struct timespec){(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
        tp = &ts;
        op |= deadline & DEADLINE_REAL ? FUTEX_CLOCK_REALTIME : 0;
    }
    long r = sys(SYS_futex, word, op, val, tp, NULL, FUTEX_BITSET_MATCH_ANY);
    return r == -ETIMEDOUT || r == -EINTR ? (int)r : 0;
}

void futex_wake(_Atomic uint32_t *word, int n) {
    sys(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n);
}
