/* patch.h - for tests of what interpose/patch.c does to libc's code */
#ifndef PATCH_H
#define PATCH_H

#include "check.h"

#include <link.h>
#include <sys/wait.h>

/* Libc's own function. dlsym would give the library's, so it is looked up in libc's symbols, which
 * its strings follow. */
static inline uint8_t *libc_function(const char *name) {
    const struct link_map *libc = _r_debug.r_map;
    while (libc && !strstr(libc->l_name, "/libc.so.6"))
        libc = libc->l_next;
    CHECK(libc, "libc.so.6 is not there");
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    for (const ElfW(Dyn) *d = libc->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_SYMTAB)
            symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
        else if (d->d_tag == DT_STRTAB)
            strings = (const char *)d->d_un.d_ptr;
    for (const ElfW(Sym) *s = symbols; (const char *)s < strings; s++)
        if (s->st_value && strcmp(strings + s->st_name, name) == 0)
            return (uint8_t *)libc->l_addr + s->st_value;
    check_fail("%s: libc has none", name);
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
