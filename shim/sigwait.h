/* sigwait.h - threads that wait for signals without a handler */
#ifndef GTHREAD_SIGWAIT_H
#define GTHREAD_SIGWAIT_H

#include <signal.h>
#include <stdint.h>

struct thread;

/* Gives the signal to one that waits for it (only: to this one), off the list. sig_lock. 0: there
 * is none. Else what lot_wake_first is to be called with after the lock: the waiter may be gone by
 * then. */
uintptr_t sigwait_give_locked(int sig, const siginfo_t *info, struct thread *only);
void sigwait_reset_child(void);

#endif
