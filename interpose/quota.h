/* quota.h - how many CPUs the cgroup's bandwidth limit allows */
#ifndef GTHREAD_QUOTA_H
#define GTHREAD_QUOTA_H

#include <stdint.h>

/* CPUs that the quotas of the cgroup and of those above it allow, rounded up; 0: there is none, or
 * it cannot be told. proc: the directory of the process's files, "/proc/self". Some system calls.
 */
uint32_t quota_cpus(const char *proc);

#endif
