/* futex.h - futex(2) on the parking lot, for syscall() by number */
#ifndef GTHREAD_FUTEX_H
#define GTHREAD_FUTEX_H

/* Arguments as the kernel's; the result or -errno. Any thread. */
long futex_call(long uaddr, long op, long val, long timeout, long uaddr2, long val3);

#endif
