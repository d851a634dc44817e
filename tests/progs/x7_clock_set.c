/* x7_clock_set.c - CLOCK_REALTIME is set while threads wait until a time on it: set forward past
 * their deadlines they wake, set back they go on waiting; deadlines of CLOCK_MONOTONIC stay.
 *
 * A clock of this process's own is set, which the runtime sees and waits in the kernel do not. With
 * GTHREAD_TEST_SET_CLOCK=1, by hand and on a quiet machine, it is the machine's clock, by a quarter
 * of a second and put right again: then also on NPTL, and also while all threads wait.
 */
#include "util.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <sys/syscall.h>

enum { MANY = 10, LONG_MS = 150000 };

/* How far the clock is set; how far ahead the deadlines are that are to be overtaken; those that
 * are to be put off, and how long a look whether they are; how long until all wait. */
static const struct times {
    int step_ms, ahead_ms, back_ms, look_ms, settle_ms;
} own = {20000, 15000, 500, 1500, 100}, machines = {250, 300, 250, 200, 20};
static const struct times *times = &own;
static void (*clock_move)(long ms);

static void set_machine(int64_t ns) {
    struct timespec t = {(time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS)};
    DONE(clock_settime(CLOCK_REALTIME, &t));
}

static void step(bool forward) {
    int ms = forward ? times->step_ms : -times->step_ms;
    if (times == &own)
        clock_move(ms);
    else
        set_machine(now_ns(CLOCK_REALTIME) + ms * MS_NS);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t sem;
static int word, begun, ended, go;
static pthread_t lasts;

static int error_of(int r) { return r < 0 ? errno : r; }

static int cond_waits(clockid_t clock, const struct timespec *at) {
    int error = 0;
    OK(pthread_mutex_lock(&mutex));
    while (!error && !get(&go))
        error = clock < 0 ? pthread_cond_timedwait(&cond, &mutex, at)
                          : pthread_cond_clockwait(&cond, &mutex, clock, at);
    OK(pthread_mutex_unlock(&mutex));
    return error;
}

/* In which way to wait, and what that gives at the deadline. */
static int wait_in_way(int way, const struct timespec *at) {
    switch (way) {
    case 0:
        return cond_waits(-1, at);
    case 1:
        return cond_waits(CLOCK_REALTIME, at);
    case 2:
        return pthread_mutex_timedlock(&held, at);
    case 3:
        return pthread_rwlock_timedrdlock(&rwlock, at);
    case 4:
        return pthread_rwlock_clockwrlock(&rwlock, CLOCK_REALTIME, at);
    case 5:
        return error_of(sem_timedwait(&sem, at));
    case 6:
        return error_of(sem_clockwait(&sem, CLOCK_REALTIME, at));
    case 7:
        return pthread_timedjoin_np(lasts, NULL, at);
    case 8:
        return error_of((int)syscall(SYS_futex, &word,
                                     FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME,
                                     0, at, NULL, FUTEX_BITSET_MATCH_ANY));
    default:
        return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, at, NULL);
    }
}

static void *waits(void *arg) {
    int way = (int)(intptr_t)arg;
    struct timespec at = time_in(CLOCK_REALTIME, times->ahead_ms + way);
    int64_t from = now_ns(CLOCK_MONOTONIC);
    add(&begun, 1);
    int error = wait_in_way(way, &at);
    CHECK(error == (way == MANY - 1 ? 0 : ETIMEDOUT), "way %d: came %s", way, check_name_of(error));
    NOT_EARLY(CLOCK_REALTIME, at);
    int64_t ms = (now_ns(CLOCK_MONOTONIC) - from) / MS_NS;
    CHECK(ms < times->ahead_ms - 100,
          "way %d: expected to wake when the clock is set, came %lld ms", way, (long long)ms);
    return arg;
}

static void start(pthread_t *t, void *(*run)(void *)) {
    set(&begun, 0);
    for (int i = 0; i < MANY; i++)
        t[i] = spawn(run, (void *)(intptr_t)i);
    wait_until(&begun, MANY);
    pause_ms(times->settle_ms); /* mostly they wait by then */
}

