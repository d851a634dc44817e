/* next.c - finds libc's own versions of the functions that we replace */
#include "shim/shim.h"

#include <dlfcn.h>

static const char *const names[NEXT_COUNT] = {NEXT_NAMES};

void *next_fn[NEXT_COUNT];

/* Two threads that look up the same name store the same value. dlsym has the dynamic linker's lock:
 * the first call of a function may be made by a thread that is cancelled asynchronously, and must
 * not leave it locked. */
void *next_resolve(enum next_id id) {
    struct thread *t = thread_self();
    bool held = t && t->cancel_held;
    if (!held)
        cancel_hold(t);
    void *fn = dlsym(RTLD_NEXT, names[id]);
    if (!fn) {
        complain("libc has no function %s", names[id]);
        throw("next_resolve: symbol missing");
    }
    __atomic_store_n(&next_fn[id], fn, __ATOMIC_RELAXED);
    if (!held)
        cancel_hold_end(t);
    return fn;
}
