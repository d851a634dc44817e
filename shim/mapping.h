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
/* After an mremap returned `at`; shared: what was moved had been. */
void mapping_note_mremap(bool shared, const void *at, size_t size);
/* shmat(2) that notes. */
void *shim_shmat(int id, const void *at, int flags);

#endif
