/* debug.c - what of struct thread stands in the table of sched/debug.h
 *
 * Offsets from the beginning of g.ext.
 */
#include "sched/debug.h"

#include "shim/shim.h"

DEBUG_FIELD(thread, name);
DEBUG_FIELD(thread, tid);   /* as the program's gettid() tells it */
DEBUG_FIELD(thread, start); /* the function that pthread_create was given */
