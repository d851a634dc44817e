/* target.h - a process or core file as something to read: memory, kernel threads, images
 *
 * process.c and core.c fill it, target.c reads memory and finds images, unwind.c follows frames,
 * symbols.c names addresses. Nothing here knows goroutines.
 */
#ifndef GTHREAD_TARGET_H
#define GTHREAD_TARGET_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

struct kthread {
    int tid;
    bool stopped;   /* regs are there */
    bool goroutine; /* its registers are those of a goroutine (dump.c) */
    char comm[16];
    struct user_regs_struct regs;
};

struct mapping {
    uint64_t start, end, offset;
    char *path; /* "" if of no file */
    int image;  /* index of its ELF image, -1: none */
};

/* An ELF file in memory. */
struct image {
    uint64_t base;         /* where its first byte lies */
    uint64_t bias;         /* what is added to the addresses in the file */
    uint64_t dynamic;      /* 0: none */
    uint64_t eh_frame_hdr; /* 0: none */
    const char *path;
};

/* A part of a core file that holds memory. */
struct segment {
    uint64_t start, size, offset;
};

struct target {
    int pid;
    const char *core; /* the file, or NULL: a process */
    char *program;    /* name, for the heading */
    int mem;          /* /proc/PID/mem, or the core file */
    struct kthread *threads;
    size_t nthreads, threads_capacity;
    struct mapping *maps;
    size_t nmaps, maps_capacity;
    struct image *images;
    size_t nimages, images_capacity;
    struct segment *segments;
    size_t nsegments, segments_capacity;
    struct file_copy *files; /* files that a core file refers to (core.c) */
    uint64_t now_ns;         /* CLOCK_MONOTONIC when it was stopped or dumped; 0: not known */
    uint64_t now_cycles;     /* the cycle counter then */
    Dwfl *dwfl;
    void *elf; /* of a core file, for libdwfl */
};

/* Stops every thread of the process and reads their registers; dies with one line if it cannot.
 * process_release lets them go on. If this program ends in between, the kernel lets them go. */
void process_open(struct target *t, int pid);
void process_release(struct target *t);
/* The same without stopping it: only memory can be read, which changes. */
void process_look(struct target *t, int pid);
/* process_look again, of what that process is by now; false in place of the one line. */
bool process_try(struct target *t, int pid);
/* Nothing read before counts any more. */
void target_forget(struct target *t);
/* Reads a core file's notes; dies with one line if it is none of this CPU. */
void core_open(struct target *t, const char *path);

/* Reads memory; false if not all of it is there. target_word: 8 bytes. */
bool target_read(struct target *t, uint64_t address, void *to, size_t n);
bool target_word(struct target *t, uint64_t address, uint64_t *word);
/* The string there, cut to size - 1 bytes; "" if it cannot be read. */
void target_string(struct target *t, uint64_t address, char *to, size_t size);
/* process.c, core.c: the same without the page cache. */
bool process_read(struct target *t, uint64_t address, void *to, size_t n);
bool core_read(struct target *t, uint64_t address, void *to, size_t n);

/* After the mappings are there, sorted: finds the images. */
void target_find_images(struct target *t);
const struct mapping *target_mapping(const struct target *t, uint64_t address);
const struct image *target_image(const struct target *t, uint64_t address);
/* The address of a dynamic symbol in any image, and the image; 0 if no image has it. */
uint64_t target_symbol(struct target *t, const char *name, const struct image **image);
struct mapping *target_add_mapping(struct target *t, uint64_t start, uint64_t end, uint64_t offset,
                                   const char *path);
struct kthread *target_thread(struct target *t, int tid);

/* ---- unwind.c ---- */

/* A program counter that a frame was interrupted at, or stopped: the instruction itself. Without it
 * it is a return address, and the call lies before it. Addresses of programs are below 2^47. */
#define PC_EXACT (UINT64_C(1) << 63)
static inline uint64_t pc_address(uint64_t pc) { return pc & ~PC_EXACT; }

/* Follows frames from these registers outwards: at most `most` program counters into pcs. Returns
 * how many. */
size_t unwind(struct target *t, const struct user_regs_struct *regs, uint64_t *pcs, size_t most);

/* ---- symbols.c ---- */

struct place {
    const char *function; /* demangled; NULL: not known */
    uint64_t offset;      /* from its beginning */
    const char *file;     /* of the source, NULL: not known */
    int line;
    const char *object; /* base name of the program or library, NULL: not known */
};

void symbols_open(struct target *t);
/* What lies at a program counter of unwind. */
const struct place *symbols_code(struct target *t, uint64_t pc);
/* The variable that contains the address, as `name` or `name+0x8`; NULL: not known. */
const char *symbols_data(struct target *t, uint64_t address);

#endif
