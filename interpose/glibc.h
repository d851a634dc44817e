/* glibc.h - between the files of interpose/ */
#ifndef GTHREAD_GLIBC_H
#define GTHREAD_GLIBC_H

#include <stdbool.h>
#include <stddef.h>

extern bool glibc_pretend_unknown;

/* Offset of struct pthread.tid, 0 if libc does not tell. Callable at any time. */
size_t glibc_tid_offset(void);

#endif
