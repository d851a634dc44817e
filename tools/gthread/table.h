/* table.h - the library's description of itself, as read from a target (table.c)
 *
 * sched/debug.h says how it is made. All but table_read die with one line if the library there has
 * no entry of that name.
 */
#ifndef GTHREAD_TABLE_H
#define GTHREAD_TABLE_H

#include "sched/debug.h"
#include "target.h"

#include <string.h>

/* Once, before all others. Returns the library's image; dies with one line if there is none. */
const struct image *table_read(struct target *t);
/* The same, also again; false in place of the one line. */
bool table_try(struct target *t);

const struct debug_entry *table_entry(const char *name, enum debug_kind kind);
uint64_t table_value(const char *name);
uint64_t table_address(const char *name);
/* A variable of at most 8 bytes, as it was when the target was read first. */
uint64_t table_variable(struct target *t, const char *name);

/* A member, of at most 8 bytes, of the struct whose bytes are at `of`. */
struct member {
    uint64_t offset;
    uint32_t size;
};
struct member table_member(const char *name);
static inline uint64_t get(const char *of, struct member m) {
    uint64_t word = 0;
    memcpy(&word, of + m.offset, m.size);
    return word;
}

/* Is a state, whose bits stand in one of the table's sets, in that set? */
static inline bool in_set(uint64_t set, uint64_t state) { return state < 64 && set >> state & 1; }

struct names {
    char **text;
    size_t n;
};
struct names table_names(struct target *t, const char *name);
static inline const char *name_in(struct names list, uint64_t i) {
    return i < list.n ? list.text[i] : "?";
}

#endif
