/* next.c - finds libc's own versions of the functions that we replace */
#include "shim/shim.h"

#include <dlfcn.h>

static const char *const names[NEXT_COUNT] = {NEXT_NAMES};

void *next_fn[NEXT_COUNT];

/* dlsym takes no lock and allocates nothing when it succeeds. Two threads that look up the same
 * name store the same value. */
void *next_resolve(enum next_id id) {
    void *fn = dlsym(RTLD_NEXT, names[id]);
    if (!fn) {
        complain("libc has no function %s", names[id]);
        throw("next_resolve: symbol missing");
    }
    __atomic_store_n(&next_fn[id], fn, __ATOMIC_RELAXED);
    return fn;
}
