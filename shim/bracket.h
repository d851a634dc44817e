/* bracket.h - wrappers of libc's calls that may block in the kernel, in one line each
 *
 * On a goroutine the call is libc's own, between syscall_enter and syscall_exit: the P stays and
 * sysmon takes it if the call lasts (KEEP), or it is given away at once where waiting is what the
 * call is for (GIVE). Without a goroutine it is libc's alone. libc's functions keep errno, their
 * arguments' checks, and being cancellation points. Not for functions that call the program back.
 */
#ifndef GTHREAD_BRACKET_H
#define GTHREAD_BRACKET_H

#include "shim/shim.h"

#define KEEP(ret, name, params, args)                                                              \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return LIBC_CALL(next(name) args);                                                         \
    }

#define GIVE(ret, name, params, args)                                                              \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return LIBC_CALL_BLOCK(next(name) args);                                                   \
    }

/* A function that waits in calls which libc makes inside it. Where those come to us it parks in
 * them; a bracket would keep it from that. */
#define INSIDE(ret, name, params, args)                                                            \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg() || patched_calls)                                                              \
            return next(name) args;                                                                \
        return LIBC_CALL(next(name) args);                                                         \
    }

/* A call that is only asked, not waited on, keeps the P. */
#define GIVE_UNLESS(asks, ret, name, params, args)                                                 \
    SHIM_API ret shim_##name params {                                                              \
        if (!getg())                                                                               \
            return next(name) args;                                                                \
        return asks ? LIBC_CALL(next(name) args) : LIBC_CALL_BLOCK(next(name) args);               \
    }

#endif
