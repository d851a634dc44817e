/* init.c - the library's constructor and its switches
 *
 * The constructor runs in every program that inherits the preload, so it only notes where the
 * switches stand in the environment. They are read at the first pthread_create, and only then is
 * a wrong one complained about.
 */
#include "interpose/glibc.h"
#include "interpose/quota.h"
#include "interpose/words.h"
#include "shim/config.h"
#include "shim/shim.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

struct settings settings;

static bool stats_at_exit;

/* ---- the number of Ps ---- */

static uint32_t cpus_of_affinity(void) {
    unsigned long mask[SCHED_MAX_PROCS / 64] = {0};
    long bytes = sys(SYS_sched_getaffinity, 0, sizeof mask, mask);
    uint32_t n = 0;
    for (long i = 0; i < bytes / 8; i++)
        n += (uint32_t)__builtin_popcountl(mask[i]);
    return n ? n : 1;
}

static uint32_t procs_default(void) {
    uint32_t n = cpus_of_affinity(), quota = quota_cpus("/proc/self");
    return quota && quota < n ? quota : n;
}

static uint32_t procs_read(const char *word) {
    if (!word)
        return procs_default();
    char *end;
    errno = 0;
    unsigned long n = strtoul(word, &end, 10);
    if (*word >= '0' && *word <= '9' && !*end && !errno && n >= 1 && n <= SCHED_MAX_PROCS)
        return (uint32_t)n;
    uint32_t dflt = procs_default();
    complain("GTHREAD_PROCS=%.40s: not a number from 1 to %d; using %u", word, SCHED_MAX_PROCS,
             dflt);
    return dflt;
}

/* ---- GTHREAD_DEBUG ---- */

/* SEED or SEED:FROM-TO, all of it up to `end`. */
static bool chaos_read(const char *word, const char *end, struct chaos_config *cfg) {
    char *at;
    struct chaos_config c = {.on = true, .to = UINT64_MAX};
    if (*word < '0' || *word > '9')
        return false;
    c.seed = strtoull(word, &at, 0);
    if (*at == ':' && at[1] >= '0' && at[1] <= '9') {
        c.from = strtoull(at + 1, &at, 10);
        if (*at != '-' || at[1] < '0' || at[1] > '9')
            return false;
        c.to = strtoull(at + 1, &at, 10);
    }
    if (at == end)
        *cfg = c;
    return at == end;
}

static bool debug_word(const char *w, size_t n, struct sched_config *cfg) {
#define IS(text) (n == sizeof(text) - 1 && memcmp(w, text, n) == 0)
    if (IS("fsbase=prctl"))
        cfg->fs_by_syscall = true;
    else if (IS("sigquit"))
        cfg->sigquit = true;
    else if (IS("deadlock=off"))
        cfg->no_deadlock = true;
    else if (IS("glibc=unknown"))
        glibc_pretend_unknown = true;
    else if (IS("patch=off"))
        patch_mode = PATCH_OFF;
    else if (IS("patch=list"))
        patch_mode = PATCH_LIST;
    else if (n > 6 && memcmp(w, "trace=", 6) == 0)
        return (cfg->trace_pid = (int32_t)strtoul(w + 6, NULL, 10)) > 0;
    else if (n > 8 && memcmp(w, "preempt=", 8) == 0)
        return (cfg->preempt_us = (uint32_t)strtoul(w + 8, NULL, 10)) > 0;
    else if (n > 6 && memcmp(w, "chaos=", 6) == 0)
        return chaos_read(w + 6, w + n, &cfg->chaos);
    else if (n > 11 && memcmp(w, "schedtrace=", 11) == 0)
        return (cfg->schedtrace_ms = (uint32_t)strtoul(w + 11, NULL, 10)) > 0;
    else
        return false;
    return true;
#undef IS
}

