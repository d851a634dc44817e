/* image.h - what `gthread check` wants to know of one ELF file (image.c, inline.c) */
#ifndef GTHREAD_IMAGE_H
#define GTHREAD_IMAGE_H

#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>

enum { SYSCALLS = 600 }; /* above the highest number of a system call */

struct image_facts {
    bool elf;        /* else nothing below is set */
    bool other_cpu;  /* not x86-64 (nor i386) */
    bool bits32;     /* i386 or x32 */
    bool executable; /* has a program interpreter */
    bool is_static;  /* a program without one */
    char interpreter[256];
    bool go;               /* holds a Go runtime */
    bool makes_threads;    /* refers to a function that makes a thread */
    const char *sanitizer; /* the name of one whose runtime it uses; NULL: none */
    bool checkpointer;     /* DMTCP, which has a pthread_create of its own */
    /* System calls made inline, past every library: by number, -1: the number is not known. */
    unsigned inline_calls, inline_unknown;
    unsigned inline_by_number[SYSCALLS];
};

/* Reads the file. 0, or the errno with which it could not be opened. */
int image_facts(const char *path, bool look_for_calls, struct image_facts *facts);

/* inline.c: finds `syscall` instructions. */
void inline_calls(Elf *elf, struct image_facts *facts);

#endif
