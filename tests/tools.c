/* tools.c - the tools beside the library, each by its own script, as Criterion tests */
#include "child.h"

#include <criterion/criterion.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Runs a script of tests/, which says itself what is wrong and ends with status 0 if nothing is, 77
 * if it cannot be told here. */
static void run_script_on(const char *name, const char *argument) {
    char path[PATH_MAX], library[PATH_MAX], build[PATH_MAX + 8], how[64];
    snprintf(path, sizeof path, TEST_SOURCES "/%s", name);
    snprintf(library, sizeof library, "%s", child_library());
    snprintf(build, sizeof build, "BUILD=%s", dirname(library));
    struct child_end end =
        child_run(&(struct child_plan){path, argument, false, {build}}, child_deadline());
    if (!end.late && WIFEXITED(end.status) && WEXITSTATUS(end.status) == 77) {
        child_free(&end);
        cr_skip_test("not possible here");
    }
    cr_assert(!end.late && end.status == 0, "%s: %s\n%s%s", name,
              child_describe(end.status, how, sizeof how), end.out, end.err);
    child_free(&end);
}

static void run_script(const char *name) { run_script_on(name, NULL); }

static void need_library(void) {
    const char *configs = getenv("GTHREAD_TEST_CONFIGS");
    if (configs && strcmp(configs, "nptl") == 0)
        cr_skip_test("without the library");
}

TestSuite(tools, .init = need_library);

Test(tools, gdb_script) { run_script("gdb-script.sh"); }
Test(tools, chaos_shrink) { run_script("chaos-shrink.sh"); }
Test(tools, inject) { run_script("inject.sh"); }
Test(tools, cgroup) { run_script("cgroup.sh"); }
Test(tools, fuzz) { run_script("fuzz.py"); }
Test(tools, instructions) { run_script("instructions.sh"); }
Test(tools, surface) { run_script("surface.sh"); }
Test(tools, command_run) { run_script("command-run.sh"); }
Test(tools, command_dump) { run_script("command-dump.sh"); }
Test(tools, command_top) { run_script("command-top.sh"); }
Test(tools, command_trace) { run_script("command-trace.sh"); }
Test(tools, command_check) { run_script("command-check.sh"); }
Test(tools, command_compare) { run_script("command-compare.sh"); }
Test(tools, deb) { run_script("deb.sh"); }
Test(tools, docs_syscalls) { run_script("docs-syscalls.sh"); }
Test(tools, docs_examples) { run_script("docs-examples.sh"); }
Test(tools, compat_smoke) { run_script("compat-smoke.sh"); }

/* The protocols of sched/. They need no library, but the machine for some seconds each. */
#define MODEL_TEST(name)                                                                           \
    Test(tools, model_##name) { run_script_on("models.sh", #name); }
MODEL_TEST(syscall)
MODEL_TEST(unseen)
MODEL_TEST(park)
MODEL_TEST(proc)
MODEL_TEST(turns)
MODEL_TEST(netpoll)
