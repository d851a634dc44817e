/* trace.h - `gthread trace`: trace.c follows a process, timeline.c makes the file */
#ifndef GTHREAD_TRACE_H
#define GTHREAD_TRACE_H

#include "sched/eventlog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What has been recorded. An event of type EV_NONE says that `arg` events of its P are lost there.
 */
struct recording {
    const struct event *events; /* those of a P in their order */
    size_t n;
    uint64_t lost;
    const char *program;
    int pid;
    uint32_t procs;
    uint64_t start, end;      /* cycle counter */
    double cycles_per_second; /* > 0 */
    char (*names)[16];        /* of goroutines, by id; "": not known */
    size_t nnames;
    char *const *reasons; /* of parks */
    size_t nreasons;
    bool counted;          /* the library's counters are there: the process lives */
    char *const *counters; /* their names, and how they grew meanwhile */
    const uint64_t *counted_by;
    size_t ncounters;
};

/* Opens the file for the trace: `-` is stdout; one whose name ends in .gz is compressed. Dies if it
 * cannot be written. */
void timeline_open(const char *path);
/* Writes the trace and closes it; dies if that fails. Returns what does not add up in it, NULL: all
 * does. */
const char *timeline_write(const struct recording *r);

#endif
