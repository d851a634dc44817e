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
#include <sys/uio.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define PIDFD_SELF_PROCESS (-10001) /* PIDFD_SELF_THREAD_GROUP, kernel 6.14 */

/* Slots prepared at once when threads are made in numbers: one call for all guards, one for the
 * first pages. As many as there are already, up to SLOT_BATCH_FEW; a quarter of what there are, up
 * to SLOT_BATCH. So little is touched too early: 128 KB, or a quarter. 64 in place of 16 at a time
 * makes 10,000 threads 10 % faster. */
#define SLOT_BATCH_FEW 16
#define SLOT_BATCH 64

#define REGION_BYTES (64UL << 20)    /* one mapping holds at least this much.. */
#define REGION_SLOTS 16              /* ..and so many slots.. */
#define REGION_MAX_BYTES (8UL << 30) /* ..but where there are many slots, not over this much */
#define CLASS_LIMIT (256UL << 20)    /* larger stacks are rare: one mapping each */

/* Where so many slots of a class have been made, the template thread prepares so many batches
 * ahead: half of what a new thread costs is the kernel's clearing and mapping of its pages, which
 * another CPU can do meanwhile. At most an eighth is touched too early. */
#define AHEAD_FROM 1024
#define AHEAD 2

struct batch {
    uintptr_t at; /* the first slot */
    uint32_t n;
};

struct slot_class {
    size_t size, guard;      /* 0: unused entry; written once under lock, then constant */
    uintptr_t at, end;       /* the rest of the newest region */
    _Atomic uint32_t made;   /* slots handed out so far */
    _Atomic uint32_t nahead; /* changed under the lock */
    struct batch ahead[AHEAD];
};

static struct lock slot_lock;
static struct slot_class classes[SLOT_CLASSES];
static _Atomic uint32_t nclasses;

/* Which class is to have batches prepared ahead, + 1, and what of a slot; 0: none. */
static _Atomic uint32_t ahead_class1;
static _Atomic size_t ahead_hot;

/* Set when the kernel has answered EINVAL to MADV_GUARD_INSTALL: it knows none, or the memory is
 * locked. Any other failure (memory) is for once. */
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

/* madvise of `size` bytes at each of n places, `stride` apart, in one call where the kernel lets a
 * process advise itself by vector (6.15). Returns how many places were done; *err: 0, or -errno of
 * the first that was not. */
static uint32_t advise_each(uintptr_t at, size_t size, size_t stride, uint32_t n, int advice,
                            long *err) {
    struct iovec v[SLOT_BATCH];
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct iovec){(void *)(at + i * stride), size};
    *err = 0;
    if (n > 1 && sys(SYS_process_madvise, PIDFD_SELF_PROCESS, v, n, advice, 0) == (long)(n * size))
        return n;
    uint32_t done = 0;
    while (done < n && (*err = sys(SYS_madvise, v[done].iov_base, size, advice)) == 0)
        done++;
    return done;
}

/* Guards of n slots, the first at `at`. Returns how many slots have one. */
static uint32_t guards_install(uintptr_t at, size_t size, size_t stride, uint32_t n) {
    if (!size)
        return n;
    uint32_t done = 0;
    if (!atomic_load_explicit(&guards_by_mprotect, memory_order_relaxed)) {
        long err;
        done = advise_each(at, size, stride, n, MADV_GUARD_INSTALL, &err);
        if (err == -EINVAL)
            atomic_store_explicit(&guards_by_mprotect, true, memory_order_relaxed);
    }
    while (done < n && sys(SYS_mprotect, at + done * stride, size, PROT_NONE) == 0)
        done++;
    return done;
}

/* The size of the class's next region: as many slots as there are already, within bounds. */
static size_t region_slots(const struct slot_class *c, size_t slot) {
    size_t slots = atomic_load_explicit(&c->made, memory_order_relaxed);
    if (slots > REGION_MAX_BYTES / slot)
        slots = REGION_MAX_BYTES / slot;
    if (slots < REGION_BYTES / slot)
        slots = REGION_BYTES / slot;
    return slots < REGION_SLOTS ? REGION_SLOTS : slots;
}

/* Takes up to *n adjacent slots of the class's newest region, mapping a region if it is used up.
 * Where the kernel refuses a large one (RLIMIT_AS, strict overcommit) smaller ones are tried, down
 * to one slot. 0: no memory. */
static uintptr_t slots_cut(struct slot_class *c, uint32_t *n) {
    size_t slot = c->size + c->guard;
    uint32_t wanted = *n;
    lock_acquire(&slot_lock);
    uintptr_t at = c->at;
    size_t left = (c->end - at) / slot;
    if (*n > left)
        *n = (uint32_t)left;
    c->at += *n * slot;
    lock_release(&slot_lock);
    if (*n)
        return at;
    *n = wanted;
    size_t slots = region_slots(c, slot);
    for (at = 0; slots && !(at = region_map(slots * slot)); slots /= 2)
        continue;
    if (!at)
        return 0;
    if (*n > slots)
        *n = (uint32_t)slots;
    lock_acquire(&slot_lock);
    uintptr_t rest = c->at, rest_end = c->end; /* another thread may have mapped one too */
    c->at = at + *n * slot;
    c->end = at + slots * slot;
    lock_release(&slot_lock);
    if (rest != rest_end)
        sys(SYS_munmap, rest, rest_end - rest);
    return at;
}

