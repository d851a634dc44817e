/* signal_timer_thread.c - timers: for one thread (SIGEV_THREAD_ID), for the process, with a
 * function (SIGEV_THREAD) that uses locks and sends signals, alarm and setitimer; the siginfo; a
 * timer whose signal is blocked has one pending, with its overrun, however often it expires */
#include "check.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
enum { THREADS = 6, TICKS = 10 };

static __thread volatile int ticks, wrong;
static __thread void *expected;
static volatile int process_ticks, overruns;
static int called;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t first;

static void on_tick(int sig, siginfo_t *info, void *context) {
    (void)context;
    (void)sig;
    if (info->si_code != SI_TIMER || info->si_value.sival_ptr != expected)
        wrong++;
    ticks++;
}

static void on_process(int sig, siginfo_t *info, void *context) {
    (void)context;
    WANT(sig, SIGRTMIN + 1);
    WANT(info->si_code, SI_TIMER);
    WANT(info->si_value.sival_int, 4711);
    CHECK(pthread_equal(pthread_self(), first), "expected the only thread that lets it through");
    overruns += info->si_overrun;
    process_ticks++;
}

static struct itimerspec every_ms(int ms) {
    struct itimerspec at = {{0, ms * 1000000L}, {0, ms * 1000000L}};
    return at;
}

static void *with_timer(void *arg) {
    timer_t timer;
    expected = arg;
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    ev.sigev_value.sival_ptr = arg;
    ev.sigev_notify_thread_id = gettid();
    struct itimerspec at = every_ms(3);
    for (int i = 0; i < 2; i++) {
        ticks = 0;
        DONE(timer_create(CLOCK_MONOTONIC, &ev, &timer));
        DONE(timer_settime(timer, 0, &at, NULL));
        while (ticks < TICKS)
            pause_ms(1);
        DONE(timer_delete(timer));
        int n = ticks;
        pause_ms(10);
        CHECK(ticks <= n + 1, "expected no ticks after timer_delete");
    }
    WANT(wrong, 0);
    return arg;
}

static void function(union sigval v) {
    OK(pthread_mutex_lock(&mutex));
    called += v.sival_int;
    OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_kill(first, SIGUSR1));
}

static volatile int from_function;
static void on_usr1(int sig, siginfo_t *info, void *context) {
    (void)context;
    WANT(info->si_code, SI_TKILL);
    from_function += sig == SIGUSR1;
}

static void functions(void) {
    timer_t timer;
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD};
    ev.sigev_notify_function = function;
    ev.sigev_value.sival_int = 2;
    struct itimerspec at = every_ms(2);
    DONE(timer_create(CLOCK_MONOTONIC, &ev, &timer));
    DONE(timer_settime(timer, 0, &at, NULL));
    OK(pthread_mutex_lock(&mutex));
    while (called < 2 * TICKS)
        OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    DONE(timer_delete(timer));
    pause_ms(10);
    CHECK(from_function > 0, "expected signals from the function");
}

static void blocked_overruns(void) {
    timer_t timer;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN + 1);
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    ev.sigev_value.sival_int = 4711;
    struct itimerspec at = every_ms(1), off = {{0, 0}, {0, 0}};
    DONE(timer_create(CLOCK_MONOTONIC, &ev, &timer));
    DONE(timer_settime(timer, 0, &at, NULL));
    while (process_ticks < TICKS)
        pause_ms(1);
    OK(pthread_sigmask(SIG_BLOCK, &s, NULL)); /* the others block it too */
    pause_ms(60);
    process_ticks = overruns = 0;
    DONE(timer_settime(timer, 0, &off, NULL));
    OK(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
    pause_ms(5);
    CHECK(process_ticks <= 2, "expected one signal, came %d", process_ticks);
    DONE(timer_delete(timer));
}

static volatile int alarms;
static void on_alarm(int sig) { alarms += sig == SIGVTALRM || sig == SIGPROF; }

static void cpu_timers(void) {
    struct itimerval at = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
    DONE(sigaction(SIGPROF, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART},
                   NULL));
    DONE(setitimer(ITIMER_PROF, &at, NULL));
    while (alarms < 3)
        sched_yield();
    DONE(setitimer(ITIMER_PROF, &off, NULL));
}

int main(void) {
    check_start();
    first = pthread_self();
    struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_RESTART};
    sa.sa_sigaction = on_tick;
    DONE(sigaction(SIGRTMIN, &sa, NULL));
    sa.sa_sigaction = on_process;
    DONE(sigaction(SIGRTMIN + 1, &sa, NULL));
    sa.sa_sigaction = on_usr1;
    DONE(sigaction(SIGUSR1, &sa, NULL));
    sigset_t s, old;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN + 1);
    OK(pthread_sigmask(SIG_BLOCK, &s, &old));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(with_timer, &threads[i]);
    OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
    with_timer(&first);
    blocked_overruns();
    join_all(threads, THREADS);
    functions();
    cpu_timers();
    FAILS(timer_create(CLOCK_MONOTONIC,
                       &(struct sigevent){.sigev_notify = SIGEV_THREAD_ID,
                                          .sigev_signo = SIGRTMIN,
                                          .sigev_notify_thread_id = 0x3ffffff},
                       &(timer_t){0}),
          EINVAL);
    return 0;
}
