/* sigwait.h - threads that wait for signals without a handler */
#ifndef GTHREAD_SIGWAIT_H
#define GTHREAD_SIGWAIT_H

#include <signal.h>
#include <stdbool.h>

struct thread;

/* Gives sig to a thread in sigwait for it (only: to that one or none). True: it has it. No lock. */
bool sigwait_give(int sig, const siginfo_t *info, struct thread *only);
void sigwait_reset_child(void);

#endif