/* Gives back the last n of the slots that were cut to `end`, unless others were cut since. */
static void slots_uncut(struct slot_class *c, uintptr_t end, uint32_t n) {
    lock_acquire(&slot_lock);
    if (c->at == end)
        c->at -= n * (c->size + c->guard);
    lock_release(&slot_lock);
}

static uint32_t batch_size(uint32_t made) {
    if (made <= SLOT_BATCH_FEW)
        return made ? made : 1;
    uint32_t quarter = made / 4;
    return quarter < SLOT_BATCH_FEW ? SLOT_BATCH_FEW : quarter > SLOT_BATCH ? SLOT_BATCH : quarter;
}

/* Cuts up to n slots and prepares them; b->n 0: no memory. */
static void batch_make(struct slot_class *c, size_t hot, uint32_t n, struct batch *b) {
    size_t slot = c->size + c->guard;
    b->at = slots_cut(c, &n);
    b->n = b->at ? guards_install(b->at, c->guard, slot, n) : 0;
    if (b->at && b->n < n)
        slots_uncut(c, b->at + n * slot, n - b->n);
    /* A fault less for each page that a new thread touches at once. */
    long err;
    if (b->n > 1 && hot && hot <= c->size)
        advise_each(b->at + slot - hot, hot, slot, b->n, MADV_POPULATE_WRITE, &err);
}

/* One that has been prepared, if there is one. */
static bool batch_take_ahead(struct slot_class *c, struct batch *b) {
    if (!atomic_load_explicit(&c->nahead, memory_order_relaxed))
        return false;
    lock_acquire(&slot_lock);
    uint32_t n = atomic_load_explicit(&c->nahead, memory_order_relaxed);
    if (n) {
        *b = c->ahead[n - 1];
        atomic_store_explicit(&c->nahead, n - 1, memory_order_relaxed);
    }
    lock_release(&slot_lock);
    return n != 0;
}

uint32_t slot_batch(int class, const struct stack_want *want, uintptr_t *first) {
    struct slot_class *c = &classes[class];
    uint32_t made = atomic_load_explicit(&c->made, memory_order_relaxed);
    struct batch b;
    if (!batch_take_ahead(c, &b))
        batch_make(c, want->hot, batch_size(made), &b);
    atomic_fetch_add_explicit(&c->made, b.n, memory_order_relaxed);
    if (made >= AHEAD_FROM && sched.cfg.procs > 1) {
        atomic_store_explicit(&ahead_hot, want->hot, memory_order_relaxed);
        atomic_store_explicit(&ahead_class1, (uint32_t) class + 1, memory_order_release);
        template_wake();
    }
    *first = b.at;
    return b.n;
}

bool slot_prepare_ahead(void) {
    uint32_t class1 = atomic_load_explicit(&ahead_class1, memory_order_acquire);
    if (!class1)
        return false;
    struct slot_class *c = &classes[class1 - 1];
    struct batch b = {0};
    bool room = atomic_load_explicit(&c->nahead, memory_order_relaxed) < AHEAD;
    if (room)
        batch_make(c, atomic_load_explicit(&ahead_hot, memory_order_relaxed), SLOT_BATCH, &b);
    if (!b.n) { /* there are enough, or none can be had */
        atomic_compare_exchange_strong(&ahead_class1, &class1, 0);
        return false;
    }
    lock_acquire(&slot_lock); /* only we add */
    uint32_t n = atomic_load_explicit(&c->nahead, memory_order_relaxed);
    c->ahead[n] = b;
    atomic_store_explicit(&c->nahead, n + 1, memory_order_relaxed);
    lock_release(&slot_lock);
    return true;
}

void slot_give(struct g *g, int class, uintptr_t at) {
    g->slot_class = (uint8_t) class;
    g->stack_lo = at + classes[class].guard;
    g->stack_hi = g->stack_lo + classes[class].size;
}

void slot_cool(struct g *g) {
    sys(SYS_madvise, g->stack_lo, g->stack_hi - g->stack_lo, MADV_DONTNEED);
}

size_t slot_stride(int class) { return classes[class].size + classes[class].guard; }

#define HELPER_GUARD 4096UL

/* Beside each other, with the guards inside, they are one mapping: a fork copies that, and their
 * number is limited. */
void *stack_map(size_t size) {
    uintptr_t at = region_map(size + HELPER_GUARD);
    if (at)
        guards_install(at, HELPER_GUARD, size, 1);
    return at ? (void *)(at + HELPER_GUARD) : NULL;
}

void stack_unmap(void *stack, size_t size) {
    mem_unmap((char *)stack - HELPER_GUARD, size + HELPER_GUARD);
}

bool slot_own(struct g *g, const struct stack_want *want) {
    g->slot_class = G_NO_CLASS;
    g->own_map = 0;
    if (want->user) {
        g->stack_lo = (uintptr_t)want->user;
        g->stack_hi = g->stack_lo + want->size;
        return true;
    }
    size_t bytes = want->size + want->guard;
    uintptr_t at = bytes < want->size ? 0 : region_map(bytes);
    if (!at)
        return false;
    if (!guards_install(at, want->guard, bytes, 1)) {
        sys(SYS_munmap, at, bytes);
        return false;
    }
    g->own_map = bytes;
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

/* The parent's slots stay mapped in the child. What was left of the regions is given up: the fork
 * may have come while another thread was changing it. */
void slot_reset_child(void) {
    slot_lock = (struct lock){0};
    for (uint32_t i = 0; i < SLOT_CLASSES; i++) {
        classes[i].at = classes[i].end = 0;
        atomic_store(&classes[i].nahead, 0);
    }
    atomic_store(&ahead_class1, 0);
}
