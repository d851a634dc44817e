/* switches.c - the library's own switches in the environment, seen from outside as Criterion tests
 *
 * Each starts a small program of tests/small with the preload and chosen settings, and looks at
 * what it says and how it ends. Skipped if no configuration with the library is asked for.
 */
#include "child.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Blocked threads in these programs. On NPTL each is a kernel thread; as goroutines they need one
 * for each P and a few more, far less than half as many. */
#define BLOCKED 200
#define STRING_(x) #x
#define STRING(x) STRING_(x)

static void need_library(void) {
    const char *configs = getenv("GTHREAD_TEST_CONFIGS");
    if (configs && strcmp(configs, "nptl") == 0)
        cr_skip_test("without the library");
}

TestSuite(switches, .init = need_library);

#define SMALL(name, argument, ...) start_small(name, argument, (const char *[]){__VA_ARGS__, NULL})

/* A plan for a program of tests/small. The path it points to is good until the next call. */
static struct child_plan start_small(const char *name, const char *argument,
                                     const char **settings) {
    static char path[PATH_MAX];
    char rest[NAME_MAX];
    snprintf(rest, sizeof rest, "small/%s", name);
    child_build_path(path, sizeof path, rest);
    struct child_plan plan = {path, argument, true, {NULL}};
    for (int i = 0; settings[i]; i++)
        plan.settings[i] = settings[i];
    return plan;
}

static int matches(const char *text, const char *pattern) {
    regex_t regex;
    regmatch_t at;
    int n = 0;
    cr_assert(regcomp(&regex, pattern, REG_EXTENDED | REG_NEWLINE) == 0, "pattern %s", pattern);
    for (; regexec(&regex, text, 1, &at, 0) == 0; n++)
        text += at.rm_eo > 0 ? at.rm_eo : 1;
    regfree(&regex);
    return n;
}

