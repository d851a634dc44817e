/* inherit.h - what else the kernel keeps for each thread, and children inherit */
#ifndef GTHREAD_INHERIT_H
#define GTHREAD_INHERIT_H

#include <sched.h>
#include <stdbool.h>

struct thread;

/* A new thread has what its creator has. self: NULL for a creator without a G. */
void inherit_from(struct thread *t, const struct thread *self);
/* Of a thread that is about to be made: the CPUs in its attributes. *all: all of the process's. */
struct affinity;
int inherit_attr_affinity(struct thread *t, const cpu_set_t *set, bool *all);
/* Does it have all CPUs of the process? */
bool inherit_is_all(const struct affinity *a);
void inherit_apply_affinity(const struct thread *t);
/* The nice value of t, and that of the process. */
int inherit_nice(const struct thread *t);
int inherit_nice_of_process(void);
/* What t has becomes the running kernel thread's, for good: in a fork's child. */
void inherit_apply(const struct thread *t);
/* ..or for the time of a call that makes or becomes another process. In a section, on one M. */
struct inherit_saved {
    bool affinity, nice, slack;
    unsigned long cpus[16];
    int nice_was;
    long slack_was;
};
void inherit_show(const struct thread *t, struct inherit_saved *saved);
void inherit_hide(const struct inherit_saved *saved);

/* By number, from syscall(): the kernel's arguments and results. */
long inherit_setaffinity_syscall(long pid, long size, long mask);
long inherit_getaffinity_syscall(long pid, long size, long mask);
/* prctl(PR_SET_TIMERSLACK, ns). */
long inherit_setslack(unsigned long ns);
long inherit_getslack(void);

#endif
