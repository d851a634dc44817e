/* lock.h - the runtime's own lock, and futex sleeping
 *
 * A runtime lock guards a few dozen instructions. It is never held over a context switch or a
 * blocking system call, and no program code runs under it. While a thread holds one, its
 * g->locks is not zero: signal delivery and preemption are deferred by that.
 *
 * State table of lock.word:
 *   0  free
 *   1  held, nobody sleeps
 *   2  held, somebody may sleep in the kernel (Drepper, "Futexes Are Tricky", mutex 2)
 */
#ifndef GTHREAD_LOCK_H
#define GTHREAD_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t word;
};

/* Take, try and drop. Any thread, any stack; not from a signal handler that may have interrupted
 * a holder (see docs/HACKING.md, contexts). */
void lock_acquire(struct lock *l);
bool lock_try(struct lock *l);
void lock_release(struct lock *l);

#define FUTEX_FOREVER UINT64_MAX

/* Sleeps on *word while it is `val`, at most until `deadline` (CLOCK_MONOTONIC, ns, or
 * FUTEX_FOREVER). Returns 0 if woken or the value differed, -ETIMEDOUT, or -EINTR. Blocks the
 * kernel thread: only for Ms, sysmon and threads without a G. */
int futex_sleep(_Atomic uint32_t *word, uint32_t val, uint64_t deadline);
void futex_wake(_Atomic uint32_t *word, int n);

#endif
