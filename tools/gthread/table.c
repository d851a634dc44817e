/* table.c - reads how the library in a target describes itself (sched/debug.h) */
#include "table.h"

#include "gthread.h"

#include <stdlib.h>
#include <string.h>

static struct debug_entry *entries;
static size_t nentries;

/* ---- can it be true? ----
 * A core file may be damaged, and a process may have written over its own memory. */

/* Structures and lists are smaller than this, whatever the build: bytes, entries. */
#define STRUCT_MOST 65536
#define NAMES_MOST 1000

static const struct debug_entry *find(const char *name, enum debug_kind kind) {
    for (size_t i = 0; i < nentries; i++)
        if (entries[i].kind == kind && strncmp(entries[i].name, name, DEBUG_NAME) == 0)
            return &entries[i];
    return NULL;
}

static uint64_t value_or_0(const char *name) {
    const struct debug_entry *e = find(name, DEBUG_VALUE);
    return e ? e->offset : 0;
}

/* Does a member whose name begins so end within `size` bytes? */
static bool fits(const struct debug_entry *e, const char *prefix, uint64_t size) {
    return strncmp(e->name, prefix, strlen(prefix)) != 0 ||
           (e->offset <= size && e->size <= size - e->offset);
}

static bool is_plausible(void) {
    uint64_t g = value_or_0("g.size"), p = value_or_0("p.size"), gs = value_or_0("slab.gs");
    const struct debug_entry *ext = find("g.ext", DEBUG_FIELD);
    if (!g || g > STRUCT_MOST || p > STRUCT_MOST || !gs || gs > STRUCT_MOST || !ext ||
        ext->offset > g)
        return false;
    for (size_t i = 0; i < nentries; i++) {
        const struct debug_entry *e = &entries[i];
        if (e->kind == DEBUG_NAMES && e->size > NAMES_MOST)
            return false;
        if (e->kind == DEBUG_FIELD &&
            !(fits(e, "g.", g) && fits(e, "p.", p) && fits(e, "thread.", g - ext->offset)))
            return false;
    }
    return true;
}

/* ---- reading ---- */

/* NULL, or what is wrong: a format for what the target is. */
static const char *read_table(struct target *t, const struct image **library) {
    struct debug_table table;
    static const char unknown[] =
        "the libgthread.so in the %s does not describe itself as this command knows it";
    uint64_t at = target_symbol(t, "gthread_debug", library);
    if (!at)
        return "the %s does not run on gthread: no libgthread.so in it";
    if (!target_read(t, at, &table, sizeof table) ||
        memcmp(table.magic, DEBUG_MAGIC, sizeof table.magic) != 0 ||
        table.entry_size < sizeof(struct debug_entry) || table.end < table.first)
        return unknown;
    size_t n = (size_t)((const char *)table.end - (const char *)table.first) / table.entry_size;
    free(entries);
    entries = NEW_ARRAY(struct debug_entry, n);
    for (nentries = 0; nentries < n; nentries++)
        if (!target_read(t, (uint64_t)table.first + nentries * table.entry_size, &entries[nentries],
                         sizeof *entries))
            return "cannot read libgthread.so's table in the %s";
    return is_plausible() ? NULL : unknown;
}

const struct image *table_read(struct target *t) {
    const struct image *library;
    const char *what = t->core ? "core file" : "process";
    const char *problem = read_table(t, &library);
    if (problem)
        die(EXIT_GTHREAD, problem, what);
    return library;
}

bool table_try(struct target *t) {
    const struct image *library;
    return !read_table(t, &library);
}

const struct debug_entry *table_entry(const char *name, enum debug_kind kind) {
    const struct debug_entry *e = find(name, kind);
    if (e)
        return e;
    die(EXIT_GTHREAD, "the libgthread.so there does not tell `%s`: use the command of its build",
        name);
}

uint64_t table_value(const char *name) { return table_entry(name, DEBUG_VALUE)->offset; }
uint64_t table_address(const char *name) { return (uint64_t)table_entry(name, DEBUG_VAR)->at; }

uint64_t table_variable(struct target *t, const char *name) {
    const struct debug_entry *e = table_entry(name, DEBUG_VAR);
    uint64_t word = 0;
    target_read(t, (uint64_t)e->at, &word, e->size < 8 ? e->size : 8);
    return word;
}

struct member table_member(const char *name) {
    const struct debug_entry *e = table_entry(name, DEBUG_FIELD);
    return (struct member){e->offset, e->size < 8 ? e->size : 8};
}
struct names table_names(struct target *t, const char *name) {
    const struct debug_entry *e = table_entry(name, DEBUG_NAMES);
    struct names list = {NEW_ARRAY(char *, e->size), e->size};
    for (size_t i = 0; i < list.n; i++) {
        char text[64] = "?";
        uint64_t at = 0;
        if (target_word(t, (uint64_t)e->at + 8 * i, &at) && at)
            target_string(t, at, text, sizeof text);
        list.text[i] = need(strdup(text));
    }
    return list;
}