static void forward(void) {
    pthread_t t[MANY];
    start(t, waits);
    step(true);
    for (int i = 0; i < 200 && times == &own; i++)
        pause_ms(5); /* sysmon is up: it compares the clocks */
    join_all(t, MANY);
    step(false);
}

/* The clock is set when all threads wait, main for the first of them. */
static void forward_when_idle(void) {
    pthread_t t[MANY];
    start(t, waits);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        pause_ms(50);
        step(true);
        _exit(0);
    }
    join_all(t, MANY);
    child_exits(pid, 0);
    step(false);
}

static void *waits_on(void *arg) {
    int way = (int)(intptr_t)arg;
    struct timespec at = time_in(CLOCK_REALTIME, times->back_ms + way);
    add(&begun, 1);
    int error = wait_in_way(way, &at);
    CHECK(error == (way == MANY - 1 ? 0 : ETIMEDOUT), "way %d: came %s", way, check_name_of(error));
    NOT_EARLY(CLOCK_REALTIME, at);
    add(&ended, 1);
    return arg;
}

static void back(void) {
    pthread_t t[MANY];
    set(&ended, 0);
    /* What has ended before, on a busy machine, has ended rightly. */
    start(t, waits_on);
    step(false);
    pause_ms(times->settle_ms);
    int before = get(&ended);
    pause_ms(times->look_ms);
    WANT(get(&ended), before);
    step(true);
    join_all(t, MANY);
    WANT(get(&ended), MANY);
}

static void *waits_by_monotonic(void *arg) {
    struct timespec at = time_in(CLOCK_MONOTONIC, LONG_MS);
    add(&begun, 1);
    OK(cond_waits(CLOCK_MONOTONIC, &at));
    add(&ended, 1);
    return arg;
}

static void monotonic_stays(void) {
    pthread_t t[MANY];
    set(&ended, 0);
    start(t, waits_by_monotonic);
    step(true);
    pause_ms(300);
    step(false);
    WANT(get(&ended), 0);
    OK(pthread_mutex_lock(&mutex));
    set(&go, 1);
    OK(pthread_cond_broadcast(&cond));
    OK(pthread_mutex_unlock(&mutex));
    join_all(t, MANY);
}

static void *lasts_until_end(void *arg) {
    struct timespec at = time_in(CLOCK_MONOTONIC, LONG_MS);
    cond_waits(CLOCK_MONOTONIC, &at);
    return arg;
}

static void test(void) {
    OK(pthread_mutex_lock(&held));
    OK(pthread_rwlock_wrlock(&rwlock));
    DONE(sem_init(&sem, 0, 0));
    lasts = spawn(lasts_until_end, NULL);
    back();
    forward();
    if (times == &machines)
        forward_when_idle();
    monotonic_stays();
    join(lasts);
}

/* Runs it in a child, and puts the clock right however that ends. */
static void test_on_machine(void) {
    int64_t ahead = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
    int status;
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        test();
        _exit(0);
    }
    DONE(waitpid(pid, &status, 0));
    set_machine(now_ns(CLOCK_MONOTONIC) + ahead);
    WANT(status, 0);
}

static void with_own_clock(char *self) {
    char path[PATH_MAX] = "", preload[2 * PATH_MAX];
    const char *have = getenv("LD_PRELOAD");
    DONE(readlink("/proc/self/exe", path, sizeof path - 1));
    *strrchr(path, '/') = 0;
    snprintf(preload, sizeof preload, "%s %s/lib/clock_moved.so", have ? have : "", path);
    setenv("LD_PRELOAD", preload, 1);
    execl("/proc/self/exe", self, "own", (char *)NULL);
    check_fail("expected to start anew, came errno %d", errno);
}

int main(int argc, char **argv) {
    check_start();
    if (getenv("GTHREAD_TEST_SET_CLOCK")) {
        times = &machines;
        test_on_machine();
        return 0;
    }
    if (!check_expects("lib"))
        check_skip("without the library the machine's clock would have to be set");
    if (argc == 1)
        with_own_clock(argv[0]);
    *(void **)&clock_move = find_symbol(RTLD_DEFAULT, "clock_move");
    test();
    return 0;
}
