/* waits.h - calls that can wait, each a row of a table, each taken through the same trials
 *
 * With one P, whoever kept it while he waits would leave nobody to end his wait: the last line on
 * stderr names the call, and the trial that it did not come back from. Trials: ended by what it
 * waits for; by its time-out; interrupted by a handler, without and with SA_RESTART; ended from
 * outside (the other end closes, the object goes); cancelled.
 */
#ifndef WAITS_H
#define WAITS_H

#include "check.h"

#include <signal.h>

enum on_signal {
    UNMOVED,  /* a handler runs, the call goes on */
    RESTARTS, /* the same with SA_RESTART, else EINTR */
    ENDS,     /* EINTR, always */
    NO_TRIAL,
};

/* Results are the call's, or -errno. make and clear stand around each trial. */
struct row {
    const char *name;
    void (*make)(void);
    void (*clear)(void);
    long (*call)(void);
    void (*end)(void); /* gives it what it waits for; NULL: nothing does */
    long want;
    enum on_signal on_signal;
    bool cancels;        /* is it a cancellation point? */
    long (*timed)(void); /* the same with a time-out of TIMED_MS; NULL: it has none */
    long late;           /* its result then */
    void (*gone)(void);  /* ends it from outside; NULL: cannot be */
    long gone_want;
};

enum { TIMED_MS = 30, LONG_S = 20 };

#define CALL(name, expr)                                                                           \
    static long name(void) { return as_result((long)(expr)); }
#define DO(name, ...)                                                                              \
    static void name(void) { __VA_ARGS__; }

static inline long as_result(long r) { return r == -1 ? -errno : r; }

static const char *waits_row, *waits_trial;
static int waits_inside, waits_outside;
static long waits_result;
static pthread_t waits_thread;

static void *waits_run(void *call) {
    long (*fn)(void) = *(long (**)(void))call;
    set(&waits_inside, 1);
    waits_result = fn();
    set(&waits_outside, 1);
    return NULL;
}

/* Begins a trial: the thread is, or soon will be, in the call. */
static void waits_begin(const struct row *r, const char *trial, long (*const *call)(void)) {
    waits_row = r->name;
    waits_trial = trial;
    dprintf(2, "%s: %s\n", waits_row, waits_trial);
    waits_inside = waits_outside = 0;
    if (r->make)
        r->make();
    waits_thread = spawn(waits_run, (void *)call);
    wait_until(&waits_inside, 1);
}

/* It waits, and this thread goes on. */
static void waits_still(int ms) {
    while (ms-- > 0) {
        CHECK(!get(&waits_outside), "%s (%s): came back before its time, with %ld", waits_row,
              waits_trial, waits_result);
        pause_ms(1);
    }
}

static void waits_returned(void) {
    for (int ms = 0; !get(&waits_outside); ms++) {
        CHECK(ms < LONG_S * 1000, "%s (%s): did not come back", waits_row, waits_trial);
        pause_ms(1);
    }
}

static void waits_finish(const struct row *r, long want) {
    waits_returned();
    join(waits_thread);
    CHECK(waits_result == want, "%s (%s): expected %ld, came %ld (%s)", waits_row, waits_trial,
          want, waits_result, waits_result < 0 ? check_name_of((int)-waits_result) : "no error");
    if (r->clear)
        r->clear();
}

static void waits_handler(int sig) { (void)sig; }

static void waits_handle(int flags) {
    struct sigaction sa = {.sa_handler = waits_handler, .sa_flags = flags};
    DONE(sigaction(SIGUSR1, &sa, NULL));
}

/* ---- the trials ---- */

static void trial_end(const struct row *r) {
    waits_begin(r, "ended by what it waits for", &r->call);
    waits_still(4);
    r->end();
    waits_finish(r, r->want);
}

static void trial_timed(const struct row *r) {
    int64_t from = now_ns(CLOCK_MONOTONIC);
    waits_begin(r, "time-out", &r->timed);
    waits_returned();
    int64_t took = now_ns(CLOCK_MONOTONIC) - from;
    CHECK(took >= (TIMED_MS - 1) * MS_NS, "%s: its time-out of %d ms came after %lld us", r->name,
          TIMED_MS, (long long)took / 1000);
    waits_finish(r, r->late);
}

/* A handler that runs before the call is entered changes nothing: so again until it has. */
static void trial_signal(const struct row *r, int flags) {
    bool ends = r->on_signal == ENDS || (r->on_signal == RESTARTS && !flags);
    waits_handle(flags);
    waits_begin(r, flags ? "signal, SA_RESTART" : "signal", &r->call);
    if (!ends) {
        for (int i = 0; i < 5; i++) {
            OK(pthread_kill(waits_thread, SIGUSR1));
            waits_still(1);
        }
        if (r->end)
            r->end();
        waits_finish(r, r->want);
        return;
    }
    for (int ms = 0; !get(&waits_outside); ms++) {
        CHECK(ms < LONG_S * 1000, "%s (%s): a handler did not end it", waits_row, waits_trial);
        OK(pthread_kill(waits_thread, SIGUSR1));
        pause_ms(1);
    }
    waits_finish(r, -EINTR);
}

static void trial_gone(const struct row *r) {
    waits_begin(r, "ended from outside", &r->call);
    waits_still(4);
    r->gone();
    waits_finish(r, r->gone_want);
}

/* No cancellation point. But it may end as by a signal where the request comes as one. */
static void trial_not_cancelled(const struct row *r) {
    if (!check_cancel_signals() || r->on_signal != ENDS) {
        waits_still(3);
        r->end();
        waits_finish(r, r->want);
        return;
    }
    for (int ms = 0; ms < 3 && !get(&waits_outside); ms++)
        pause_ms(1);
    if (!get(&waits_outside))
        r->end();
    waits_returned();
    waits_finish(r, waits_result == -EINTR ? -EINTR : r->want);
}

static void trial_cancel(const struct row *r) {
    waits_begin(r, "cancelled", &r->call);
    waits_still(3);
    OK(pthread_cancel(waits_thread));
    if (!r->cancels) {
        trial_not_cancelled(r);
        return;
    }
    void *how = NULL;
    struct timespec late = time_in(CLOCK_REALTIME, LONG_S * 1000);
    int err = pthread_timedjoin_np(waits_thread, &how, &late);
    CHECK(!err && how == PTHREAD_CANCELED, "%s: expected to be cancelled, came %s, result %ld",
          r->name, err ? check_name_of(err) : "an end", waits_result);
    if (r->clear)
        r->clear();
}

static inline void waits_rows(const struct row *rows, size_t n) {
    signal(SIGPIPE, SIG_IGN);
    for (const struct row *r = rows; r < rows + n; r++) {
        if (r->end)
            trial_end(r);
        if (r->timed)
            trial_timed(r);
        if (r->on_signal != NO_TRIAL) {
            trial_signal(r, 0);
            trial_signal(r, SA_RESTART);
        }
        if (r->gone)
            trial_gone(r);
        if (r->end || r->cancels)
            trial_cancel(r);
    }
}

#endif
