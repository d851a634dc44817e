/* barrier.c - barriers, spin locks, once: the small objects */
#include "shim/shim.h"

#include <limits.h>

/* ---- barriers: glibc's layout (struct pthread_barrier), __in counts the round's arrivals ---- */

struct barrier {
    uint32_t in;
    uint32_t round;
    uint32_t count;
    int shared;
    uint32_t out;
};
_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "pthread_barrier_t");

SHIM_API int shim_barrier_wait(pthread_barrier_t *bp) {
    struct barrier *bar = (struct barrier *)bp;
    if (passthrough() || bar->shared)
        return LIBC_CALL_BLOCK(next(pthread_barrier_wait)(bp));
    chaos_point("a barrier");
    uintptr_t addr = (uintptr_t)bar;
    struct wake_list woken = {0};
    struct bucket *b = lot_lock(addr);
    uint32_t round = bar->round;
    if (++bar->in == bar->count) {
        bar->in = 0;
        bar->round++;
        wake_list_take_all(&woken, b, addr);
        lot_unlock(b);
        wake_list_ready(&woken);
        g_yield_if_asked();
        return PTHREAD_BARRIER_SERIAL_THREAD;
    }
    /* Not a cancellation point, and no deadline: an interrupted wait goes on unless the round is
     * over. Who was dequeued by the last thread does not touch the barrier again, so that it may
     * be destroyed at once. */
    for (;;) {
        struct waiter local, *w = lot_self(&local);
        lot_enqueue(b, w, addr, WAIT_BARRIER);
        lot_unlock(b);
        if (lot_wait(w, TIME_FOREVER) == PARK_WOKEN)
            return 0;
        b = lot_lock(addr);
        if (bar->round != round) {
            lot_unlock(b);
            return 0;
        }
    }
}

SHIM_API int shim_barrier_destroy(pthread_barrier_t *bp) {
    struct barrier *bar = (struct barrier *)bp;
    if (passthrough() || bar->shared)
        return next(pthread_barrier_destroy)(bp);
    return bar->in ? EBUSY : 0;
}

/* ---- spin locks: glibc's word: 1 free, <= 0 held ----
 * The holder may be a G that does not run, and it will not run while we spin on its P. */

#define SPIN_TRIES 100 /* pauses between yields: a few us */

SHIM_API int shim_spin_lock(pthread_spinlock_t *lock) {
    _Atomic int *l = (_Atomic int *)lock;
    chaos_point("a spin lock");
    while (atomic_exchange_explicit(l, 0, memory_order_acquire) != 1) {
        for (int i = 0; i < SPIN_TRIES && atomic_load_explicit(l, memory_order_relaxed) != 1; i++)
            arch_pause();
        if (atomic_load_explicit(l, memory_order_relaxed) != 1 && !g_yield())
            sys(24 /* sched_yield */);
    }
    return 0;
}

/* ---- once: glibc's states 0, 1 in progress (plus 4 for each fork), 2 done ----
 * A call that was in progress in another thread of the parent is begun anew in a fork's child. */

#define ONCE_RUNNING 1
#define ONCE_DONE 2
#define ONCE_FORK 4

static int once_forks;

void once_reset_child(void) { once_forks += ONCE_FORK; }

/* The once calls in progress on this thread, innermost first, so that unwinding out of an
 * initialiser (exception, cancellation) finds what to undo. */
struct once_frame {
    struct once_frame *outer;
    _Atomic int *once;
};
static __thread struct once_frame *once_frames __attribute__((tls_model("initial-exec")));

static void once_finish(_Atomic int *once, int state) {
    uintptr_t addr = (uintptr_t)once;
    struct bucket *b = lot_lock(addr);
    atomic_store_explicit(once, state, memory_order_release);
    struct wake_list woken = {0};
    wake_list_take_all(&woken, b, addr);
    lot_unlock(b);
    wake_list_ready(&woken);
}

/* Called by the unwinder through once_call's personality routine. */
void once_unwound(void);
void once_unwound(void) {
    struct once_frame *f = once_frames;
    once_frames = f->outer;
    once_finish(f->once, 0);
}

/* The caller has made the state `running`: runs init, and does what is left to do. */
static void once_run(_Atomic int *once, void (*init)(void)) {
    struct once_frame f = {once_frames, once};
    once_frames = &f;
    once_call(init);
    once_frames = f.outer;
    once_finish(once, ONCE_DONE);
}

/* Sleeps while somebody else runs init. */
static void once_wait(_Atomic int *once, int running) {
    uintptr_t addr = (uintptr_t)once;
    struct waiter local, *w = lot_self(&local);
    struct bucket *b = lot_lock(addr);
    bool sleep = atomic_load_explicit(once, memory_order_acquire) == running;
    if (sleep)
        lot_enqueue(b, w, addr, WAIT_ONCE);
    lot_unlock(b);
    if (sleep)
        lot_wait(w, TIME_FOREVER);
}

static __attribute__((noinline)) int once_slow(_Atomic int *once, void (*init)(void)) {
    int running = ONCE_RUNNING | once_forks, state;
    while ((state = atomic_load_explicit(once, memory_order_acquire)) != ONCE_DONE) {
        if (state == running) {
            once_wait(once, running);
        } else if (atomic_compare_exchange_strong_explicit(
                       once, &state, running, memory_order_acquire, memory_order_relaxed)) {
            once_run(once, init);
            break;
        }
    }
    return 0;
}

SHIM_API int shim_once(pthread_once_t *op, void (*init)(void)) {
    _Atomic int *once = (_Atomic int *)op;
    chaos_point("pthread_once");
    if (likely(atomic_load_explicit(once, memory_order_acquire) == ONCE_DONE))
        return 0;
    return passthrough() ? next(pthread_once)(op, init) : once_slow(once, init);
}
