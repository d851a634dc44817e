/* debug.h - what a tool outside the process must know to read the runtime: a described table
 *
 * As glibc's _thread_db_* symbols do for a debugger, the table says where things lie in this build,
 * so that `gthread dump` needs neither debug information nor the same version of the library. The
 * library exports one symbol, `gthread_debug`, a struct debug_table; it leads to entries that each
 * have a name. A reader looks an entry up by its name and does without one that it does not find.
 * So an entry may be added, moved and resized at will; one that is renamed or given another meaning
 * takes a new name. Read by tools/gthread/, from a live process and from a core file: no entry may
 * need code of the process to be understood.
 *
 * Each file describes its own, next to the definition; the linker collects the entries.
 */
#ifndef GTHREAD_DEBUG_H
#define GTHREAD_DEBUG_H

#include <stddef.h>
#include <stdint.h>

#define DEBUG_MAGIC "gthread-debug-1"
#define DEBUG_NAME 24

/* Kinds: what `at`, `offset` and `size` of an entry say.
 *   FIELD  offset and bytes of a member of a struct
 *   VAR    at: a variable; size: its bytes
 *   NAMES  at: an array of `size` pointers to strings, indexed by an enum; holes are null
 *   VALUE  offset: a number */
enum debug_kind { DEBUG_FIELD = 1, DEBUG_VAR, DEBUG_NAMES, DEBUG_VALUE };

struct debug_entry {
    char name[DEBUG_NAME]; /* ends with a zero byte */
    uint32_t kind;
    uint32_t size;
    uint64_t offset;
    const void *at;
};

struct debug_table {
    char magic[16];
    uint32_t entry_size; /* the distance of entries: fields may be added at their end */
    uint32_t unused;
    const struct debug_entry *first, *end;
};

/* Not const: entries with and without relocations must fit into one section. */
#define DEBUG_ENTRY_(line, ...)                                                                    \
    static struct debug_entry debug_entry_##line                                                   \
        __attribute__((section("gthread_debug_entries"), used, aligned(8))) = {__VA_ARGS__}
#define DEBUG_ENTRY(line, ...) DEBUG_ENTRY_(line, __VA_ARGS__)

/* NOLINTBEGIN(bugprone-sizeof-expression): members that are pointers */
#define DEBUG_FIELD(type, member)                                                                  \
    DEBUG_ENTRY(__LINE__, #type "." #member, DEBUG_FIELD, sizeof(((struct type *)0)->member),      \
                offsetof(struct type, member), NULL)
#define DEBUG_VAR(label, variable)                                                                 \
    DEBUG_ENTRY(__LINE__, label, DEBUG_VAR, sizeof(variable), 0, &(variable))
/* NOLINTEND(bugprone-sizeof-expression) */
#define DEBUG_NAMES(label, array)                                                                  \
    DEBUG_ENTRY(__LINE__, label, DEBUG_NAMES, sizeof(array) / sizeof *(array), 0, array)
#define DEBUG_VALUE(label, number) DEBUG_ENTRY(__LINE__, label, DEBUG_VALUE, 0, number, NULL)

#endif
