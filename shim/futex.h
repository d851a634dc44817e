/* futex.h - futex(2), and Linux 6.7's calls, on the parking lot, for syscall() by number */
#ifndef GTHREAD_FUTEX_H
#define GTHREAD_FUTEX_H

#include <stdbool.h>

/* Arguments as the kernel's; the result or -errno. Any thread. */
long futex_call(long uaddr, long op, long val, long timeout, long uaddr2, long val3);
/* May the word be shared with other processes, op says so too: the kernel serves it. */
bool futex_is_shared(long op, long uaddr);
/* futex_wait, futex_wake and futex_requeue, the same way. False: nr is none of them. */
bool futex2_call(long nr, long a, long b, long c, long d, long e, long f, long *r);

#endif
