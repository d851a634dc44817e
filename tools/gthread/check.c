/* check.c - `gthread check`: can a program work under gthread, and how well, before running it */
#include "gthread.h"
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <pwd.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char help_text[] =
    "usage: gthread check [--json] PROGRAM\n"
    "\n"
    "Tells whether a program can work under gthread, and how well, without running it: looks at "
    "the\n"
    "program, at the libraries that it is linked with, and at the interpreter of a script. "
    "Libraries\n"
    "that it opens while it runs are not looked at.\n"
    "\n"
    "      --json  as JSON\n"
    "\n"
    "Exit status:\n"
    "  0    it works\n"
    "  1    it works, with limits\n"
    "  2    the preload has no effect: it runs on the system's threads\n"
    "  3    it must not be run with the preload: it would not start, or fail\n"
    "  125  gthread failed; 126 the file cannot be read or is no program; 127 there is none\n";

/* Debian 12 and 13. */
static const char *const tested[] = {"2.36", "2.41"};
#define TESTED_GLIBC "2.36 and 2.41"

/* ---- findings ---- */

enum verdict { WORKS, LIMITS, NO_EFFECT, FAILS };
static const char *const verdict_text[] = {"works", "works, with limits",
                                           "no effect: it runs on the system's threads",
                                           "must not be run with the preload"};

static struct finding {
    enum verdict verdict;
    char *text;
} * findings;
static size_t nfindings, findings_capacity;

