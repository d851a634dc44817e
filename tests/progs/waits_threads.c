/* waits_threads.c - the calls that wait for time, for signals and for other threads, by name and by
 * number: see waits.h needs: time */
#include "waits.h"

#include <semaphore.h>
#include <sys/syscall.h>
#include <threads.h>

static struct timespec soon = {0, TIMED_MS *MS_NS}, long_time = {1000 * LONG_S, 0};
static struct timespec in_time(clockid_t clock) { return time_in(clock, TIMED_MS); }
#define AT(clock) (&(struct timespec[]){in_time(clock)}[0])

/* ---- sleeps ---- */

CALL(c_nanosleep, nanosleep(&long_time, NULL))
CALL(t_nanosleep, nanosleep(&soon, NULL))
CALL(c_monotonic, -clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL))
CALL(t_monotonic, -clock_nanosleep(CLOCK_MONOTONIC, 0, &soon, NULL))
CALL(t_absolute, -clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, AT(CLOCK_REALTIME), NULL))
CALL(c_boottime, -clock_nanosleep(CLOCK_BOOTTIME, 0, &long_time, NULL))
CALL(t_boottime, -clock_nanosleep(CLOCK_BOOTTIME, 0, &soon, NULL))
CALL(c_sleep, sleep(1000 * LONG_S) ? -EINTR : 0)
CALL(c_usleep, usleep(1000000u * LONG_S))
CALL(t_usleep, usleep(TIMED_MS * 1000))
CALL(c_thrd_sleep, thrd_sleep(&long_time, NULL) == -1 ? -EINTR : 0)
CALL(t_thrd_sleep, thrd_sleep(&soon, NULL))
CALL(n_nanosleep, syscall(SYS_nanosleep, &long_time, NULL))
CALL(nt_nanosleep, syscall(SYS_nanosleep, &soon, NULL))
CALL(n_clock, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &long_time, NULL))
CALL(nt_clock, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &soon, NULL))
CALL(nt_absolute,
     syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, AT(CLOCK_REALTIME), NULL))
CALL(n_boottime, syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &long_time, NULL))

/* ---- signals ---- */

static sigset_t usr2, none;
DO(handle, waits_handle(0))
DO(send_usr2, OK(pthread_kill(waits_thread, SIGUSR2)))
/* A handler that runs before the call is entered does not end it. */
static void send_usr1(void) {
    while (!get(&waits_outside)) {
        OK(pthread_kill(waits_thread, SIGUSR1));
        pause_ms(1);
    }
}
/* What was sent to a thread that has ended otherwise is gone with it. */
static int got;
CALL(c_sigwait, sigwait(&usr2, &got) ? -1 : got)
CALL(c_sigwaitinfo, sigwaitinfo(&usr2, NULL))
CALL(c_sigtimedwait, sigtimedwait(&usr2, NULL, &long_time))
CALL(t_sigtimedwait, sigtimedwait(&usr2, NULL, &soon))
CALL(c_sigsuspend, sigsuspend(&none))
CALL(c_pause, pause())
CALL(n_sigtimedwait, syscall(SYS_rt_sigtimedwait, &usr2, NULL, NULL, 8))
CALL(nt_sigtimedwait, syscall(SYS_rt_sigtimedwait, &usr2, NULL, &soon, 8))
CALL(n_sigsuspend, syscall(SYS_rt_sigsuspend, &none, 8))
CALL(n_pause, syscall(SYS_pause))

/* ---- other threads ---- */

static pthread_mutex_t mutex;
static pthread_cond_t cond;
static pthread_rwlock_t rwlock;
static pthread_barrier_t barrier;
static mtx_t mtx;
static cnd_t cnd;
static int flag;

DO(mutex_make, OK(pthread_mutex_init(&mutex, NULL)); OK(pthread_mutex_lock(&mutex)))
DO(mutex_give, OK(pthread_mutex_unlock(&mutex)))
/* Taken: given back, 0. */
static long taken(int err) { return err ? -err : -pthread_mutex_unlock(&mutex); }
CALL(c_lock, taken(pthread_mutex_lock(&mutex)))
CALL(t_lock, taken(pthread_mutex_timedlock(&mutex, AT(CLOCK_REALTIME))))
CALL(t_clocklock, taken(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, AT(CLOCK_MONOTONIC))))

static void cond_make(void) {
    OK(pthread_mutex_init(&mutex, NULL));
    OK(pthread_cond_init(&cond, NULL));
    flag = 0;
}
static void cond_give(void) {
    OK(pthread_mutex_lock(&mutex));
    flag = 1;
    OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
}
#define COND_LOOP(wait)                                                                            \
    int err = 0;                                                                                   \
    OK(pthread_mutex_lock(&mutex));                                                                \
    while (!flag && !err)                                                                          \
        err = wait;                                                                                \
    OK(pthread_mutex_unlock(&mutex));                                                              \
    return -err
