/* patch.h - for tests of what interpose/patch.c does to libc's code */
#ifndef PATCH_H
#define PATCH_H

#include "check.h"

#include <dlfcn.h>
#include <sys/wait.h>

static inline uint8_t *libc_function(const char *name) {
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    CHECK(libc, "libc.so.6: %s", dlerror());
    uint8_t *at = (uint8_t *)dlsym(libc, name);
    CHECK(at, "%s: %s", name, dlerror());
    return at;
}

/* Does libc's function begin with a jump? */
static inline bool jumps(const char *name) { return *libc_function(name) == 0xe9; }

/* As glibc 2.36 begins it, for Debian 12 on x86-64: cmpb $0, __libc_single_threaded. */
static inline bool as_known(const char *name) {
    const uint8_t *at = libc_function(name);
    return at[0] == 0x80 && at[1] == 0x3d;
}

/* This program once more, with an argument and GTHREAD_DEBUG. */
static inline void again(const char *self, const char *arg, const char *debug) {
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        setenv("GTHREAD_DEBUG", debug, 1);
        execl(self, self, arg, (char *)NULL);
        _exit(126);
    }
    int status;
    DONE(waitpid(pid, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "%s with GTHREAD_DEBUG=%s: expected success, came wait status %x", arg, debug, status);
}

#endif
