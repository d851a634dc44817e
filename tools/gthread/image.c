/* image.c - reads an ELF file by libelf: of what kind it is, and what it refers to */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void look_at_segments(Elf *elf, struct image_facts *f) {
    size_t n = 0, size = 0;
    const char *raw = elf_rawfile(elf, &size);
    bool dynamic = false;
    elf_getphdrnum(elf, &n);
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p))
            continue;
        dynamic |= p.p_type == PT_DYNAMIC;
        if (p.p_type != PT_INTERP || !raw || p.p_offset >= size)
            continue;
        f->executable = true;
        size_t most = size - p.p_offset < p.p_filesz ? size - p.p_offset : p.p_filesz;
        snprintf(f->interpreter, sizeof f->interpreter, "%.*s", (int)most, raw + p.p_offset);
    }
    GElf_Ehdr head;
    if (gelf_getehdr(elf, &head) && !f->executable && head.e_entry)
        f->is_static = head.e_type == ET_EXEC || (head.e_type == ET_DYN && dynamic);
}

/* A static position-independent program looks like a library that has an entry point, as libc.so.6
 * has one: it says so by DF_1_PIE. */
static void look_at_dynamic(Elf_Scn *section, struct image_facts *f) {
    Elf_Data *data = elf_getdata(section, NULL);
    GElf_Shdr head;
    GElf_Dyn d;
    bool pie = false;
    if (!data || !gelf_getshdr(section, &head) || !head.sh_entsize)
        return;
    for (int i = 0; gelf_getdyn(data, i, &d); i++)
        if (d.d_tag == DT_FLAGS_1 && d.d_un.d_val & DF_1_PIE)
            pie = true;
    if (f->is_static && !pie)
        f->is_static = false;
}

static void look_at_symbol(const char *name, struct image_facts *f) {
    static const struct {
        const char *symbol, *sanitizer;
    } sanitizers[] = {{"__asan_init", "AddressSanitizer"},
                      {"__tsan_init", "ThreadSanitizer"},
                      {"__msan_init", "MemorySanitizer"},
                      {"__hwasan_init", "HWAddressSanitizer"},
                      {"__lsan_init", "LeakSanitizer"}};
    static const char *const makers[] = {"pthread_create", "thrd_create"};
    for (size_t i = 0; i < sizeof sanitizers / sizeof *sanitizers; i++)
        if (strcmp(name, sanitizers[i].symbol) == 0)
            f->sanitizer = sanitizers[i].sanitizer;
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        f->makes_threads |= strcmp(name, makers[i]) == 0;
    f->checkpointer |= strncmp(name, "dmtcp_", 6) == 0;
}

static void look_at_symbols(Elf *elf, Elf_Scn *section, struct image_facts *f) {
    GElf_Shdr head;
    GElf_Sym symbol;
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || !gelf_getshdr(section, &head))
        return;
    for (int i = 0; gelf_getsym(data, i, &symbol); i++) {
        const char *name = elf_strptr(elf, head.sh_link, symbol.st_name);
        if (name)
            look_at_symbol(name, f);
    }
}

static void look_at_sections(Elf *elf, struct image_facts *f) {
    size_t names = 0;
    elf_getshdrstrndx(elf, &names);
    for (Elf_Scn *s = NULL; (s = elf_nextscn(elf, s));) {
        GElf_Shdr head;
        if (!gelf_getshdr(s, &head))
            continue;
        const char *name = elf_strptr(elf, names, head.sh_name);
        f->go |= name && strcmp(name, ".note.go.buildid") == 0;
        if (head.sh_type == SHT_DYNAMIC)
            look_at_dynamic(s, f);
        if (head.sh_type == SHT_DYNSYM || head.sh_type == SHT_SYMTAB)
            look_at_symbols(elf, s, f);
    }
}

int image_facts(const char *path, bool look_for_calls, struct image_facts *facts) {
    *facts = (struct image_facts){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    GElf_Ehdr head;
    if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &head)) {
        facts->elf = true;
        facts->bits32 = head.e_ident[EI_CLASS] == ELFCLASS32;
        facts->other_cpu = head.e_machine != EM_X86_64 && head.e_machine != EM_386;
        look_at_segments(elf, facts);
        look_at_sections(elf, facts);
        if (look_for_calls && !facts->bits32 && !facts->other_cpu)
            inline_calls(elf, facts);
    }
    elf_end(elf);
    close(fd);
    return 0;
}
