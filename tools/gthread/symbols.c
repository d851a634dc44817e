/* symbols.c - names for addresses, by elfutils' libdwfl: symbol tables, debug information if there
 *
 * Separate debug files are found where Debian's -dbgsym packages put them. Each address is looked
 * up once: ten thousand goroutines stand at few different ones.
 */
#include "gthread.h"
#include "target.h"

#include <dlfcn.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static const Dwfl_Callbacks process_callbacks = {
    .find_elf = dwfl_linux_proc_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};
static const Dwfl_Callbacks core_callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

void symbols_open(struct target *t) {
    unsetenv("DEBUGINFOD_URLS"); /* a dump must not wait for a network */
    t->dwfl = dwfl_begin(t->core ? &core_callbacks : &process_callbacks);
    if (!t->dwfl)
        return;
    if (t->core)
        dwfl_core_file_report(t->dwfl, t->elf, NULL);
    else
        dwfl_linux_proc_report(t->dwfl, t->pid);
    dwfl_report_end(t->dwfl, NULL, NULL);
}

/* C++ names, if the system has libstdc++; it is not worth a dependency. Never freed. */
static const char *demangled(const char *name) {
    static char *(*demangle)(const char *, char *, size_t *, int *);
    static bool tried;
    if (strncmp(name, "_Z", 2) != 0)
        return name;
    if (!tried) {
        void *lib = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
        if (lib)
            *(void **)&demangle = dlsym(lib, "__cxa_demangle");
        tried = true;
    }
    int status = -1;
    char *plain = demangle ? demangle(name, NULL, NULL, &status) : NULL;
    return plain && status == 0 ? plain : name;
}

static const char *base_name(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

static char *keep(const char *text) { return text ? need(strdup(text)) : NULL; }

static void look_up(struct target *t, uint64_t address, bool data, struct place *place) {
    *place = (struct place){0};
    const struct image *image = target_image(t, address);
    if (image)
        place->object = base_name(image->path);
    Dwfl_Module *module = t->dwfl ? dwfl_addrmodule(t->dwfl, address) : NULL;
    if (!module)
        return;
    GElf_Off offset = 0;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL);
    /* The nearest symbol before the address is none, if it ends before it. */
    if (!name || (symbol.st_size && offset >= symbol.st_size) || (data && !symbol.st_size))
        return;
    place->function = demangled(keep(name));
    place->offset = offset;
    /* The nearest line before the address; one of another function, if this one has no lines. */
    Dwarf_Addr at = 0;
    Dwfl_Line *line = data ? NULL : dwfl_module_getsrc(module, address);
    const char *file = line ? dwfl_lineinfo(line, &at, &place->line, NULL, NULL, NULL) : NULL;
    if (file && at >= address - offset)
        place->file = keep(file);
}

/* ---- the cache ---- */

struct cached {
    uint64_t key;
    struct place place;
};

static int compare_cached(const void *a, const void *b) {
    uint64_t x = ((const struct cached *)a)->key, y = ((const struct cached *)b)->key;
    return x < y ? -1 : x > y;
}

static const struct place *cached_place(struct target *t, void **tree, uint64_t address,
                                        bool data) {
    struct cached wanted = {.key = address};
    void *found = tfind(&wanted, tree, compare_cached);
    if (found)
        return &(*(struct cached **)found)->place;
    struct cached *c = need(malloc(sizeof *c));
    c->key = address;
    look_up(t, address, data, &c->place);
    need(tsearch(c, tree, compare_cached));
    return &c->place;
}

const struct place *symbols_code(struct target *t, uint64_t pc) {
    static void *tree;
    return cached_place(t, &tree, pc_address(pc) - !(pc & PC_EXACT), false);
}

const char *symbols_data(struct target *t, uint64_t address) {
    static void *tree;
    static char text[256];
    const struct place *p = cached_place(t, &tree, address, true);
    if (!p->function)
        return NULL;
    int n = snprintf(text, sizeof text, "%s", p->function);
    if (p->offset && n < (int)sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, "+0x%lx", (unsigned long)p->offset);
    return text;
}