static long c_cond(void) { COND_LOOP(pthread_cond_wait(&cond, &mutex)); }
static long t_cond(void) { COND_LOOP(pthread_cond_timedwait(&cond, &mutex, AT(CLOCK_REALTIME))); }
static long t_cond_clock(void) {
    COND_LOOP(pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, AT(CLOCK_MONOTONIC)));
}

DO(write_lock, OK(pthread_rwlock_init(&rwlock, NULL)); OK(pthread_rwlock_wrlock(&rwlock)))
DO(read_lock, OK(pthread_rwlock_init(&rwlock, NULL)); OK(pthread_rwlock_rdlock(&rwlock)))
DO(rwlock_give, OK(pthread_rwlock_unlock(&rwlock)))
static long rw_taken(int err) { return err ? -err : -pthread_rwlock_unlock(&rwlock); }
CALL(c_rdlock, rw_taken(pthread_rwlock_rdlock(&rwlock)))
CALL(t_rdlock, rw_taken(pthread_rwlock_timedrdlock(&rwlock, AT(CLOCK_REALTIME))))
CALL(t_clockrdlock,
     rw_taken(pthread_rwlock_clockrdlock(&rwlock, CLOCK_MONOTONIC, AT(CLOCK_MONOTONIC))))
CALL(c_wrlock, rw_taken(pthread_rwlock_wrlock(&rwlock)))
CALL(t_wrlock, rw_taken(pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, AT(CLOCK_MONOTONIC))))

DO(barrier_make, OK(pthread_barrier_init(&barrier, NULL, 2)))
static long passed(int r) { return r == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : -r; }
DO(barrier_give, WANT(passed(pthread_barrier_wait(&barrier)), 0))
CALL(c_barrier, passed(pthread_barrier_wait(&barrier)))

/* A thread that ends when it is told to. */
static pthread_t target;
static sem_t tell;
static int joined;
static void *until_told(void *arg) {
    while (sem_wait(&tell))
        continue;
    return arg;
}
static void target_make(void) {
    DONE(sem_init(&tell, 0, 0));
    joined = 0;
    target = spawn(until_told, NULL);
}
DO(target_end, DONE(sem_post(&tell)))
static void target_clear(void) {
    if (!joined) {
        target_end();
        join(target);
    }
}
static long ended(int err) {
    joined = !err;
    return -err;
}
CALL(c_join, ended(pthread_join(target, NULL)))
CALL(t_join, ended(pthread_timedjoin_np(target, NULL, AT(CLOCK_REALTIME))))
CALL(t_clockjoin, ended(pthread_clockjoin_np(target, NULL, CLOCK_MONOTONIC, AT(CLOCK_MONOTONIC))))

/* <threads.h> */
DO(mtx_make, WANT(mtx_init(&mtx, mtx_timed), thrd_success); WANT(mtx_lock(&mtx), thrd_success))
DO(mtx_give, WANT(mtx_unlock(&mtx), thrd_success))
static long mtx_taken(int r) {
    return r == thrd_timedout ? -ETIMEDOUT : r == thrd_success ? mtx_unlock(&mtx) : -1;
}
CALL(c_mtx, mtx_taken(mtx_lock(&mtx)))
CALL(t_mtx, mtx_taken(mtx_timedlock(&mtx, AT(CLOCK_REALTIME))))
static void cnd_make(void) {
    WANT(mtx_init(&mtx, mtx_plain), thrd_success);
    WANT(cnd_init(&cnd), thrd_success);
    flag = 0;
}
static void cnd_give(void) {
    mtx_lock(&mtx);
    flag = 1;
    cnd_signal(&cnd);
    mtx_unlock(&mtx);
}
static long cnd_loop(bool timed) {
    int r = thrd_success;
    struct timespec at = in_time(CLOCK_REALTIME);
    mtx_lock(&mtx);
    while (!flag && r == thrd_success)
        r = timed ? cnd_timedwait(&cnd, &mtx, &at) : cnd_wait(&cnd, &mtx);
    mtx_unlock(&mtx);
    return r == thrd_timedout ? -ETIMEDOUT : r == thrd_success ? 0 : -1;
}
CALL(c_cnd, cnd_loop(false))
CALL(t_cnd, cnd_loop(true))

