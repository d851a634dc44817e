/* stack.c - where stacks come from
 *
 * A C stack cannot be moved, so it grows by demand paging inside a reserved slot as large as the
 * program asked for. Slots of one shape (size and guard) form a class and are cut from big
 * mappings:
 *
 *     | guard | stack ............... identity | guard | stack ............... identity | ...
 *       lo-guard  lo                         hi
 *
 * The guard of a slot lies right above its lower neighbour's top, so that it needs no page-table
 * page of its own. The layer above puts a thread's identity (TCB, TLS) at the top, where it
 * shares pages with the first stack frames: a blocked thread costs two pages.
 *
 * Guards are MADV_GUARD_INSTALL where the kernel has it (6.13), since that splits no mapping;
 * else mprotect, of which vm.max_map_count allows about 32,000.
 *
 * A slot of a class stays with its G for ever; shapes that find no class, and stacks over
 * CLASS_LIMIT, are mapped for one G and unmapped by g_free.
 */
#include "sched/runtime.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define REGION_BYTES (64UL << 20) /* one mapping holds about this much, but at least.. */
#define REGION_SLOTS 16           /* ..so many slots: mappings stay few, VMAs merge anyway */
#define CLASS_LIMIT (256UL << 20) /* larger stacks are rare: one mapping each */

struct slot_class {
    size_t size, guard; /* 0: unused entry; written once under lock, then constant */
    uintptr_t at, end;  /* the rest of the newest region */
};

static struct lock slot_lock;
static struct slot_class classes[SLOT_CLASSES];
static _Atomic uint32_t nclasses;

/* Set when the kernel has answered EINVAL to MADV_GUARD_INSTALL. */
static _Atomic bool guards_by_mprotect;

int slot_class_of(const struct stack_want *want) {
    uint32_t n = atomic_load_explicit(&nclasses, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++)
        if (classes[i].size == want->size && classes[i].guard == want->guard)
            return (int)i;
    if (n == SLOT_CLASSES || want->size > CLASS_LIMIT || want->guard > CLASS_LIMIT)
        return -1;
    lock_acquire(&slot_lock);
    int found = -1;
    n = atomic_load_explicit(&nclasses, memory_order_relaxed);
    for (uint32_t i = 0; i < n && found < 0; i++)
        if (classes[i].size == want->size && classes[i].guard == want->guard)
            found = (int)i;
    if (found < 0 && n < SLOT_CLASSES) {
        classes[n].size = want->size;
        classes[n].guard = want->guard;
        found = (int)n;
        atomic_store_explicit(&nclasses, n + 1, memory_order_release);
    }
    lock_release(&slot_lock);
    return found;
}

static uintptr_t region_map(size_t bytes) {
    long r = sys(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (r < 0 && r > -4096)
        return 0;
    /* A huge page under a stack would make one thread cost 2 MB. */
    sys(SYS_madvise, r, bytes, MADV_NOHUGEPAGE);
    return (uintptr_t)r;
}

static bool guard_install(uintptr_t at, size_t size) {
    if (!size)
        return true;
    if (!atomic_load_explicit(&guards_by_mprotect, memory_order_relaxed)) {
        if (sys(SYS_madvise, at, size, MADV_GUARD_INSTALL) == 0)
            return true;
        atomic_store_explicit(&guards_by_mprotect, true, memory_order_relaxed);
    }
    return sys(SYS_mprotect, at, size, PROT_NONE) == 0;
}

/* A slot of the class's newest region, mapping a region if it is used up. Where the kernel
 * refuses a large one (RLIMIT_AS, strict overcommit) smaller ones are tried, down to one slot. */
static uintptr_t slot_cut(struct slot_class *c) {
    size_t slot = c->size + c->guard;
    lock_acquire(&slot_lock);
    uintptr_t at = c->at;
    if (at != c->end)
        c->at += slot;
    bool got = at != c->end;
    lock_release(&slot_lock);
    if (got)
        return at;
    size_t n = REGION_BYTES / slot > REGION_SLOTS ? REGION_BYTES / slot : REGION_SLOTS;
    for (at = 0; n && !(at = region_map(n * slot)); n /= 2)
        continue;
    if (!at)
        return 0;
    lock_acquire(&slot_lock);
    uintptr_t rest = c->at, rest_end = c->end; /* another thread may have mapped one too */
    c->at = at + slot;
    c->end = at + n * slot;
    lock_release(&slot_lock);
    if (rest != rest_end)
        sys(SYS_munmap, rest, rest_end - rest);
    return at;
}

bool slot_take(struct g *g, const struct stack_want *want, int class) {
    if (want->user) {
        g->slot_class = G_NO_CLASS;
        g->stack_lo = (uintptr_t)want->user;
        g->stack_hi = g->stack_lo + want->size;
        g->own_map = 0;
        return true;
    }
    size_t bytes = want->size + want->guard;
    uintptr_t at;
    if (class >= 0)
        at = slot_cut(&classes[class]);
    else
        at = bytes < want->size ? 0 : region_map(bytes);
    if (!at)
        return false;
    if (!guard_install(at, want->guard)) {
        /* A slot of a class cannot be put back; it is lost with the mappings used up anyway. */
        if (class < 0)
            sys(SYS_munmap, at, bytes);
        return false;
    }
    g->slot_class = class < 0 ? G_NO_CLASS : (uint8_t) class;
    g->own_map = class < 0 ? bytes : 0;
    g->stack_lo = at + want->guard;
    g->stack_hi = at + bytes;
    return true;
}

void slot_drop(struct g *g) {
    if (g->own_map)
        sys(SYS_munmap, g->stack_hi - g->own_map, g->own_map);
    g->own_map = 0;
    g->stack_lo = g->stack_hi = 0;
}

/* The parent's slots stay mapped in the child; the classes go on with what was left. */
void slot_reset_child(void) { slot_lock = (struct lock){0}; }
