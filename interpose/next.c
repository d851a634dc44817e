/* next.c - finds libc's own versions of the functions that we replace */
#include "shim/shim.h"

#include <dlfcn.h>

static const char *const names[NEXT_COUNT] = {NEXT_NAMES};

void *next_fn[NEXT_COUNT];

/* NULL if libc has none. Two threads that look up the same name store the same value. dlsym has the
 * dynamic linker's lock: the first call of a function may be made by a thread that is cancelled
 * asynchronously, and must not leave it locked. */
static void *look_up(enum next_id id) {
    struct thread *t = thread_self();
    bool held = t && t->cancel_held;
    if (!held)
        cancel_hold(t);
    void *fn = dlsym(RTLD_NEXT, names[id]);
    if (!fn)
        dlerror(); /* do not leave it for the program to find */
    __atomic_store_n(&next_fn[id], fn, __ATOMIC_RELAXED);
    if (!held)
        cancel_hold_end(t);
    return fn;
}

void *next_resolve(enum next_id id) {
    void *fn = look_up(id);
    if (!fn) {
        complain("libc has no function %s", names[id]);
        throw("next_resolve: symbol missing");
    }
    return fn;
}

bool next_is_there(enum next_id id) {
    return __atomic_load_n(&next_fn[id], __ATOMIC_RELAXED) || look_up(id);
}