static const struct row rows[] = {
    {"nanosleep", NULL, NULL, c_nanosleep, NULL, 0, ENDS, true, t_nanosleep, 0, NULL, 0},
    {"clock_nanosleep", NULL, NULL, c_monotonic, NULL, 0, ENDS, true, t_monotonic, 0, NULL, 0},
    {"clock_nanosleep, absolute", NULL, NULL, c_monotonic, NULL, 0, NO_TRIAL, false, t_absolute, 0,
     NULL, 0},
    {"clock_nanosleep, CLOCK_BOOTTIME", NULL, NULL, c_boottime, NULL, 0, ENDS, true, t_boottime, 0,
     NULL, 0},
    {"sleep", NULL, NULL, c_sleep, NULL, 0, ENDS, true, NULL, 0, NULL, 0},
    {"usleep", NULL, NULL, c_usleep, NULL, 0, ENDS, true, t_usleep, 0, NULL, 0},
    {"thrd_sleep", NULL, NULL, c_thrd_sleep, NULL, 0, ENDS, false, t_thrd_sleep, 0, NULL, 0},
    {"SYS_nanosleep", NULL, NULL, n_nanosleep, NULL, 0, ENDS, false, nt_nanosleep, 0, NULL, 0},
    {"SYS_clock_nanosleep", NULL, NULL, n_clock, NULL, 0, ENDS, false, nt_clock, 0, NULL, 0},
    {"SYS_clock_nanosleep, absolute", NULL, NULL, n_clock, NULL, 0, NO_TRIAL, false, nt_absolute, 0,
     NULL, 0},
    {"SYS_clock_nanosleep, CLOCK_BOOTTIME", NULL, NULL, n_boottime, NULL, 0, ENDS, false, NULL, 0,
     NULL, 0},

    {"sigwait", NULL, NULL, c_sigwait, send_usr2, SIGUSR2, UNMOVED, true, NULL, 0, NULL, 0},
    {"sigwaitinfo", NULL, NULL, c_sigwaitinfo, send_usr2, SIGUSR2, ENDS, true, NULL, 0, NULL, 0},
    {"sigtimedwait", NULL, NULL, c_sigtimedwait, send_usr2, SIGUSR2, ENDS, true, t_sigtimedwait,
     -EAGAIN, NULL, 0},
    {"sigsuspend", handle, NULL, c_sigsuspend, send_usr1, -EINTR, ENDS, true, NULL, 0, NULL, 0},
    {"pause", handle, NULL, c_pause, send_usr1, -EINTR, ENDS, true, NULL, 0, NULL, 0},
    {"SYS_rt_sigtimedwait", NULL, NULL, n_sigtimedwait, send_usr2, SIGUSR2, ENDS, false,
     nt_sigtimedwait, -EAGAIN, NULL, 0},
    {"SYS_rt_sigsuspend", handle, NULL, n_sigsuspend, send_usr1, -EINTR, ENDS, false, NULL, 0, NULL,
     0},
    {"SYS_pause", handle, NULL, n_pause, send_usr1, -EINTR, ENDS, false, NULL, 0, NULL, 0},

    {"pthread_mutex_lock", mutex_make, NULL, c_lock, mutex_give, 0, UNMOVED, false, t_lock,
     -ETIMEDOUT, NULL, 0},
    {"pthread_mutex_clocklock", mutex_make, NULL, c_lock, NULL, 0, NO_TRIAL, false, t_clocklock,
     -ETIMEDOUT, NULL, 0},
    {"pthread_cond_wait", cond_make, NULL, c_cond, cond_give, 0, UNMOVED, true, t_cond, -ETIMEDOUT,
     NULL, 0},
    {"pthread_cond_clockwait", cond_make, NULL, c_cond, NULL, 0, NO_TRIAL, false, t_cond_clock,
     -ETIMEDOUT, NULL, 0},
    {"pthread_rwlock_rdlock", write_lock, NULL, c_rdlock, rwlock_give, 0, UNMOVED, false, t_rdlock,
     -ETIMEDOUT, NULL, 0},
    {"pthread_rwlock_clockrdlock", write_lock, NULL, c_rdlock, NULL, 0, NO_TRIAL, false,
     t_clockrdlock, -ETIMEDOUT, NULL, 0},
    {"pthread_rwlock_wrlock", read_lock, NULL, c_wrlock, rwlock_give, 0, UNMOVED, false, t_wrlock,
     -ETIMEDOUT, NULL, 0},
    {"pthread_barrier_wait", barrier_make, NULL, c_barrier, barrier_give, 0, UNMOVED, false, NULL,
     0, NULL, 0},
    {"pthread_join", target_make, target_clear, c_join, target_end, 0, UNMOVED, true, t_join,
     -ETIMEDOUT, NULL, 0},
    {"pthread_clockjoin_np", target_make, target_clear, c_join, NULL, 0, NO_TRIAL, false,
     t_clockjoin, -ETIMEDOUT, NULL, 0},
    {"mtx_lock", mtx_make, NULL, c_mtx, mtx_give, 0, UNMOVED, false, t_mtx, -ETIMEDOUT, NULL, 0},
    {"cnd_wait", cnd_make, NULL, c_cnd, cnd_give, 0, UNMOVED, true, t_cnd, -ETIMEDOUT, NULL, 0},
};

int main(void) {
    check_start();
    sigemptyset(&none);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    OK(pthread_sigmask(SIG_BLOCK, &usr2, NULL));
    waits_rows(rows, sizeof rows / sizeof *rows);
    return 0;
}