static int lines(const char *text) {
    int n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static void ended_well(const struct child_end *end) {
    char how[64];
    cr_assert(!end->late, "hung\n%s%s", end->out, end->err);
    cr_assert(end->status == 0, "expected exit status 0, came %s\n%s%s",
              child_describe(end->status, how, sizeof how), end->out, end->err);
}

enum { ON_NPTL, AS_GOROUTINES };

static void ran_right(const struct child_end *end, int how) {
    int threads = 0;
    ended_well(end);
    cr_assert(sscanf(end->out, "kernel threads %d", &threads) == 1 &&
                  strstr(end->out, "all joined\n"),
              "expected the program's two lines, came %s", end->out);
    if (how == ON_NPTL)
        cr_assert(threads == BLOCKED + 1, "expected %d kernel threads, came %d", BLOCKED + 1,
                  threads);
    else
        cr_assert(threads < BLOCKED / 2, "expected goroutines, came %d kernel threads", threads);
}

/* Run with these settings, want one line of complaint (or none) that matches, and the right end. */
static void blocked_with(const char *setting, int how, const char *complaint) {
    struct child_plan plan = SMALL("blocked", STRING(BLOCKED), setting);
    struct child_end end = child_run(&plan, child_deadline());
    ran_right(&end, how);
    if (!complaint)
        cr_assert(*end.err == 0, "%s: expected nothing on stderr, came %s", setting, end.err);
    else
        cr_assert(lines(end.err) == 1 && matches(end.err, complaint) == 1,
                  "%s: expected one line like %s, came %s", setting, complaint, end.err);
    child_free(&end);
}

Test(switches, none) { blocked_with("GTHREAD_TEST_NOTHING=1", AS_GOROUTINES, NULL); }

Test(switches, off) { blocked_with("GTHREAD=off", ON_NPTL, NULL); }

Test(switches, procs) {
    blocked_with("GTHREAD_PROCS=1", AS_GOROUTINES, NULL);
    blocked_with("GTHREAD_PROCS=7", AS_GOROUTINES, NULL);
}

/* A wrong value is said and does no harm: the default counts. */
Test(switches, procs_wrong) {
    static const char *const wrong[] = {"GTHREAD_PROCS=0", "GTHREAD_PROCS=banana",
                                        "GTHREAD_PROCS=1000000000", "GTHREAD_PROCS=-3",
                                        "GTHREAD_PROCS="};
    for (int i = 0; i < 5; i++)
        blocked_with(wrong[i], AS_GOROUTINES, "^gthread: .*GTHREAD_PROCS");
}

Test(switches, debug_wrong) {
    blocked_with("GTHREAD_DEBUG=nonsense", AS_GOROUTINES, "^gthread: .*nonsense");
    blocked_with("GTHREAD_DEBUG=nonsense=1", AS_GOROUTINES, "^gthread: .*nonsense");
}

/* GTHREAD_ONLY names the programs that run with it; the others are on NPTL. */
Test(switches, only) {
    blocked_with("GTHREAD_ONLY=blocked", AS_GOROUTINES, NULL);
    blocked_with("GTHREAD_ONLY=other,blocked,more", AS_GOROUTINES, NULL);
    blocked_with("GTHREAD_ONLY=block,blockedd", ON_NPTL, NULL);
}

static void follows(const char *setting, const char *expected) {
    struct child_plan plan = SMALL("follow", NULL, setting);
    struct child_end end = child_run(&plan, child_deadline());
    ended_well(&end);
    cr_assert(matches(end.out, expected) == 1, "%s: expected %s, came %s", setting, expected,
              end.out);
    child_free(&end);
}

/* GTHREAD_FOLLOW=0 keeps the preload from children, and from the environment that they get. */
Test(switches, follow) {
    follows("GTHREAD_TEST_NOTHING=1", "^here 1, in a child 1, LD_PRELOAD .*libgthread.so$");
    follows("GTHREAD_FOLLOW=1", "^here 1, in a child 1, LD_PRELOAD .*libgthread.so$");
    follows("GTHREAD_FOLLOW=0", "^here 1, in a child 0, LD_PRELOAD unset$");
}

/* Runs a program without deadlines on one P under that chaos, returns what the statistics say of
 * the schedule. */
static char *schedule_of(const char *chaos) {
    struct child_plan plan = SMALL("torture", "200000", "GTHREAD_PROCS=1", "GTHREAD_STATS=1",
                                   "GTHREAD_TEST_SEED=7", "GTHREAD_TEST_UNTIMED=1", chaos);
    struct child_end end = child_run(&plan, child_deadline());
    ended_well(&end);
    char *line = strstr(end.err, "decisions=");
    cr_assert(line, "expected a line with decisions= in the statistics, came %s", end.err);
    char *copy = strndup(line, strcspn(line, "\n"));
    child_free(&end);
    return copy;
}

/* With one P a seed decides the schedule: the same twice, another one for another seed. */
Test(switches, chaos_replays) {
    char *once = schedule_of("GTHREAD_DEBUG=chaos=1"),
         *again = schedule_of("GTHREAD_DEBUG=chaos=1");
    char *other = schedule_of("GTHREAD_DEBUG=chaos=2");
    cr_assert(strcmp(once, again) == 0, "expected one schedule, came %s and %s", once, again);
    cr_assert(strcmp(once, other) != 0, "expected two schedules, came %s twice", once);
    free(once);
    free(again);
    free(other);
}

/* Outside its window chaos decides nothing: the schedule is the same for all seeds. In a small
 * window each decision is told. */
Test(switches, chaos_window) {
    char *once = schedule_of("GTHREAD_DEBUG=chaos=1:0-0"),
         *other = schedule_of("GTHREAD_DEBUG=chaos=2:0-0");
    cr_assert(strcmp(once, other) == 0, "expected one schedule, came %s and %s", once, other);
    free(once);
    free(other);
    struct child_plan plan = SMALL("torture", "20000", "GTHREAD_PROCS=1", "GTHREAD_TEST_SEED=7",
                                   "GTHREAD_DEBUG=chaos=1:100-150");
    struct child_end end = child_run(&plan, child_deadline());
    ended_well(&end);
    int told = matches(end.err, "^gthread: chaos 1[0-5][0-9]: goroutine [0-9]+: ");
    cr_assert(told > 0 && told <= 51 && told == lines(end.err),
              "expected a line for each decision, came %s", end.err);
    child_free(&end);
}

Test(switches, chaos_wrong) {
    static const char *const wrong[] = {"GTHREAD_DEBUG=chaos=", "GTHREAD_DEBUG=chaos=x",
                                        "GTHREAD_DEBUG=chaos=1:5", "GTHREAD_DEBUG=chaos=1:5-",
                                        "GTHREAD_DEBUG=chaos=1:5-9x"};
    for (int i = 0; i < 5; i++)
        blocked_with(wrong[i], AS_GOROUTINES, "^gthread: .*chaos");
}

Test(switches, glibc_unknown) {
    blocked_with("GTHREAD_DEBUG=glibc=unknown", ON_NPTL, "^gthread: .*glibc");
}

Test(switches, stats) {
    struct child_plan plan = SMALL("blocked", STRING(BLOCKED), "GTHREAD_STATS=1");
    struct child_end end = child_run(&plan, child_deadline());
    ran_right(&end, AS_GOROUTINES);
    cr_assert(strncmp(end.err, "gthread: stats", 14) == 0 &&
                  matches(end.err, "gthread: stats") == 1,
              "expected one block that starts with gthread: stats, came %s", end.err);
    cr_assert(matches(end.err, "[a-z_]+=[0-9]") > 1, "expected figures, came %s", end.err);
    cr_assert(matches(end.err, "(^|[ \t])creates=" STRING(BLOCKED) "([ \t,]|$)") == 1,
              "expected creates=" STRING(BLOCKED) ", came %s", end.err);
    child_free(&end);
}

/* What the environment said at the start counts, whatever the program makes of its strings. */
Test(switches, environment_overwritten) {
    struct child_plan plan =
        SMALL("title", NULL, "GTHREAD_PROCS=3", "GTHREAD_STATS=1", "GTHREAD_DEBUG=fsbase=prctl");
    struct child_end end = child_run(&plan, child_deadline());
    ended_well(&end);
    cr_assert(strncmp(end.err, "gthread: stats", 14) == 0 && matches(end.err, " procs=3 ") == 1,
              "expected figures of 3 Ps and no more, came %s", end.err);
    child_free(&end);
}

Test(switches, schedtrace) {
    struct child_plan plan = SMALL("blocked", STRING(BLOCKED), "GTHREAD_DEBUG=schedtrace=20");
    struct child_end end = child_run(&plan, child_deadline());
    ran_right(&end, AS_GOROUTINES);
    int traced = matches(end.err, "^SCHED [0-9]+ms:");
    /* 200 ms at 20 ms each; a loaded machine may skip many, not almost all. */
    cr_assert(traced >= 2, "expected two lines of trace at least, came %s", end.err);
    cr_assert(traced == lines(end.err), "expected nothing but trace, came %s", end.err);
    child_free(&end);
}

/* SIGQUIT: every goroutine with what it waits for, and the process goes on. */
Test(switches, sigquit) {
    struct child_plan plan = SMALL("wait_kinds", NULL, "GTHREAD_DEBUG=sigquit");
    struct child child;
    child_start(&child, &plan);
    cr_assert(child_says(&child, child.out, "ready\n", child_deadline()), "expected it to start");
    for (int round = 0; round < 2; round++) {
        kill(child.pid, SIGQUIT);
        usleep(300000);
    }
    struct child_end end = child_finish(&child, child_deadline());
    ended_well(&end);
    cr_assert(strstr(end.out, "went on\n"), "expected the program to go on, came %s", end.out);
    static const char *const reasons[] = {"mutex", "cond", "sem", "sleep"};
    for (int i = 0; i < 4; i++)
        cr_assert(matches(end.err, reasons[i]) >= 2, "expected the wait reason %s twice, came %s",
                  reasons[i], end.err);
    child_free(&end);
}

/* Without the switch SIGQUIT ends the process, as ever. */
Test(switches, sigquit_not_asked_for) {
    struct child_plan plan = SMALL("wait_kinds", NULL, "GTHREAD_TEST_NOTHING=1");
    struct child child;
    child_start(&child, &plan);
    cr_assert(child_says(&child, child.out, "ready\n", child_deadline()), "expected it to start");
    kill(child.pid, SIGQUIT);
    struct child_end end = child_finish(&child, child_deadline());
    cr_assert(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGQUIT && !end.late,
              "expected death by SIGQUIT, came status %x", (unsigned)end.status);
    child_free(&end);
}

/* A program without threads does not feel the library: no output, no thread. */
Test(switches, single_threaded) {
    struct child_plan plans[] = {{"/bin/true", NULL, true, {NULL}},
                                 SMALL("no_clone", "/bin/true", "GTHREAD_PROCS=2")};
    for (int i = 0; i < 2; i++) {
        struct child_end end = child_run(&plans[i], child_deadline());
        ended_well(&end);
        cr_assert(*end.out == 0 && *end.err == 0, "expected no output, came %s%s", end.out,
                  end.err);
        child_free(&end);
    }
}

/* The other side of the test before: a program that does start threads is killed there. */
Test(switches, threads_are_seen) {
    char path[PATH_MAX];
    struct child_plan plan = SMALL(
        "no_clone", child_build_path(path, sizeof path, "small/wait_kinds"), "GTHREAD_PROCS=2");
    struct child_end end = child_run(&plan, child_deadline());
    cr_assert(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSYS,
              "expected death by SIGSYS, came status %x", (unsigned)end.status);
    child_free(&end);
}