static void debug_read(const char *words, struct sched_config *cfg) {
    while (words && *words) {
        size_t n = strcspn(words, ",");
        if (n && !debug_word(words, n, cfg))
            complain("GTHREAD_DEBUG: %.*s: no such switch (there are: fsbase=prctl, "
                     "schedtrace=MS, sigquit, deadlock=off, patch=off, patch=list, "
                     "chaos=SEED[:FROM-TO], preempt=US, glibc=unknown)",
                     (int)(n > 80 ? 80 : n), words);
        words += n + (words[n] == ',');
    }
}

void config_read(struct sched_config *cfg) {
    *cfg = (struct sched_config){.procs = procs_read(settings.procs)};
    debug_read(settings.debug, cfg);
    cfg->stats = settings.stats && strcmp(settings.stats, "0") != 0;
    stats_at_exit = cfg->stats;
    if (settings.follow && strcmp(settings.follow, "0") != 0 && strcmp(settings.follow, "1") != 0)
        complain("GTHREAD_FOLLOW=%.40s: not 0 or 1; children keep the preload", settings.follow);
}

/* ---- constructor and destructor ---- */

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Takes our entry out of LD_PRELOAD's words, in place. The dynamic linker has read it; what we
 * leave is for the children. True if nothing is left. */
static bool preload_drop(char *words) {
    Dl_info us;
    if (!dladdr((void *)(uintptr_t)preload_drop, &us) || !us.dli_fname)
        return false;
    const char *name = base_of(us.dli_fname);
    char *to = words;
    for (char *at = words; *at;) {
        size_t n = strcspn(at, " :"), gap = strspn(at + n, " :");
        char *word = strndupa(at, n);
        if (strcmp(base_of(word), name) != 0) {
            memmove(to, at, n + gap);
            to += n + gap;
        }
        at += n + gap;
    }
    while (to > words && (to[-1] == ' ' || to[-1] == ':'))
        to--;
    *to = 0;
    return to == words;
}

/* GTHREAD_FOLLOW=0: the children run without us. */
static void unfollow(char **envp) {
    for (; *envp; envp++) {
        if (strncmp(*envp, "LD_PRELOAD=", 11) != 0 || !preload_drop(*envp + 11))
            continue;
        for (char **e = envp; *e; e++)
            e[0] = e[1];
        return;
    }
}

/* Programs write over their environment to show a title in ps(1), and most of this is read later.
 * What is longer than anybody needs stays where it is. */
static const char *kept(const char *value) {
    static char room[1024];
    static size_t used;
    size_t n = strlen(value) + 1;
    if (n > sizeof room - used)
        return value;
    char *copy = memcpy(room + used, value, n);
    used += n;
    return copy;
}

static void read_environment(char **envp) {
    for (; envp && *envp; envp++) {
        const char *e = *envp;
        if (strncmp(e, "GTHREAD", 7) != 0)
            continue;
        e += 7;
        if (*e == '=')
            settings.off |= strcmp(e + 1, "off") == 0;
        else if (strncmp(e, "_PROCS=", 7) == 0)
            settings.procs = kept(e + 7);
        else if (strncmp(e, "_DEBUG=", 7) == 0)
            settings.debug = kept(e + 7);
        else if (strncmp(e, "_STATS=", 7) == 0)
            settings.stats = kept(e + 7);
        else if (strncmp(e, "_FOLLOW=", 8) == 0)
            settings.follow = kept(e + 8);
        else if (strncmp(e, "_ONLY=", 6) == 0)
            settings.off |= !words_have(e + 6, ',', program_invocation_short_name);
    }
}

__attribute__((constructor)) static void gthread_init(int argc, char **argv, char **envp) {
    (void)argc;
    (void)argv;
    read_environment(envp);
    if (settings.follow && strcmp(settings.follow, "0") == 0)
        unfollow(envp);
    glibc_look();
    /* Registered before the program's handlers, so it runs before them in the child, and they
     * find a runtime that can be started again (DANGERS F2). */
    pthread_atfork(shim_before_fork, NULL, shim_reset_child);
}

/* Stops nothing: other threads may still run (DANGERS X9). */
__attribute__((destructor)) static void gthread_fini(void) {
    if (stats_at_exit && sched_running())
        stats_print();
}