static void find(enum verdict v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void find(enum verdict v, const char *fmt, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    GROW(findings, nfindings, findings_capacity);
    findings[nfindings++] = (struct finding){v, need(strdup(text))};
}

static enum verdict worst(void) {
    enum verdict v = WORKS;
    for (size_t i = 0; i < nfindings; i++)
        if (findings[i].verdict > v)
            v = findings[i].verdict;
    return v;
}

/* ---- the program's file ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ld.so takes no preload by path where running a program gives rights (ld.so(8), secure mode). */
static void check_rights(const char *path, const struct stat *st) {
    const struct passwd *owner = getpwuid(st->st_uid);
    if (st->st_mode & S_ISUID)
        find(NO_EFFECT, "It is set-user-id: unless %s runs it, ld.so ignores the preload.",
             owner ? owner->pw_name : "its owner");
    if (st->st_mode & S_ISGID && st->st_mode & S_IXGRP)
        find(NO_EFFECT, "It is set-group-id: unless its group runs it, ld.so ignores the preload.");
    if (getxattr(path, "security.capability", NULL, 0) > 0)
        find(NO_EFFECT,
             "It has file capabilities: unless root runs it, ld.so ignores the preload.");
}

/* False: nothing more is worth saying. */
static bool check_kind(const struct image_facts *f) {
    if (f->other_cpu)
        find(FAILS, "It is for another CPU than x86-64.");
    else if (f->bits32)
        find(NO_EFFECT, "It is a 32-bit program: ld.so warns that it ignores the preload.");
    else if (f->is_static)
        find(NO_EFFECT, "It is statically linked: there is no ld.so that could preload anything.");
    else if (!f->executable)
        find(FAILS, "It is a library, not a program.");
    else if (strstr(f->interpreter, "ld-musl"))
        find(FAILS, "It is linked with musl: its loader fails to load a library made for glibc.");
    else if (strcmp(base_name(f->interpreter), "ld-linux-x86-64.so.2") != 0)
        find(FAILS, "Its loader %s is not glibc's.", f->interpreter);
    else
        return true;
    return false;
}

void warn_of_no_effect(const char *program) {
    struct image_facts f;
    if (image_facts(program, false, &f) || !f.elf || check_kind(&f))
        return;
    warn_line("%s: %s", program, findings[nfindings - 1].text);
}

/* ---- it and its libraries ---- */

static const char *const names_of_calls[SYSCALLS] = {
#include "syscall_names.h"
};

/* Those that wait. */
static const int waiting_calls[] = {SYS_read,
                                    SYS_write,
                                    SYS_poll,
                                    SYS_select,
                                    SYS_pselect6,
                                    SYS_ppoll,
                                    SYS_epoll_wait,
                                    SYS_epoll_pwait,
                                    SYS_futex,
                                    SYS_nanosleep,
                                    SYS_clock_nanosleep,
                                    SYS_accept,
                                    SYS_accept4,
                                    SYS_connect,
                                    SYS_recvfrom,
                                    SYS_recvmsg,
                                    SYS_sendto,
                                    SYS_sendmsg,
                                    SYS_wait4,
                                    SYS_waitid,
                                    SYS_pause,
                                    SYS_rt_sigtimedwait,
                                    SYS_rt_sigsuspend,
                                    SYS_io_uring_enter,
                                    SYS_io_getevents};

static bool waits(int number) {
    for (size_t i = 0; i < sizeof waiting_calls / sizeof *waiting_calls; i++)
        if (waiting_calls[i] == number)
            return true;
    return false;
}

static void check_calls(const char *name, const struct image_facts *f) {
    char list[1024] = "";
    size_t n = 0;
    for (int i = 0; i < SYSCALLS; i++)
        if (f->inline_by_number[i] && waits(i) && n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
                                  names_of_calls[i] ? names_of_calls[i] : "?");
    if (n)
        find(
            LIMITS,
            "%s makes system calls inline, which gthread does not see (%s): a thread that waits in "
            "one keeps its P meanwhile.",
            name, list);
    else if (f->inline_unknown)
        find(LIMITS,
             "%s makes %u system call%s inline whose number cannot be told: gthread does not see "
             "one "
             "that waits.",
             name, f->inline_unknown, f->inline_unknown == 1 ? "" : "s");
    else if (f->inline_calls)
        find(WORKS, "%s makes %u system call%s inline, none of them known to wait.", name,
             f->inline_calls, f->inline_calls == 1 ? "" : "s");
}

static bool makes_threads;

static void check_image(const char *path, const char *name) {
    struct image_facts f;
    progress("looking at %s", path);
    int error = image_facts(path, true, &f);
    if (error) {
        find(LIMITS, "%s cannot be read (%s), so it was not looked at.", path, strerror(error));
        return;
    }
    makes_threads |= f.makes_threads;
    if (f.sanitizer) {
        static bool told; /* its runtime, if a library of its own, says it once more */
        if (told)
            return;
        told = true;
        find(FAILS,
             "%s uses %s, whose runtime wants to be the first library and has threads of its "
             "own.",
             name, f.sanitizer);
        return;
    }
    if (f.checkpointer)
        find(FAILS, "%s is part of DMTCP, which replaces pthread_create as well.", name);
    if (f.go)
        find(LIMITS,
             "%s holds Go's runtime, which makes its system calls inline: its threads have kernel "
             "threads of their own and gain nothing.",
             name);
    else
        check_calls(name, &f);
}

/* "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36." */
static void check_glibc(const char *path) {
    char version[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
    size_t size = 0;
    const char *raw = elf ? elf_rawfile(elf, &size) : NULL;
    static const char before[] = "release version ";
    const char *at = raw ? memmem(raw, size, before, sizeof before - 1) : NULL;
    if (at)
        sscanf(at + sizeof before - 1, "%15[0-9.]", version);
    elf_end(elf);
    if (fd >= 0)
        close(fd);
    size_t n = strlen(version);
    if (n && version[n - 1] == '.')
        version[n - 1] = 0;
    for (size_t i = 0; i < sizeof tested / sizeof *tested; i++)
        if (strcmp(version, tested[i]) == 0)
            return;
    if (!*version)
        find(LIMITS, "The version of %s cannot be told; gthread is tested on %s.", path,
             TESTED_GLIBC);
    else
        find(LIMITS,
             "It uses glibc %s, gthread is tested on %s: at the start of its threads gthread tests "
             "whether it understands it, and leaves it to the system's threads if not.",
             version, TESTED_GLIBC);
}

/* What is part of glibc makes system calls of course. */
static bool of_glibc(const char *name) {
    static const char *const list[] = {"libc.so.6",      "libpthread.so.0", "ld-linux-x86-64.so.2",
                                       "libm.so.6",      "libdl.so.2",      "librt.so.1",
                                       "linux-vdso.so.1"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* A line of `ld.so --list`: "\tlibc.so.6 => /lib/.../libc.so.6 (0x7f...)". */
static void check_library(char *line) {
    static const char error[] = "error while loading shared libraries: ";
    char *name = line + strspn(line, " \t"), *arrow = strstr(name, " => ");
    char *wrong = strstr(line, error);
    if (wrong) {
        wrong[strcspn(wrong, "\n")] = 0;
        find(FAILS, "It does not start here, with or without: %s.", wrong + sizeof error - 1);
    }
    if (wrong || !arrow)
        return;
    char *path = arrow + 4;
    *arrow = 0;
    path[strcspn(path, " \n")] = 0;
    if (strcmp(name, "libc.so.6") == 0)
        check_glibc(path);
    else if (!of_glibc(name))
        check_image(path, name);
}

/* ld.so itself finds the libraries, without running the program. */
static void check_libraries(const char *path, const char *loader) {
    int ends[2], status;
    pid_t pid;
    char *argv[] = {(char *)loader, "--list", (char *)path, NULL}, *line = NULL;
    size_t size = 0;
    posix_spawn_file_actions_t files;
    if (pipe2(ends, O_CLOEXEC))
        die(EXIT_GTHREAD, "pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    unsetenv("LD_PRELOAD");
    extern char **environ;
    int error = posix_spawn(&pid, loader, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (error)
        die(EXIT_GTHREAD, "%s: %s", loader, strerror(error));
    FILE *f = need(fdopen(ends[0], "r"));
    while (getline(&line, &size, f) > 0)
        check_library(line);
    free(line);
    fclose(f);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

static void check_program(const char *path, const struct image_facts *f) {
    if (!check_kind(f))
        return;
    check_image(path, base_name(path));
    check_libraries(path, f->interpreter);
    if (!makes_threads)
        find(WORKS,
             "Neither it nor its libraries make threads: there is nothing to gain, unless it "
             "opens libraries that do.");
}

/* ---- scripts ---- */

/* `#!/usr/bin/env python3 -u`: the interpreter, and the program that it starts if it is env. */
static char *script_interpreter(const char *path) {
    char line[256] = "";
    FILE *f = fopen(path, "re");
    if (!f)
        die(EXIT_CANNOT_RUN, "%s: %s", path, strerror(errno));
    bool script = fgets(line, sizeof line, f) && line[0] == '#' && line[1] == '!';
    fclose(f);
    if (!script)
        return NULL;
    char *save, *interpreter = strtok_r(line + 2, " \t\n", &save);
    if (!interpreter)
        return NULL;
    if (strcmp(base_name(interpreter), "env") == 0)
        for (char *word; (word = strtok_r(NULL, " \t\n", &save));)
            if (*word != '-' && !strchr(word, '='))
                return program_find(word);
    return program_find(interpreter);
}

enum { SCRIPTS_MAX = 5 }; /* as the kernel: a script's interpreter may be a script */

/* ---- output ---- */

static void print_text(const char *path) {
    printf("%s: %s\n", path, verdict_text[worst()]);
    for (size_t i = 0; i < nfindings; i++)
        printf("  %s\n", findings[i].text);
}

static void print_json(const char *path) {
    static const char *const words[] = {"works", "limits", "no_effect", "fails"};
    json_t *list = json_array();
    for (size_t i = 0; i < nfindings; i++)
        json_array_append_new(list, json_pack("{s:s s:s}", "verdict", words[findings[i].verdict],
                                              "text", findings[i].text));
    json_t *all =
        json_pack("{s:s s:s s:o}", "program", path, "verdict", words[worst()], "findings", list);
    json_dumpf(need(all), stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

int command_check(int argc, char **argv) {
    enum { JSON = 256, HELP };
    static const struct option table[] = {
        {"json", no_argument, NULL, JSON}, {"help", no_argument, NULL, HELP}, {0}};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "+", table, NULL)) != -1;)
        switch (c) {
        case JSON:
            json = true;
            break;
        case HELP:
            help(help_text);
        default:
            usage_error();
        }
    if (optind + 1 != argc)
        die(EXIT_GTHREAD, "expected one program; --help tells more");
    char *program = program_find(argv[optind]), *path = program;
    struct image_facts f;
    struct stat st;
    for (int depth = 0;; depth++) {
        int error = image_facts(path, false, &f);
        if (error || stat(path, &st))
            die(EXIT_CANNOT_RUN, "%s: %s", path, strerror(error ? error : errno));
        if (f.elf)
            break;
        char *next = depth < SCRIPTS_MAX ? script_interpreter(path) : NULL;
        if (!next)
            die(EXIT_CANNOT_RUN, "%s: neither an ELF program nor a script", path);
        find(WORKS, "%s is a script of %s.", base_name(path), next);
        path = next;
    }
    check_rights(path, &st);
    check_program(path, &f);
    progress_end();
    if (json)
        print_json(program);
    else
        print_text(program);
    output_finish();
    return (int)worst();
}
