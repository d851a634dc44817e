/* numbers.h - system calls that Debian 12's headers do not have: the same on all architectures */
#ifndef GTHREAD_NUMBERS_H
#define GTHREAD_NUMBERS_H

#include <sys/syscall.h>

#ifndef SYS_futex_wake /* these three: Linux 6.7 */
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif
#ifndef SYS_lsm_set_self_attr /* Linux 6.8 */
#define SYS_lsm_set_self_attr 460
#endif

#endif
