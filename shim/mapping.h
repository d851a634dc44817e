/* mapping.h - which memory may be shared with other processes */
#ifndef GTHREAD_MAPPING_H
#define GTHREAD_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void mapping_note_shared(const void *at, size_t size);
/* After an mmap with these flags returned `at`. */
void mapping_note_mmap(const void *at, size_t size, int flags);
bool mapping_is_shared(uintptr_t addr);
void mapping_reset_child(void);
/* mmap(2) that notes. */
void *shim_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off);

#endif
