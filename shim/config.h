/* config.h - the start's view of the settings (interpose/ provides the functions) */
#ifndef GTHREAD_CONFIG_H
#define GTHREAD_CONFIG_H

#include "sched/sched.h"

/* Turns the environment's words into numbers; complains about each bad one in a line. */
void config_read(struct sched_config *cfg);
/* Learns about the running glibc and tests it. 0; else a line has been printed. */
int glibc_probe(void);
/* Puts jumps to our functions at the entries of those that libc calls itself; sets
 * patched_calls (shim.h). alone: the process has one kernel thread. All signals
 * blocked. Once; what is not as expected is left alone. */
void patch_libc(bool alone);

#endif
