/* config.h - the start's view of the settings (interpose/ provides the functions) */
#ifndef GTHREAD_CONFIG_H
#define GTHREAD_CONFIG_H

#include "sched/sched.h"

/* Turns the environment's words into numbers; complains about each bad one in a line. */
void config_read(struct sched_config *cfg);
/* Learns about the running glibc and tests it. 0; else a line has been printed. */
int glibc_probe(void);

#endif
