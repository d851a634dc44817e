/* dlsym.c - programs that look up libc's functions get ours
 *
 * The dynamic linker finds ours before libc's where a program looks in the global scope. Not so
 * where it asks libc itself, or a library whose own scope has libc (dlsym of dlopen("libc.so.6") or
 * of libpthread.so.0), or names a version (dlvsym), which our exports have not. A program with one
 * function of ours and one of libc's would lock by the one and wait by the other. So:
 *   with a handle           if what libc's dlsym finds is in libc, and we have one of that name:
 * ours RTLD_DEFAULT, RTLD_NEXT  the search begins where the caller is, so libc's function must find
 * the caller's return address: arch/x86_64/dlsym.S jumps to it, for a version of glibc's to the one
 * that takes none and so finds ours where it lies on the way
 *
 * libc's own two functions cannot be found by dlsym: they are looked up in the images.
 */
#include "shim/shim.h"

#include <link.h>
#include <string.h>

typedef void *dlsym_fn(void *handle, const char *name);
typedef void *dlvsym_fn(void *handle, const char *name, const char *version);

static const struct link_map *_Atomic libc_map, *_Atomic our_map;
static dlsym_fn *_Atomic real_dlsym;
static dlvsym_fn *_Atomic real_dlvsym;
static uintptr_t libc_end;

/* ---- symbols of an image ---- */

/* The table of this kind; NULL: there is none. The dynamic linker has made the addresses absolute,
 * but for the vdso's. */
static const void *table_of(const struct link_map *map, ElfW(Sxword) tag) {
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag)
            return d->d_un.d_ptr >= map->l_addr ? (const void *)d->d_un.d_ptr : NULL;
    return NULL;
}

/* As the linker's --hash-style=gnu: buckets of chains, whose last hash has bit 0 set. */
static void *symbol_of(const struct link_map *map, const char *name) {
    const uint32_t *table = table_of(map, DT_GNU_HASH);
    const ElfW(Sym) *symbols = table_of(map, DT_SYMTAB);
    const char *strings = table_of(map, DT_STRTAB);
    uint32_t hash = 5381;
    if (!table || !symbols || !strings)
        return NULL;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        hash = hash * 33 + *c;
    uint32_t count = table[0], first = table[1], words = table[2];
    const uint32_t *buckets = table + 4 + words * (sizeof(ElfW(Addr)) / sizeof *table);
    const uint32_t *chains = buckets + count;
    uint32_t at = count ? buckets[hash % count] : 0;
    if (at < first || !at)
        return NULL;
    for (;; at++) {
        uint32_t h = chains[at - first];
        if ((h | 1) == (hash | 1) && symbols[at].st_value && symbols[at].st_shndx != SHN_UNDEF &&
            strcmp(strings + symbols[at].st_name, name) == 0)
            return (void *)(map->l_addr + symbols[at].st_value);
        if (h & 1)
            return NULL;
    }
}

static uintptr_t image_end(const struct link_map *map) {
    const ElfW(Ehdr) *eh = (const ElfW(Ehdr) *)map->l_addr;
    const ElfW(Phdr) *ph = (const ElfW(Phdr) *)(map->l_addr + eh->e_phoff);
    uintptr_t end = 0;
    for (int i = 0; i < eh->e_phnum; i++)
        if (ph[i].p_type == PT_LOAD && map->l_addr + ph[i].p_vaddr + ph[i].p_memsz > end)
            end = map->l_addr + ph[i].p_vaddr + ph[i].p_memsz;
    return end;
}

/* ---- libc's own ---- */

/* The images that are there from the start are never taken off this list. */
static void find_real(void) {
    const struct link_map *map = _r_debug.r_map, *ours = NULL;
    for (; map; map = map->l_next) {
        if (!ours && map->l_addr && map->l_ld == _DYNAMIC) {
            ours = map;
            continue;
        }
        dlsym_fn *found = map->l_addr ? (dlsym_fn *)symbol_of(map, "dlsym") : NULL;
        if (!found || !ours || !symbol_of(map, "dlvsym"))
            continue;
        libc_end = image_end(map);
        atomic_store(&our_map, ours);
        atomic_store(&libc_map, map);
        atomic_store(&real_dlvsym, (dlvsym_fn *)symbol_of(map, "dlvsym"));
        atomic_store(&real_dlsym, found);
        return;
    }
    throw("find_real: no library has dlsym");
}

/* For dlsym.S. */
dlsym_fn *dlsym_real(void);
void *dlvsym_real(void *handle, const char *name, const char *version);

dlsym_fn *dlsym_real(void) {
    if (unlikely(!atomic_load_explicit(&real_dlsym, memory_order_acquire)))
        find_real();
    return atomic_load_explicit(&real_dlsym, memory_order_relaxed);
}

/* What to jump to with these arguments. */
void *dlvsym_real(void *handle, const char *name, const char *version) {
    (void)handle;
    dlsym_fn *plain = dlsym_real();
    bool ours = version && strncmp(version, "GLIBC_", 6) == 0 && name &&
                symbol_of(atomic_load(&our_map), name);
    return ours ? (void *)plain : (void *)atomic_load(&real_dlvsym);
}

/* ---- with a handle ---- */

static void *ours_for(void *found, const char *name) {
    const struct link_map *libc = atomic_load_explicit(&libc_map, memory_order_relaxed);
    if ((uintptr_t)found < libc->l_addr || (uintptr_t)found >= libc_end)
        return found;
    void *ours = symbol_of(atomic_load_explicit(&our_map, memory_order_relaxed), name);
    return ours ? ours : found;
}

void *dlsym_handle(void *handle, const char *name);
void *dlsym_handle(void *handle, const char *name) {
    void *found = dlsym_real()(handle, name);
    return found ? ours_for(found, name) : NULL;
}

void *dlvsym_handle(void *handle, const char *name, const char *version);
void *dlvsym_handle(void *handle, const char *name, const char *version) {
    dlsym_real();
    void *found = atomic_load(&real_dlvsym)(handle, name, version);
    return found ? ours_for(found, name) : NULL;
}
