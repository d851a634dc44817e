/* launch.c - the environment of a program under gthread, and exec */
#include "launch.h"

#include "gthread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without room for more link namespaces and for libraries loaded later that have static TLS: 1.4 kB
 * less of each thread, which is what it has above one page (glibc 2.36, elf/dl-tls.c). */
#define SMALL_TUNABLES "glibc.rtld.nns=1:glibc.rtld.optional_static_tls=0"

static void set(const char *name, const char *value) {
    if (setenv(name, value, 1))
        die(EXIT_GTHREAD, "out of memory");
}

/* Puts it in front of what is there. */
static void set_before(const char *name, const char *value) {
    const char *there = getenv(name);
    char *both = there && *there ? text_of("%s:%s", value, there) : NULL;
    set(name, both ? both : value);
    free(both);
}

_Noreturn void launch_exec(const struct launch *l) {
    char *program = program_find(l->argv[0]);
    if (l->library && l->preload_in)
        set(l->preload_in, l->library);
    else if (l->library)
        set_before("LD_PRELOAD", l->library);
    if (l->preload_in && !l->library)
        set(l->preload_in, "");
    if (l->small && l->library)
        set_before("GLIBC_TUNABLES", SMALL_TUNABLES);
    if (l->procs)
        set("GTHREAD_PROCS", l->procs);
    if (l->debug)
        set("GTHREAD_DEBUG", l->debug);
    if (l->stats)
        set("GTHREAD_STATS", "1");
    if (l->off)
        set("GTHREAD", "off");
    if (l->no_follow)
        set("GTHREAD_FOLLOW", "0");
    if (l->input && dup2(l->input, 0) < 0)
        die(EXIT_GTHREAD, "stdin: %s", strerror(errno));
    if (l->output && dup2(l->output, 1) < 0)
        die(EXIT_GTHREAD, "stdout: %s", strerror(errno));
    execv(program, l->argv);
    /* A script without #! is the shell's, as for execvp. */
    if (errno == ENOEXEC) {
        int n = 0;
        while (l->argv[n])
            n++;
        char **argv = NEW_ARRAY(char *, n + 2);
        argv[0] = "sh";
        argv[1] = program;
        memcpy(argv + 2, l->argv + 1, (size_t)n * sizeof *argv);
        execv("/bin/sh", argv);
    }
    die(EXIT_CANNOT_RUN, "%s: %s", program, strerror(errno));
}
