/* check.h - what every test program shares: checks, clocks, the seed, the watchdog
 *
 * A program calls check_start() first, then says what it wants with the macros below. The first
 * thing that is not so ends the process with one line on stderr and status 1, from any thread.
 * Good in C and C++: words shared between threads are plain ints under __atomic builtins.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK_STRING_(x) #x
#define CHECK_STRING(x) CHECK_STRING_(x)
#define CHECK_HERE "line " CHECK_STRING(__LINE__) ": "

/* cond must hold; else the message, which says what was expected and what came. */
#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond))                                                                               \
            check_fail(CHECK_HERE __VA_ARGS__);                                                    \
    } while (0)

/* call gives this error number, as pthread functions return it (OK: none). */
#define ERR(call, error) check_error(call, error, CHECK_HERE #call)
#define OK(call) ERR(call, 0)

/* call gives -1 and leaves this errno, as system calls do (DONE: it does not give -1). */
#define FAILS(call, error) check_fails(call, error, CHECK_HERE #call)
#define DONE(call) check_done(call, CHECK_HERE #call)

/* expr has this whole-number value. */
#define WANT(expr, value) check_value((long)(expr), (long)(value), CHECK_HERE #expr)

#define MS_NS 1000000LL
#define SECOND_NS 1000000000LL

static uint64_t check_seed; /* GTHREAD_TEST_SEED, else drawn from the clock */

__attribute__((noreturn, format(printf, 1, 2))) static inline void check_fail(const char *format,
                                                                              ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* One write, so that the lines of two failing threads do not mix. */
    dprintf(2, "%s: %s [GTHREAD_TEST_SEED=%llu]\n", program_invocation_short_name, text,
            (unsigned long long)check_seed);
    _exit(1);
}

/* Nothing can be tested here, for the reason given: the harness counts the test as skipped. */
__attribute__((noreturn)) static inline void check_skip(const char *reason) {
    printf("%s: skipped: %s\n", program_invocation_short_name, reason);
    fflush(stdout);
    _exit(77);
}

static inline const char *check_name_of(int error) {
    const char *name = error ? strerrorname_np(error) : "success";
    return name ? name : "no error number";
}

static inline void check_error(int got, int error, const char *what) {
    if (got != error)
        check_fail("%s: expected %d (%s), came %d (%s)", what, error, check_name_of(error), got,
                   check_name_of(got));
}

static inline void check_fails(long got, int error, const char *what) {
    int e = errno;
    if (got != -1)
        check_fail("%s: expected -1 with %s, came %ld", what, check_name_of(error), got);
    if (e != error)
        check_fail("%s: expected errno %d (%s), came %d (%s)", what, error, check_name_of(error), e,
                   check_name_of(e));
}

static inline long check_done(long got, const char *what) {
    int e = errno;
    if (got == -1)
        check_fail("%s: expected success, came errno %d (%s)", what, e, check_name_of(e));
    return got;
}

static inline void check_value(long got, long want, const char *what) {
    if (got != want)
        check_fail("%s: expected %ld, came %ld", what, want, got);
}

static inline bool check_expects(const char *which) {
    const char *expect = getenv("GTHREAD_TEST_EXPECT");
    return expect && strcmp(expect, which) == 0;
}

/* From glibc 2.41 on pthread_cancel always sends a signal, and only a blocking call that this ends
 * or that has not begun is cancelled by it. */
static inline bool check_cancel_signals(void) {
    int major = 0, minor = 0;
    sscanf(gnu_get_libc_version(), "%d.%d", &major, &minor);
    return major > 2 || minor >= 41;
}

/* A wrong LD_PRELOAD path only makes ld.so warn: look whether the library is really mapped. */
static inline bool check_library_mapped(void) {
    char line[4400];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps, "/proc/self/maps: expected to open, came errno %d", errno);
    while (!found && fgets(line, sizeof line, maps))
        found = strstr(line, "/libgthread.so") != NULL;
    fclose(maps);
    return found;
}

/* First call of main: the watchdog, the seed, and whether the library is mapped as it should be. */
static inline void check_start(void) {
    const char *seconds = getenv("GTHREAD_TEST_WATCHDOG"), *seed = getenv("GTHREAD_TEST_SEED");
    alarm(seconds ? (unsigned)atoi(seconds) : 60); /* unhandled SIGALRM: a hang ends here */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    check_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)(now.tv_sec * SECOND_NS + now.tv_nsec);
    if (check_expects("lib"))
        CHECK(check_library_mapped(), "expected libgthread.so to be mapped, it is not");
    if (check_expects("nptl"))
        CHECK(!check_library_mapped(), "expected libgthread.so not to be mapped, it is");
}

static inline int kernel_thread_count(void) {
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks, "/proc/self/task: errno %d", errno);
    for (struct dirent *entry; (entry = readdir(tasks));)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

/* A random generator for each thread: start it with check_seed plus the thread's own number. */
static inline uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL); /* splitmix64: any seed is a good one */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline int64_t to_ns(struct timespec t) { return t.tv_sec * SECOND_NS + t.tv_nsec; }

static inline int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return to_ns(t);
}

/* The point ms from now (before now, if negative) on that clock. */
static inline struct timespec time_in(clockid_t clock, int64_t ms) {
    int64_t at = now_ns(clock) + ms * MS_NS;
    struct timespec t = {(time_t)(at / SECOND_NS), (long)(at % SECOND_NS)};
    return t;
}

#define NOT_EARLY(clock, deadline) check_not_early(clock, deadline, CHECK_HERE)
static inline void check_not_early(clockid_t clock, struct timespec deadline, const char *where) {
    int64_t early = to_ns(deadline) - now_ns(clock);
    if (early > 0)
        check_fail("%sexpected to wake at the deadline or later, came %lld ns too early", where,
                   (long long)early);
}

/* Not a test of sleeping: it lets others get on while we look again and again. */
static inline void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static inline int get(const int *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

static inline void set(int *word, int value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }

/* Adds and returns the new value. */
static inline int add(int *word, int n) { return __atomic_add_fetch(word, n, __ATOMIC_SEQ_CST); }

/* Wait until the word is at least value, by looking: depends on no primitive under test. */
static inline void wait_until(const int *word, int value) {
    for (int tries = 0; get(word) < value; tries++)
        if (tries < 50)
            sched_yield();
        else
            pause_ms(1);
}

static inline pthread_t spawn(void *(*run)(void *), void *arg) {
    pthread_t thread;
    OK(pthread_create(&thread, NULL, run, arg));
    return thread;
}

static inline pthread_t spawn_with(const pthread_attr_t *attr, void *(*run)(void *), void *arg) {
    pthread_t thread;
    OK(pthread_create(&thread, attr, run, arg));
    return thread;
}

static inline void *join(pthread_t thread) {
    void *result;
    OK(pthread_join(thread, &result));
    return result;
}

static inline void *as_pointer(intptr_t number) { return (void *)number; }

/* n threads, each given its number 0..n-1 as its argument. */
static inline void spawn_all(pthread_t *threads, int n, void *(*run)(void *)) {
    for (int i = 0; i < n; i++)
        threads[i] = spawn(run, as_pointer(i));
}

static inline void join_all(pthread_t *threads, int n) {
    for (int i = 0; i < n; i++)
        join(threads[i]);
}

/* The commonest shape: n threads from start to end. n is small enough for an array here. */
static inline void run_all(int n, void *(*run)(void *)) {
    pthread_t threads[n];
    spawn_all(threads, n, run);
    join_all(threads, n);
}

#endif
