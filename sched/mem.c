/* mem.c - the runtime's own memory: pages from the kernel, never malloc */
#include "sched/runtime.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096UL

size_t mem_round_page(size_t n) { return (n + PAGE - 1) & ~(PAGE - 1); }

void *mem_map(size_t size) {
    long r = sys(SYS_mmap, NULL, mem_round_page(size), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return r < 0 && r > -4096 ? NULL : (void *)r;
}

void mem_unmap(void *p, size_t size) { sys(SYS_munmap, p, mem_round_page(size)); }

/* Small permanent objects share chunks: of the first size, later of a quarter of what there is, up
 * to the last, since each chunk can be a mapping of its own, and a fork copies mappings. */
#define CHUNK (256UL << 10)
#define CHUNK_MAX (4UL << 20)

static struct lock perm_lock;
static uintptr_t perm_at, perm_end;
static size_t perm_mapped; /* in all chunks */

static size_t chunk_size(size_t least) {
    size_t size = perm_mapped / 4 < CHUNK_MAX ? perm_mapped / 4 : CHUNK_MAX;
    return size > least ? mem_round_page(size) : least;
}

void *mem_permanent(size_t size, size_t align) {
    lock_acquire(&perm_lock);
    uintptr_t at = (perm_at + align - 1) & ~(align - 1);
    if (at + size <= perm_end) {
        perm_at = at + size;
        lock_release(&perm_lock);
        return (void *)at;
    }
    size_t least = size + align > CHUNK ? size + align : CHUNK, want = chunk_size(least);
    lock_release(&perm_lock);
    /* No system call under the lock; two threads that both get here waste a chunk's rest. */
    uintptr_t chunk = (uintptr_t)mem_map(want);
    if (!chunk && want > least) /* a limit is near */
        chunk = (uintptr_t)mem_map(want = least);
    if (!chunk)
        return NULL;
    at = (chunk + align - 1) & ~(align - 1);
    lock_acquire(&perm_lock);
    perm_at = at + size;
    perm_end = chunk + mem_round_page(want);
    perm_mapped += mem_round_page(want);
    lock_release(&perm_lock);
    return (void *)at;
}

/* The fork may have come while another thread was between the two words. */
void mem_reset_child(void) {
    perm_lock = (struct lock){0};
    perm_at = perm_end = perm_mapped = 0;
}
