/* core.c - a core file: its notes, its memory, and the files that its memory came from
 *
 * The kernel leaves out of a core file what can be read from the program's and libraries' files.
 * A file is used for that only if it is still the one: its first page, which the kernel does write,
 * must be the same.
 */
#include "gthread.h"
#include "target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

struct file_copy {
    struct file_copy *next;
    const char *path;
    int fd; /* -1: not usable */
};

static bool pread_all(int fd, void *to, size_t n, uint64_t at) {
    for (char *p = to; n;) {
        ssize_t got = pread(fd, p, n, (off_t)at);
        if (got <= 0)
            return false;
        p += got, at += (uint64_t)got, n -= (size_t)got;
    }
    return true;
}

static const struct segment *segment_of(const struct target *t, uint64_t address) {
    for (size_t i = 0; i < t->nsegments; i++)
        if (address - t->segments[i].start < t->segments[i].size)
            return &t->segments[i];
    return NULL;
}

/* Is the file's beginning what lies in the core file where its offset 0 was mapped? */
static bool file_is_same(struct target *t, int fd, const char *path) {
    char there[4096], here[4096];
    for (size_t i = 0; i < t->nmaps; i++) {
        const struct mapping *m = &t->maps[i];
        if (m->offset || strcmp(m->path, path) != 0)
            continue;
        const struct segment *s = segment_of(t, m->start);
        if (s && pread_all(t->mem, there, sizeof there, s->offset + m->start - s->start))
            return pread_all(fd, here, sizeof here, 0) && memcmp(here, there, sizeof here) == 0;
    }
    return true;
}

static int file_fd(struct target *t, const char *path) {
    for (struct file_copy *f = t->files; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            return f->fd;
    struct file_copy *f = need(malloc(sizeof *f));
    *f = (struct file_copy){t->files, path, open(path, O_RDONLY | O_CLOEXEC)};
    t->files = f;
    if (f->fd >= 0 && !file_is_same(t, f->fd, path)) {
        warn_line("%s has changed since the core file was written", path);
        close(f->fd);
        f->fd = -1;
    }
    return f->fd;
}

bool core_read(struct target *t, uint64_t address, void *to, size_t n) {
    for (char *at = to; n;) {
        const struct segment *s = segment_of(t, address);
        const struct mapping *m = s ? NULL : target_mapping(t, address);
        uint64_t end = s ? s->start + s->size : m ? m->end : 0;
        size_t part = end - address < n ? end - address : n;
        int fd = s ? t->mem : m && *m->path ? file_fd(t, m->path) : -1;
        uint64_t place = s   ? s->offset + address - s->start
                         : m ? m->offset + address - m->start
                             : 0;
        if (fd < 0)
            return false;
        if (!pread_all(fd, at, part, place)) {
            if (s)
                return false;
            memset(at, 0, part); /* beyond the end of a file: the rest of its last page */
        }
        at += part, address += part, n -= part;
    }
    return true;
}

/* ---- notes ---- */

/* What a note holds is aligned to 4 bytes only. */
static void note_thread(struct target *t, const char *data) {
    struct elf_prstatus status;
    memcpy(&status, data, sizeof status);
    GROW(t->threads, t->nthreads, t->threads_capacity);
    struct kthread *k = &t->threads[t->nthreads++];
    *k = (struct kthread){.tid = status.pr_pid, .stopped = true};
    memcpy(&k->regs, status.pr_reg, sizeof k->regs);
}

static void note_info(struct target *t, const char *data) {
    struct elf_prpsinfo info;
    memcpy(&info, data, sizeof info);
    t->pid = info.pr_pid;
    free(t->program);
    t->program = text_of("%.*s", (int)sizeof info.pr_fname, info.pr_fname);
}

/* NT_FILE: count, page size, {start, end, offset in pages}..., then the names. */
static void note_files(struct target *t, const char *data, size_t n) {
    uint64_t count, page, entry[3];
    if (n < 16)
        return;
    memcpy(&count, data, 8);
    memcpy(&page, data + 8, 8);
    if (count > n / 24 || data[n - 1]) /* the last name ends with the note */
        return;
    const char *name = data + 16 + 24 * count, *end = data + n;
    for (uint64_t i = 0; i < count && name < end;
         i++, name += strnlen(name, (size_t)(end - name)) + 1) {
        memcpy(entry, data + 16 + 24 * i, sizeof entry);
        target_add_mapping(t, entry[0], entry[1], entry[2] * page, name);
    }
}

static void note_auxv(struct target *t, const char *data, size_t n) {
    Elf64_auxv_t a;
    for (size_t i = 0; i + sizeof a <= n; i += sizeof a) {
        memcpy(&a, data + i, sizeof a);
        if (a.a_type == AT_SYSINFO_EHDR)
            target_add_mapping(t, a.a_un.a_val, a.a_un.a_val + 8192, 0, "[vdso]");
    }
}

static void notes_read(struct target *t, Elf_Data *data) {
    GElf_Nhdr head;
    size_t name, desc;
    for (size_t at = 0; (at = gelf_getnote(data, at, &head, &name, &desc));) {
        const char *d = (const char *)data->d_buf + desc;
        if (head.n_type == NT_PRSTATUS && head.n_descsz >= sizeof(struct elf_prstatus))
            note_thread(t, d);
        else if (head.n_type == NT_PRPSINFO && head.n_descsz >= sizeof(struct elf_prpsinfo))
            note_info(t, d);
        else if (head.n_type == NT_FILE)
            note_files(t, d, head.n_descsz);
        else if (head.n_type == NT_AUXV)
            note_auxv(t, d, head.n_descsz);
    }
}

/* When the core file was written, on the clocks of this boot; left out if it cannot be so. */
static void time_of_core(struct target *t, const struct stat *st) {
    struct timespec mono, real;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &real);
    int64_t age =
        (real.tv_sec - st->st_mtim.tv_sec) * 1000000000 + real.tv_nsec - st->st_mtim.tv_nsec;
    int64_t now = mono.tv_sec * 1000000000 + mono.tv_nsec;
    if (age < 0 || age >= now)
        return;
    t->now_ns = (uint64_t)(now - age); /* now_cycles follows when the counter's rate is known */
}

void core_open(struct target *t, const char *path) {
    struct stat st;
    GElf_Ehdr head;
    t->core = path;
    t->program = text_of("%s", "");
    t->mem = open(path, O_RDONLY | O_CLOEXEC);
    if (t->mem < 0 || fstat(t->mem, &st))
        die(EXIT_GTHREAD, "%s: %s", path, strerror(errno));
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(t->mem, ELF_C_READ_MMAP, NULL);
    if (!elf || !gelf_getehdr(elf, &head) || head.e_type != ET_CORE || head.e_machine != EM_X86_64)
        die(EXIT_GTHREAD, "%s: neither a process nor a core file of this CPU", path);
    t->elf = elf;
    size_t n = 0;
    elf_getphdrnum(elf, &n);
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p))
            continue;
        if (p.p_type == PT_LOAD && p.p_filesz) {
            GROW(t->segments, t->nsegments, t->segments_capacity);
            t->segments[t->nsegments++] = (struct segment){p.p_vaddr, p.p_filesz, p.p_offset};
        } else if (p.p_type == PT_NOTE) {
            Elf_Data *notes =
                elf_getdata_rawchunk(elf, (int64_t)p.p_offset, p.p_filesz, ELF_T_NHDR);
            if (notes)
                notes_read(t, notes);
        }
    }
    if (!t->nthreads)
        die(EXIT_GTHREAD, "%s: no registers in it: not a complete core file", path);
    time_of_core(t, &st);
    target_find_images(t);
}
