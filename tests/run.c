/* run.c - every test program under every configuration, as Criterion tests
 *
 * One parameterized test for each configuration: `--filter 'programs/p2'` runs one of them,
 * GTHREAD_TEST_ONLY='mutex_*' only programs of that name, GTHREAD_TEST_QUICK=1 only those that do
 * not say `time` among their needs. GTHREAD_TEST_CONFIGS names the configurations that are run at
 * all, GTHREAD_TEST_REPEAT says how often each.
 *
 * A program says in its source what it needs, e.g. `needs: lib, time` in a comment: lib, to be
 * run under the library only; time, because it is slow. Exit status 0 is right, 77 skipped.
 */
#include "child.h"
#include "interpose/words.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The configurations: name, with the library or not, the settings of the child's environment. A
 * new one is one line here. `drawn` is what tests/draw-config has drawn for this commit. A dump
 * on SIGQUIT is asked for everywhere: without it a hang shows nothing. */
#define CONFIGS(ROW)                                                                               \
    ROW(nptl, false, {NULL})                                                                       \
    ROW(p1, true, {"GTHREAD_PROCS=1", "GTHREAD_DEBUG=sigquit"})                                    \
    ROW(p2, true, {"GTHREAD_PROCS=2", "GTHREAD_DEBUG=sigquit"})                                    \
    ROW(p8, true, {"GTHREAD_PROCS=8", "GTHREAD_DEBUG=sigquit"})                                    \
    ROW(chaos1, true, {"GTHREAD_PROCS=1", chaos_setting()})                                        \
    ROW(chaos2, true, {"GTHREAD_PROCS=2", chaos_setting()})                                        \
    ROW(preempt, true, {"GTHREAD_PROCS=2", "GTHREAD_DEBUG=sigquit,preempt=50"})                    \
    ROW(prctl, true, {"GTHREAD_PROCS=2", "GTHREAD_DEBUG=sigquit,fsbase=prctl"})                    \
    ROW(drawn, true, {getenv("GTHREAD_TEST_DRAWN_PROCS"), getenv("GTHREAD_TEST_DRAWN_DEBUG")})

static const char *chaos_setting(void);

struct param {
    char program[NAME_MAX + 1];
};

static const char *configs_wanted(void) {
    const char *given = getenv("GTHREAD_TEST_CONFIGS");
    return given ? given : "nptl p1 p2";
}

/* Whether the program's source names this word behind "needs:". */
static bool source_needs(const char *source_name, const char *word) {
    char path[PATH_MAX], line[256];
    bool found = false;
    snprintf(path, sizeof path, TEST_SOURCES "/progs/%s", source_name);
    FILE *source = fopen(path, "re");
    cr_assert(source, "%s: %m", path);
    while (!found && fgets(line, sizeof line, source)) {
        const char *needs = strstr(line, "needs: ");
        found = needs && strstr(needs, word);
    }
    fclose(source);
    return found;
}

static bool program_wanted(const char *program, const char *source_name, bool with_library) {
    const char *only = getenv("GTHREAD_TEST_ONLY");
    if (only && fnmatch(only, program, 0) != 0)
        return false;
    if (getenv("GTHREAD_TEST_QUICK") && source_needs(source_name, "time"))
        return false;
    return with_library || !source_needs(source_name, "lib");
}

static int is_source(const struct dirent *entry) {
    const char *ending = strrchr(entry->d_name, '.');
    return ending && (strcmp(ending, ".c") == 0 || strcmp(ending, ".cc") == 0);
}

/* The parameters of one configuration: the programs it is to run, by their sources, so that one
 * which has not been built fails and is not forgotten. In Criterion's own memory, which is what
 * reaches the workers. */
static struct criterion_test_params params_for(const char *config, bool with_library) {
    struct dirent **sources;
    int n = scandir(TEST_SOURCES "/progs", &sources, is_source, alphasort);
    cr_assert(n > 0, TEST_SOURCES "/progs: no test programs");
    struct param *params = cr_calloc((size_t)n, sizeof *params);
    size_t count = 0;
    for (int i = 0; i < n; i++) {
        const char *name = sources[i]->d_name;
        char *program = params[count].program;
        snprintf(program, sizeof params->program, "%.*s", (int)(strrchr(name, '.') - name), name);
        if (words_have(configs_wanted(), ' ', config) &&
            program_wanted(program, name, with_library))
            count++;
        free(sources[i]);
    }
    free(sources);
    return cr_make_param_array(struct param, params, count);
}

/* A chaos setting with another seed at each call: from GTHREAD_TEST_CHAOS on, else from the clock.
 * Always in the same place, so that the plan of a test that is repeated sees the new one. */
static const char *chaos_setting(void) {
    static char setting[80];
    static uint64_t seed;
    const char *given = getenv("GTHREAD_TEST_CHAOS");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!seed)
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec;
    else
        seed++;
    snprintf(setting, sizeof setting, "GTHREAD_DEBUG=sigquit,chaos=%lu", (unsigned long)seed);
    return setting;
}

/* The settings, for a message: what to give by hand to see it again. */
static const char *settings_text(const struct child_plan *plan, char *to, size_t size) {
    size_t n = 0;
    to[0] = 0;
    for (int i = 0; plan->settings[i] && n < size; i++)
        n += (size_t)snprintf(to + n, size - n, " %s", plan->settings[i]);
    return to;
}

static void run_once(const struct child_plan *plan, const char *name, const char *config) {
    char how[64], with[256];
    struct child_end end = child_run(plan, child_deadline());
    settings_text(plan, with, sizeof with);
    if (end.late)
        cr_assert_fail("%s under %s%s: hung, killed after %d s\n%s%s", name, config, with,
                       child_deadline(), end.out, end.err);
    if (WIFEXITED(end.status) && WEXITSTATUS(end.status) == 77)
        cr_skip_test("%s under %s: %s", name, config, end.out);
    cr_assert(end.status == 0, "%s under %s%s: %s\n%s%s", name, config, with,
              child_describe(end.status, how, sizeof how), end.out, end.err);
    child_free(&end);
}

static void run_program(const struct param *param, const char *config, struct child_plan plan) {
    char path[PATH_MAX], rest[NAME_MAX + 16];
    const char *repeat = getenv("GTHREAD_TEST_REPEAT");
    snprintf(rest, sizeof rest, "progs/%s", param->program);
    plan.program = child_build_path(path, sizeof path, rest);
    cr_assert(!plan.with_library || access(child_library(), R_OK) == 0, "%s: %m", child_library());
    for (int i = repeat ? atoi(repeat) : 1; i > 0; i--) {
        run_once(&plan, param->program, config);
        chaos_setting(); /* if the plan has one */
    }
}

#define CONFIG_TEST(name, with_library, ...)                                                       \
    ParameterizedTestParameters(programs, name) { return params_for(#name, with_library); }        \
    ParameterizedTest(struct param *param, programs, name) {                                       \
        struct child_plan plan = {NULL, NULL, with_library, __VA_ARGS__};                          \
        run_program(param, #name, plan);                                                           \
    }
CONFIGS(CONFIG_TEST)
