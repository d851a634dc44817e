/* g.c - goroutine structures: slabs, the TLS word, launch and exit */
#include "sched/debug.h"
#include "sched/event.h"
#include "sched/runtime.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

__thread struct g *g_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Distance of g_self from the thread pointer: the same in every thread (static TLS). */
static intptr_t g_self_offset;

void g_init_offset(void) { g_self_offset = (intptr_t)&g_self - (intptr_t)arch_tp(); }

void g_word_set(uintptr_t tp, struct g *g) { *(struct g **)(tp + (uintptr_t)g_self_offset) = g; }

/* ---- slabs ----
 * Gs are type-stable: a slab is never unmapped, so that a late timer, a dump or a stale pthread_t
 * always reads a struct g. The directory is append-only: nslabs is raised after the slab's entry
 * is written (release), so that readers need no lock. */

#define SLAB_BYTES (256UL << 10)
#define SLAB_GS (SLAB_BYTES / sizeof(struct g))
#define MAX_SLABS 65536 /* 33 million Gs */

static struct lock slab_lock;
static struct g *slabs[MAX_SLABS]; /* untouched pages of it cost nothing */
static _Atomic uint32_t nslabs;
static uint32_t slab_used; /* Gs taken of the last slab */
DEBUG_VAR("slabs", slabs);
DEBUG_VAR("nslabs", nslabs);
DEBUG_VALUE("slab.gs", SLAB_GS);

/* Maps one more slab, without the lock. False: no memory, or the directory is full. */
static bool slab_grow(void) {
    struct g *fresh = mem_map(SLAB_BYTES);
    if (fresh && atomic_load_explicit(&nslabs, memory_order_relaxed))
        sys(SYS_madvise, fresh, SLAB_BYTES, MADV_POPULATE_WRITE);
    if (!fresh)
        return false;
    lock_acquire(&slab_lock);
    uint32_t n = atomic_load_explicit(&nslabs, memory_order_relaxed);
    bool use = n < MAX_SLABS && (n == 0 || slab_used == SLAB_GS);
    if (use) {
        slabs[n] = fresh;
        slab_used = 0;
        atomic_store_explicit(&nslabs, n + 1, memory_order_release);
    }
    lock_release(&slab_lock);
    if (!use) /* another thread was faster, or the directory is full */
        mem_unmap(fresh, SLAB_BYTES);
    return n < MAX_SLABS;
}

struct g *g_new(void) {
    for (;;) {
        lock_acquire(&slab_lock);
        uint32_t n = atomic_load_explicit(&nslabs, memory_order_relaxed);
        struct g *g = NULL;
        if (n && slab_used < SLAB_GS) {
            g = &slabs[n - 1][slab_used];
            g->index = (n - 1) * (uint32_t)SLAB_GS + slab_used++;
        }
        lock_release(&slab_lock);
        if (g) {
            g->w.g = g;
            g->slot_class = G_NO_CLASS;
            g->signals.blocked = UINT64_MAX; /* nobody is to send it any before it is a thread */
            return g;
        }
        if (!slab_grow())
            return NULL;
    }
}

void g_each(bool (*fn)(struct g *, void *), void *arg) {
    uint32_t n = atomic_load_explicit(&nslabs, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; k < SLAB_GS; k++)
            if (slabs[i][k].id && !fn(&slabs[i][k], arg))
                return;
}

struct g *g_at(uint32_t index) {
    uint32_t slab = index / SLAB_GS;
    return slab < atomic_load_explicit(&nslabs, memory_order_acquire)
               ? &slabs[slab][index % SLAB_GS]
               : NULL;
}

struct g *g_from_tp(uintptr_t tp) {
    if (!sched_running())
        return NULL;
    struct g *g = *(struct g *volatile *)(tp + (uintptr_t)g_self_offset);
    if (!g || g->tp != tp || g->is_g0)
        return NULL;
    uint32_t s = status_of(g);
    return s == G_FREE ? NULL : g;
}

/* ---- life ---- */

/* First code on a fresh G: the switch to it has to be finished as any other. */
static void g_start(void) {
    struct g *g = getg();
    switch_finish(g->m);
    g->entry(g);
    throw("g_start: entry returned");
}

void g_prepare(struct g *g, uintptr_t tp, uintptr_t top, void (*entry)(struct g *g)) {
    g->tp = tp;
    g->entry = entry;
    g->m = NULL;
    g->locks = SECTION_ONE; /* as if it had switched out; entry leaves it */
    g->lone_wakes = 0;
    g->owed_us = 0;
    cpu_reset(g);
    arch_ctx_init(&g->ctx, top, tp, g_start);
    g_word_set(tp, g);
    atomic_fetch_add_explicit(&sched.ngs, 1, memory_order_relaxed);
    event_create(g);
}

void g_launch(struct g *g, uintptr_t tp, uintptr_t top, void (*entry)(struct g *g)) {
    g_prepare(g, tp, top, entry);
    status_set(g, G_RUNNABLE);
    queue_new(g);
}

/* Makes g the description of the thread that runs now (the first thread, a g0). */
void g_adopt(struct g *g, struct m *m, uintptr_t tp, uintptr_t lo, uintptr_t hi) {
    g->m = m;
    g->w.g = g;
    g->tp = tp;
    g->ctx.tp = tp;
    g->stack_lo = lo;
    g->stack_hi = hi;
    g->slot_class = G_NO_CLASS;
    g->locks = 0;
    status_set(g, G_RUNNING);
    g_word_set(tp, g);
}

bool g_leave(void) { return atomic_fetch_sub_explicit(&sched.ngs, 1, memory_order_acq_rel) == 1; }

_Noreturn void g_exit(uintptr_t heir_of) {
    struct g *g = getg();
    section_enter(g);
    if (heir_of)
        lot_wake_first(heir_of);
    event_exit(g);
    sched_switch(g, FIN_EXIT);
    throw("g_exit: a dead G was resumed");
}

struct g_signals *g_signals(struct g *g) {
    return &g->signals;
}
bool g_is_g0(const struct g *g) { return g->is_g0; }
void *g_ext(struct g *g) { return g->ext; }
const struct waiter *g_waiter(const struct g *g) { return &g->w; }
uintptr_t g_tp(const struct g *g) { return g->tp; }
void g_set_tp(struct g *g, uintptr_t tp) { g->tp = tp; }
uintptr_t g_stack_lo(const struct g *g) { return g->stack_lo; }
uintptr_t g_stack_hi(const struct g *g) { return g->stack_hi; }
uint32_t g_index(const struct g *g) { return g->index; }
uint32_t g_generation(const struct g *g) { return g->gen; }
bool g_on_class_stack(const struct g *g) { return g->slot_class != G_NO_CLASS; }
int32_t g_kernel_tid(const struct g *g) {
    const struct m *m = g->m;
    uint32_t s = atomic_load_explicit(&g->status, memory_order_relaxed);
    return m && (s - G_RUNNING <= G_LOOSE - G_RUNNING || s == G_SYSCALL) ? m->tid : 0;
}

/* The parent's Gs are gone with their Ms; their memory is not worth finding. */
void g_reset_child(void) {
    g_word_set(arch_tp(), NULL);
    slab_lock = (struct lock){0};
    atomic_store(&nslabs, 0);
    slab_used = 0;
    gfree_reset_child();
}
