/* held.h - for tests of libc's locks that a thread holds while it waits: the ways to wait, and the
 * thread that ends the wait, which never wants a lock of libc's */
#ifndef HELD_H
#define HELD_H

#include "check.h"

#include <semaphore.h>

enum held_way {
    HELD_SLEEP,
    HELD_MUTEX,
    HELD_SEM,
    HELD_COND,
    HELD_PIPE,
    HELD_JOIN,
    HELD_YIELD,
    HELD_WAYS
};
#define HELD_END HELD_WAYS
#define HELD_MS 2 /* for the others to come and want the lock; if they do not, less is tested */

static pthread_mutex_t held_gate = PTHREAD_MUTEX_INITIALIZER, held_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t held_cond = PTHREAD_COND_INITIALIZER;
static sem_t held_locked, held_posted;
static int held_tickets, held_ask[2], held_answer[2];
static pthread_t held_keeper;

static void *held_keep(void *arg) {
    for (;;) {
        unsigned char way;
        WANT(read(held_ask[0], &way, 1), 1);
        if (way == HELD_END)
            return arg;
        OK(pthread_mutex_lock(&held_gate));
        if (way == HELD_MUTEX)
            sem_post(&held_locked);
        pause_ms(HELD_MS);
        OK(pthread_mutex_unlock(&held_gate));
        if (way == HELD_SEM) {
            sem_post(&held_posted);
        } else if (way == HELD_PIPE) {
            WANT(write(held_answer[1], "x", 1), 1);
        } else if (way == HELD_COND) {
            OK(pthread_mutex_lock(&held_lock));
            held_tickets++;
            OK(pthread_cond_signal(&held_cond));
            OK(pthread_mutex_unlock(&held_lock));
        }
    }
}

static void held_ask_for(unsigned char way) { WANT(write(held_ask[1], &way, 1), 1); }

static inline void held_start(void) {
    sem_init(&held_locked, 0, 0);
    sem_init(&held_posted, 0, 0);
    DONE(pipe(held_ask));
    DONE(pipe(held_answer));
    held_keeper = spawn(held_keep, NULL);
}

static inline void held_end(void) {
    held_ask_for(HELD_END);
    join(held_keeper);
}

static void *held_thread(void *arg) {
    sched_yield();
    return arg;
}

/* Wait for something that only another thread, or time, brings. */
static inline void held_wait(enum held_way way) {
    char c;
    if (way != HELD_SLEEP && way != HELD_JOIN && way != HELD_YIELD)
        held_ask_for((unsigned char)way);
    switch (way) {
    case HELD_SLEEP:
        pause_ms(HELD_MS);
        break;
    case HELD_MUTEX:
        WANT(sem_wait(&held_locked), 0);
        OK(pthread_mutex_lock(&held_gate));
        OK(pthread_mutex_unlock(&held_gate));
        break;
    case HELD_SEM:
        WANT(sem_wait(&held_posted), 0);
        break;
    case HELD_COND:
        OK(pthread_mutex_lock(&held_lock));
        while (!held_tickets)
            OK(pthread_cond_wait(&held_cond, &held_lock));
        held_tickets--;
        OK(pthread_mutex_unlock(&held_lock));
        break;
    case HELD_PIPE:
        WANT(read(held_answer[0], &c, 1), 1);
        break;
    case HELD_JOIN:
        WANT((long)join(spawn(held_thread, as_pointer(7))), 7);
        break;
    default:
        sched_yield();
    }
}

/* Who waits for a lock of libc's may need a kernel thread while it waits, but not for good: with so
 * many that ever wait at once there are never more than this, 8 Ps' and the runtime's own included.
 */
static inline void held_kernel_threads(int waiters) {
    int n = check_expects("lib") ? kernel_thread_count() : 0, most = waiters + 24;
    CHECK(n <= most, "expected at most %d kernel threads, came %d", most, n);
}

#endif
