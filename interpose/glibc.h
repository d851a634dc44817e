/* glibc.h - between the files of interpose/ */
#ifndef GTHREAD_GLIBC_H
#define GTHREAD_GLIBC_H

#include <stdbool.h>
#include <stddef.h>

extern bool glibc_pretend_unknown;

/* At the library's start: what processes without goroutines need too (off_tid, 0 if libc does not
 * tell; off_cond_wrefs). glibc_probe tests it. */
void glibc_look(void);

/* A symbol of libc or ld.so, or NULL. */
void *private_symbol(const char *name);

/* GTHREAD_DEBUG=patch=off, patch=list */
enum patch_mode { PATCH_ON, PATCH_OFF, PATCH_LIST };
extern enum patch_mode patch_mode;

#endif
