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
/* mmap(2), mremap(2) and shmat(2) that note. */
void *shim_mmap(void *at, size_t size, int prot, int flags, int fd, off_t off);
void *shim_mremap(void *old, size_t old_size, size_t size, int flags, void *at);
void *shim_shmat(int id, const void *at, int flags);

#endif
