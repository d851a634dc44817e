/* cpuclock.h - CPU clocks of goroutines (cpuclock.c) */
#ifndef GTHREAD_CPUCLOCK_H
#define GTHREAD_CPUCLOCK_H

#include "shim/shim.h"

/* The id of the clock of the thread with that gettid(2). */
clockid_t cpuclock_of(int32_t tid);
/* Whose clock is it? NULL: the kernel's business (another clock, no goroutine's, or an ended
 * one's). */
struct thread *cpuclock_thread(clockid_t clock);
/* clock_nanosleep on a clock of cpuclock_thread's; as sleep_for. */
int cpuclock_sleep(clockid_t clock, int flags, const struct timespec *req, struct timespec *rem,
                   bool cancels);
/* The clock on which a timer is to be made, in the kernel's terms. False, with errno. */
bool cpuclock_for_timer(clockid_t *clock);

#endif
