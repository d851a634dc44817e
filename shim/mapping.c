/* mapping.c - which memory may be shared with other processes
 *
 * futex(2) without FUTEX_PRIVATE_FLAG may mean a word shared between processes, and then only the
 * kernel knows the waiters; but libstdc++'s atomic waits and old locks leave the flag out on plain
 * private memory. A process gets shared memory only by mapping it, so mappings made with
 * MAP_SHARED and shmat are noted (never forgotten: a stale range is only slower), and words
 * elsewhere are served by the parking lot. A wake-up looks in both places, since a range may have
 * been noted, wrongly or rightly, after somebody began to wait there.
 */
#include "shim/mapping.h"
#include "shim/shim.h"

#include <sys/mman.h>
#include <sys/shm.h>

#define RANGES 256 /* when they are used up, all become the one that spans them */

static struct lock add_lock;
static struct range { _Atomic uintptr_t lo, hi; } ranges[RANGES];
static _Atomic uint32_t nranges; /* released after the entry is written */

static uintptr_t lo_of(uint32_t i) {
    return atomic_load_explicit(&ranges[i].lo, memory_order_relaxed);
}

static uintptr_t hi_of(uint32_t i) {
    return atomic_load_explicit(&ranges[i].hi, memory_order_relaxed);
}

/* Ranges only ever grow, the upper end first, so that a reader never misses an address. */
static void range_widen(uint32_t i, uintptr_t lo, uintptr_t hi) {
    if (hi > hi_of(i))
        atomic_store_explicit(&ranges[i].hi, hi, memory_order_release);
    if (lo < lo_of(i))
        atomic_store_explicit(&ranges[i].lo, lo, memory_order_release);
}

static void range_add_locked(uintptr_t lo, uintptr_t hi) {
    uint32_t n = atomic_load_explicit(&nranges, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++)
        if (lo <= hi_of(i) && hi >= lo_of(i)) {
            range_widen(i, lo, hi);
            return;
        }
    if (n == RANGES) {
        for (uint32_t i = 1; i < n; i++)
            range_widen(0, lo_of(i), hi_of(i));
        range_widen(0, lo, hi);
        atomic_store_explicit(&nranges, 1, memory_order_release);
        return;
    }
    atomic_store_explicit(&ranges[n].lo, lo, memory_order_relaxed);
    atomic_store_explicit(&ranges[n].hi, hi, memory_order_relaxed);
    atomic_store_explicit(&nranges, n + 1, memory_order_release);
}

void mapping_note_shared(const void *at, size_t size) {
    lock_acquire(&add_lock);
    range_add_locked((uintptr_t)at, (uintptr_t)at + size);
    lock_release(&add_lock);
}

bool mapping_is_shared(uintptr_t addr) {
    uint32_t n = atomic_load_explicit(&nranges, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++)
        if (addr >= lo_of(i) && addr < hi_of(i))
            return true;
    return false;
}

void mapping_reset_child(void) { add_lock = (struct lock){0}; }

void mapping_note_mmap(const void *at, size_t size, int flags) {
    int type = flags & MAP_TYPE;
    if (at != MAP_FAILED && (type == MAP_SHARED || type == MAP_SHARED_VALIDATE))
        mapping_note_shared(at, size);
}

/* A shared mapping that grows or moves is still shared. */
void mapping_note_mremap(bool shared, const void *at, size_t size) {
    if (at != MAP_FAILED && shared)
        mapping_note_shared(at, size);
}

SHIM_API void *shim_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off) {
    void *p = next(mmap)(at, size, prot, flags, fd, off);
    mapping_note_mmap(p, size, flags);
    return p;
}

SHIM_API void *shim_shmat(int id, const void *at, int flags) {
    void *p = next(shmat)(id, at, flags);
    struct shmid_ds info;
    if (p != (void *)-1)
        mapping_note_shared(p, shmctl(id, IPC_STAT, &info) == 0 ? info.shm_segsz : SIZE_MAX / 2);
    return p;
}

SHIM_API void *shim_mremap(void *old, size_t old_size, size_t size, int flags, void *at) {
    bool shared = mapping_is_shared((uintptr_t)old);
    void *p = next(mremap)(old, old_size, size, flags, at);
    mapping_note_mremap(shared, p, size);
    return p;
}
