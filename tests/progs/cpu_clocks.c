/* cpu_clocks.c - each thread has a CPU clock of its own: CLOCK_THREAD_CPUTIME_ID,
 * pthread_getcpuclockid, getrusage(RUSAGE_THREAD), by function and by number, of itself and of
 * others, running, waiting and with a kernel thread of their own (a nice value); sleeps and timers
 * on such clocks; their errors.
 *
 * The measure is the process's clock, which is the kernel's: n threads that each compute until
 * their own clock says x have used n times x, and not much more.
 */
#include "check.h"

#include <signal.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define OWN CLOCK_THREAD_CPUTIME_ID
#define BURN (60 * MS_NS)
#define BURNERS 4

static void compute(int turns) {
    for (volatile int i = 0; i < turns; i++)
        continue;
}

static void burn(int64_t ns) {
    int64_t until = now_ns(OWN) + ns;
    while (now_ns(OWN) < until)
        compute(5000);
}

static int64_t by_number(clockid_t clock) {
    struct timespec t;
    DONE(syscall(SYS_clock_gettime, clock, &t));
    return to_ns(t);
}

static int64_t usage_ns(void) {
    struct rusage r;
    DONE(getrusage(RUSAGE_THREAD, &r));
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * SECOND_NS +
           (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1000LL;
}

static clockid_t clock_of(pthread_t t) {
    clockid_t clock;
    OK(pthread_getcpuclockid(t, &clock));
    return clock;
}

/* Two readings that follow each other, the later one second. */
static void follows(int64_t a, int64_t b, const char *what) {
    CHECK(b >= a - 1000 && b < a + 20 * MS_NS, "%s: expected little more than %lld ns, came %lld",
          what, (long long)a, (long long)b);
}

static pthread_barrier_t done;
static int go;
static int64_t said[BURNERS];

static void *burner(void *arg) {
    int64_t *mine = arg;
    if ((mine - said) % 2) /* a kernel thread of its own */
        DONE(setpriority(PRIO_PROCESS, 0, 1));
    while (!get(&go))
        pause_ms(1);
    burn(BURN);
    int64_t now = now_ns(OWN);
    follows(now, now_ns(clock_of(pthread_self())), "the own clock's other id");
    follows(now, by_number(OWN), "by number");
    int64_t usage = usage_ns();
    follows(now, usage + 2000, "getrusage"); /* two times in us */
    burn(5 * MS_NS);
    int64_t more = usage_ns() - usage;
    CHECK(more >= 4 * MS_NS, "getrusage: expected 5 ms more, came %lld ns", (long long)more);
    *mine = now_ns(OWN);
    pthread_barrier_wait(&done);
    pthread_barrier_wait(&done);
    return NULL;
}

/* All compute at once; main looks at them meanwhile and when they wait. */
static void burners(void) {
    pthread_t threads[BURNERS];
    int64_t seen[BURNERS] = {0}, all = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    pthread_barrier_init(&done, NULL, BURNERS + 1);
    for (int i = 0; i < BURNERS; i++)
        threads[i] = spawn(burner, &said[i]);
    set(&go, 1);
    for (int rounds = 0; rounds < 100; rounds++) {
        for (int i = 0; i < BURNERS; i++) {
            int64_t now = now_ns(clock_of(threads[i]));
            CHECK(now >= seen[i], "expected a clock to go on, came %lld after %lld", (long long)now,
                  (long long)seen[i]);
            seen[i] = now;
        }
        pause_ms(1);
    }
    pthread_barrier_wait(&done);
    all = now_ns(CLOCK_PROCESS_CPUTIME_ID) - all;
    int64_t sum = 0;
    for (int i = 0; i < BURNERS; i++) {
        int64_t now = now_ns(clock_of(threads[i]));
        sum += now;
        CHECK(now >= BURN, "expected %lld ns, came %lld", BURN, (long long)now);
        follows(said[i], now, "a clock read from outside");
        follows(now, by_number(clock_of(threads[i])), "the same by number");
    }
    CHECK(sum <= all + 20 * MS_NS,
          "expected the clocks' sum not to exceed the process's %lld ns, "
          "came %lld",
          (long long)all, (long long)sum);
    CHECK(all < 2 * sum + 100 * MS_NS,
          "expected the process to use little more than the clocks' "
          "%lld ns, came %lld",
          (long long)sum, (long long)all);
    /* They wait: while we compute their clocks stand still. */
    burn(30 * MS_NS);
    for (int i = 0; i < BURNERS; i++)
        follows(said[i], now_ns(clock_of(threads[i])), "a waiting thread's clock");
    pthread_barrier_wait(&done);
    join_all(threads, BURNERS);
}

/* ---- many short runs ---- */

static sem_t ping, pong;
#define TURNS 2000

static void *idler(void *arg) {
    for (int i = 0; i < TURNS; i++) {
        sem_wait(&ping);
        sem_post(&pong);
    }
    *(int64_t *)arg = now_ns(OWN);
    return NULL;
}

static void short_runs(void) {
    int64_t theirs = 0, ours = now_ns(OWN);
    sem_init(&ping, 0, 0);
    sem_init(&pong, 0, 0);
    pthread_t t = spawn(idler, &theirs);
    for (int i = 0; i < TURNS; i++) {
        compute(20000);
        sem_post(&ping);
        sem_wait(&pong);
    }
    ours = now_ns(OWN) - ours;
    join(t);
    CHECK(theirs > 0 && theirs < ours,
          "expected the thread that only answers to have used less "
          "than %lld ns, came %lld",
          (long long)ours, (long long)theirs);
}

/* ---- sleeps, resolution, errors ---- */

static int stop;
static void *runs(void *arg) {
    while (!get(&stop))
        compute(1000);
    return arg;
}

static void *waits(void *arg) {
    while (!get(&stop))
        pause_ms(1);
    return arg;
}

static void sleeps(void) {
    struct timespec t, ms = {0, 20 * MS_NS};
    set(&stop, 0);
    pthread_t other = spawn(runs, NULL);
    clockid_t clock = clock_of(other);
    int64_t before = now_ns(clock);
    OK(clock_nanosleep(clock, 0, &ms, NULL));
    CHECK(now_ns(clock) - before >= 20 * MS_NS, "expected to sleep for 20 ms of it, came %lld ns",
          (long long)(now_ns(clock) - before));
    t = time_in(clock, 20);
    WANT(syscall(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &t, NULL), 0);
    NOT_EARLY(clock, t);
    ERR(clock_nanosleep(clock, 0, &(struct timespec){0, SECOND_NS}, NULL), EINVAL);
    ERR(clock_nanosleep(OWN, 0, &ms, NULL), EINVAL);
    ERR(clock_nanosleep(clock_of(pthread_self()), 0, &ms, NULL), EINVAL);
    DONE(clock_getres(clock, &t));
    DONE(syscall(SYS_clock_getres, clock, &t));
    WANT(t.tv_sec, 0);
    set(&stop, 1);
    join(other);
    for (int i = 0; i < 2000 && clock_gettime(clock, &t) == 0; i++)
        pause_ms(1); /* on NPTL the kernel forgets it soon after the join */
    FAILS(clock_gettime(clock, &t), EINVAL);
    FAILS(clock_getres(clock, &t), EINVAL);
    FAILS(syscall(SYS_clock_gettime, clock, &t), EINVAL);
    ERR(clock_nanosleep(clock, 0, &ms, NULL), EINVAL);
}

/* ---- timers ---- */

static int caught, in_tid;
static void handler(int sig) {
    (void)sig;
    set(&in_tid, gettid());
    add(&caught, 1);
}

static timer_t timer_on(clockid_t clock, int tid) {
    timer_t timer;
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec in = {.it_value = {0, 30 * MS_NS}};
    ev._sigev_un._tid = tid;
    DONE(timer_create(clock, &ev, &timer));
    DONE(timer_settime(timer, 0, &in, NULL));
    return timer;
}

/* A timer on the own clock, and one on that of a thread which only waits. */
static void *timers(void *arg) {
    set(&stop, 0);
    pthread_t idle = spawn(waits, NULL);
    timer_t never = timer_on(clock_of(idle), gettid());
    int64_t before = now_ns(OWN);
    timer_t timer = timer_on(OWN, gettid());
    while (!get(&caught))
        compute(5000);
    int64_t used = now_ns(OWN) - before;
    CHECK(used >= 29 * MS_NS, "expected the signal after 30 ms, came %lld ns", (long long)used);
    WANT(get(&in_tid), gettid());
    burn(20 * MS_NS);
    WANT(get(&caught), 1);
    DONE(timer_delete(timer));
    DONE(timer_delete(never));
    set(&stop, 1);
    join(idle);
    return arg;
}

int main(void) {
    check_start();
    struct sigaction sa = {.sa_handler = handler};
    DONE(sigaction(SIGUSR1, &sa, NULL));
    burners();
    short_runs();
    sleeps();
    join(spawn(timers, NULL));
    return 0;
}
