/* mutex.h - between the files about mutexes */
#ifndef GTHREAD_MUTEX_H
#define GTHREAD_MUTEX_H

#include "shim/shim.h"

/* __kind, see nptl/pthreadP.h. Elision bits do not concern us. */
#define KIND_TYPE 3
#define KIND_ROBUST 16
#define KIND_PI 32
#define KIND_PP 64
#define KIND_SHARED 128
#define KIND_ANY (KIND_TYPE | KIND_ROBUST | KIND_PI | KIND_PP | KIND_SHARED)

typedef struct __pthread_mutex_s mutex;

static inline int kind_of(const mutex *m) { return __atomic_load_n(&m->__kind, __ATOMIC_RELAXED); }

/* ---- robust.c ---- */

/* Is the mutex a robust one that the caller's kind of thread locks by robust_lock? */
bool robust_is_ours(const pthread_mutex_t *mp);
/* As pthread_mutex_clocklock (clock < 0: without a limit) and pthread_mutex_unlock. */
int robust_lock(pthread_mutex_t *mp, clockid_t clock, const struct timespec *abs);
int robust_trylock(pthread_mutex_t *mp);
int robust_unlock(pthread_mutex_t *mp);
/* Does the caller own it? */
bool robust_is_mine(const pthread_mutex_t *mp);
/* Around libc's wait for a process-shared condition, whose caller owns the mutex: it is libc's for
 * the time; afterwards, if the caller owns it again, ours. */
void robust_lend(pthread_mutex_t *mp);
void robust_take_back(pthread_mutex_t *mp);

/* ---- kernel_owner.c ---- */

/* Around each of libc's calls on a mutex that mutex_in_kernel; nothing for most of them. False: the
 * caller cannot get a kernel thread of its own. */
bool kernel_owner_begin(const pthread_mutex_t *mp);
void kernel_owner_end(void);
/* EPERM if the caller does not own it. It can be unlocked in a section afterwards. */
int kernel_owner_check(const pthread_mutex_t *mp);

#endif
