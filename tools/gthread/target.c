/* target.c - memory of a process or core file through a page cache, and the ELF images in it */
#include "target.h"

#include "gthread.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ----
 * Unwinding reads words, so pages are kept: one for each value of a few bits of the address. */

enum { PAGE = 4096, PAGES = 4096 };
static struct page {
    uint64_t address; /* + 1; 0: empty */
    char *bytes;
} pages[PAGES];

static bool read_through(struct target *t, uint64_t address, void *to, size_t n) {
    return t->core ? core_read(t, address, to, n) : process_read(t, address, to, n);
}

static const char *page_of(struct target *t, uint64_t address) {
    struct page *p = &pages[address / PAGE % PAGES];
    if (p->address == address + 1)
        return p->bytes;
    if (!p->bytes)
        p->bytes = need(malloc(PAGE));
    p->address = 0;
    if (!read_through(t, address, p->bytes, PAGE))
        return NULL;
    p->address = address + 1;
    return p->bytes;
}

void target_forget(struct target *t) {
    for (size_t i = 0; i < PAGES; i++)
        pages[i].address = 0;
    for (size_t i = 0; i < t->nmaps; i++)
        free(t->maps[i].path);
    t->nmaps = t->nimages = 0;
}

bool target_read(struct target *t, uint64_t address, void *to, size_t n) {
    if (n > PAGE || address + n < address)
        return address + n >= address && read_through(t, address, to, n);
    for (char *at = to; n;) {
        size_t in = address % PAGE, part = PAGE - in < n ? PAGE - in : n;
        const char *page = page_of(t, address - in);
        if (!page)
            return false;
        memcpy(at, page + in, part);
        at += part, address += part, n -= part;
    }
    return true;
}

bool target_word(struct target *t, uint64_t address, uint64_t *word) {
    return target_read(t, address, word, sizeof *word);
}

void target_string(struct target *t, uint64_t address, char *to, size_t size) {
    size_t n = 0;
    while (n < size - 1 && target_read(t, address + n, to + n, 1) && to[n])
        n++;
    to[n] = 0;
}

/* ---- mappings and images ---- */

struct mapping *target_add_mapping(struct target *t, uint64_t start, uint64_t end, uint64_t offset,
                                   const char *path) {
    GROW(t->maps, t->nmaps, t->maps_capacity);
    struct mapping *m = &t->maps[t->nmaps++];
    *m = (struct mapping){start, end, offset, need(strdup(path)), -1};
    return m;
}

struct kthread *target_thread(struct target *t, int tid) {
    for (size_t i = 0; i < t->nthreads; i++)
        if (t->threads[i].tid == tid)
            return &t->threads[i];
    return NULL;
}

static int compare_mappings(const void *a, const void *b) {
    const struct mapping *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* Reads the ELF header that lies at base. False: there is none, or a strange one. */
static bool image_read(struct target *t, uint64_t base, struct image *image) {
    Elf64_Ehdr head;
    if (!target_read(t, base, &head, sizeof head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    *image = (struct image){.base = base};
    bool loaded = false;
    for (int i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr p;
        if (!target_read(t, base + head.e_phoff + (uint64_t)i * sizeof p, &p, sizeof p))
            return false;
        if (p.p_type == PT_LOAD && !loaded) {
            image->bias = base - (p.p_vaddr & ~(uint64_t)(PAGE - 1));
            loaded = true;
        } else if (p.p_type == PT_DYNAMIC) {
            image->dynamic = p.p_vaddr;
        } else if (p.p_type == PT_GNU_EH_FRAME) {
            image->eh_frame_hdr = p.p_vaddr;
        }
    }
    if (image->dynamic)
        image->dynamic += image->bias;
    if (image->eh_frame_hdr)
        image->eh_frame_hdr += image->bias;
    return loaded;
}

void target_find_images(struct target *t) {
    if (t->nmaps)
        qsort(t->maps, t->nmaps, sizeof *t->maps, compare_mappings);
    for (size_t i = 0; i < t->nmaps; i++) {
        struct mapping *m = &t->maps[i];
        struct image image;
        if (!*m->path)
            continue;
        if (m->offset == 0 && image_read(t, m->start, &image)) {
            GROW(t->images, t->nimages, t->images_capacity);
            image.path = m->path;
            m->image = (int)t->nimages;
            t->images[t->nimages++] = image;
        } else if (i && t->nimages && strcmp(t->images[t->nimages - 1].path, m->path) == 0) {
            m->image = (int)t->nimages - 1;
        }
    }
}

const struct mapping *target_mapping(const struct target *t, uint64_t address) {
    size_t low = 0, high = t->nmaps;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->maps[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->nmaps && t->maps[low].start <= address ? &t->maps[low] : NULL;
}

const struct image *target_image(const struct target *t, uint64_t address) {
    const struct mapping *m = target_mapping(t, address);
    return m && m->image >= 0 ? &t->images[m->image] : NULL;
}

/* ---- dynamic symbols, through DT_GNU_HASH as ld.so looks them up ---- */

struct dynamic {
    uint64_t symbols, strings, hash;
};

static bool dynamic_read(struct target *t, const struct image *image, struct dynamic *d) {
    *d = (struct dynamic){0};
    Elf64_Dyn entry;
    for (uint64_t at = image->dynamic; at; at += sizeof entry) {
        if (!target_read(t, at, &entry, sizeof entry) || entry.d_tag == DT_NULL)
            break;
        uint64_t value = entry.d_un.d_ptr;
        if (value < image->bias) /* ld.so relocates them, but for the vdso's */
            value += image->bias;
        if (entry.d_tag == DT_SYMTAB)
            d->symbols = value;
        else if (entry.d_tag == DT_STRTAB)
            d->strings = value;
        else if (entry.d_tag == DT_GNU_HASH)
            d->hash = value;
    }
    return d->symbols && d->strings && d->hash;
}

static uint32_t gnu_hash(const char *name) {
    uint32_t h = 5381;
    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

static uint64_t symbol_in(struct target *t, const struct image *image, const char *name) {
    struct dynamic d;
    uint32_t head[4], hash = gnu_hash(name), index, chained;
    if (!dynamic_read(t, image, &d) || !target_read(t, d.hash, head, sizeof head) || !head[0])
        return 0;
    uint64_t buckets = d.hash + sizeof head + 8UL * head[2], chains = buckets + 4UL * head[0];
    if (!target_read(t, buckets + 4UL * (hash % head[0]), &index, 4) || index < head[1])
        return 0;
    do {
        Elf64_Sym symbol;
        char found[64];
        if (!target_read(t, chains + 4UL * (index - head[1]), &chained, 4) ||
            !target_read(t, d.symbols + index * sizeof symbol, &symbol, sizeof symbol))
            return 0;
        target_string(t, d.strings + symbol.st_name, found, sizeof found);
        if ((chained | 1) == (hash | 1) && symbol.st_shndx != SHN_UNDEF && strcmp(found, name) == 0)
            return image->bias + symbol.st_value;
        index++;
    } while (!(chained & 1));
    return 0;
}

uint64_t target_symbol(struct target *t, const char *name, const struct image **image) {
    for (size_t i = 0; i < t->nimages; i++) {
        uint64_t at = symbol_in(t, &t->images[i], name);
        if (at) {
            *image = &t->images[i];
            return at;
        }
    }
    return 0;
}
