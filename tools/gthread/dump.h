/* dump.h - goroutines as read from a target: goroutines.c reads them, dump.c prints them */
#ifndef GTHREAD_DUMP_H
#define GTHREAD_DUMP_H

#include "target.h"

struct goroutine {
    uint64_t id;
    int tid; /* as the program's gettid() tells it */
    char name[17];
    const char *state;  /* waiting, running... */
    const char *reason; /* mutex, sleep...; NULL: it does not wait */
    uint64_t waits_for; /* address; 0: nothing that has one */
    uint64_t owner;     /* id of the goroutine that holds the mutex it waits for; 0: not known */
    int owner_tid;
    double seconds;      /* that it has waited; negative: not known */
    int lwp;             /* the kernel thread whose registers it has; 0: it does not run */
    bool fresh;          /* it has not run yet: start is where it will */
    uint64_t start;      /* the function that pthread_create was given */
    const char *problem; /* why there are no frames; NULL: nothing */
    uint64_t *pcs;       /* but the first, if exact: return addresses */
    size_t npcs;
    bool exact;
    size_t group; /* of goroutines that are alike; the first one's index (dump.c) */
};

struct runtime {
    struct target *t;
    const struct image *library;
    uint32_t procs, ms;
    struct goroutine *gs; /* by id */
    size_t n, capacity;
};

enum { FRAMES_MAX = 1024 };

/* Reads the table that the library exports (sched/debug.h) and all goroutines with at most
 * FRAMES_MAX frames each; dies with one line if the target does not run on gthread. */
void goroutines_read(struct runtime *r, struct target *t);

#endif
