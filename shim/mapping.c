/* mapping.c - which memory may be shared with other processes
 *
 * futex(2) without FUTEX_PRIVATE_FLAG may mean a word shared between processes, and then only the
 * kernel knows the waiters; but libstdc++'s atomic waits and old locks leave the flag out on plain
 * private memory. A process gets shared memory only by mapping it, so mappings made with
 * MAP_SHARED and shmat are noted (never forgotten: a stale range is only slower), and words
 * elsewhere are served by the parking lot.
 */
#include "shim/mapping.h"
#include "shim/shim.h"

#include <sys/mman.h>
#include <sys/shm.h>

#define RANGES 256 /* beyond, all memory counts as shared */

static struct lock add_lock;
static struct range { uintptr_t lo, hi; } ranges[RANGES];
static _Atomic uint32_t nranges; /* released after the entry is written */

void mapping_note_shared(const void *at, size_t size) {
    lock_acquire(&add_lock);
    uint32_t n = atomic_load_explicit(&nranges, memory_order_relaxed);
    if (n < RANGES) {
        ranges[n] = (struct range){(uintptr_t)at, (uintptr_t)at + size};
        atomic_store_explicit(&nranges, n + 1, memory_order_release);
    }
    lock_release(&add_lock);
}

bool mapping_is_shared(uintptr_t addr) {
    uint32_t n = atomic_load_explicit(&nranges, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++)
        if (addr >= ranges[i].lo && addr < ranges[i].hi)
            return true;
    return n == RANGES;
}

void mapping_note_mmap(const void *at, size_t size, int flags) {
    int type = flags & MAP_TYPE;
    if (at != MAP_FAILED && (type == MAP_SHARED || type == MAP_SHARED_VALIDATE))
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

/* A shared mapping that grows or moves is still shared. */
SHIM_API void *shim_mremap(void *old, size_t old_size, size_t size, int flags, void *at) {
    bool shared = mapping_is_shared((uintptr_t)old);
    void *p = next(mremap)(old, old_size, size, flags, at);
    if (p != MAP_FAILED && shared)
        mapping_note_shared(p, size);
    return p;
}
