/* main.c - the gthread command: finds the subcommand; what all of them use */
#include "gthread.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *subcommand = "";

static const struct command {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "run a program with goroutines for threads", command_run},
    {"compare", "measure a program on NPTL and on gthread, in turns", command_compare},
    {"dump", "show every goroutine of a process or core file", command_dump},
    {"top", "show what the scheduler of a process does, again and again", command_top},
    {"trace", "record what the scheduler does, for Perfetto's viewer", command_trace},
    {"check", "tell whether a program can work, before running it", command_check},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* ---- messages ---- */

static void line(const char *fmt, va_list ap) {
    char text[1024];
    progress_end();
    int n = snprintf(text, sizeof text, *subcommand ? "gthread %s: " : "gthread%s: ", subcommand);
    vsnprintf(text + n, sizeof text - (size_t)n - 1, fmt, ap);
    strcat(text, "\n");
    fputs(text, stderr);
}

void warn_line(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
}

void die(int status, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line(fmt, ap);
    va_end(ap);
    exit(status);
}

void usage_error(void) { exit(EXIT_GTHREAD); }

void help(const char *text) {
    fputs(text, stdout);
    output_finish();
    exit(0);
}

long number_option(const char *option, const char *text, long least, long most) {
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < least || n > most)
        die(EXIT_GTHREAD, "%s %s: not a number from %ld to %ld", option, text, least, most);
    return n;
}

void *need(void *p) {
    if (!p)
        die(EXIT_GTHREAD, "out of memory");
    return p;
}

void *grow_array(void *array, size_t n, size_t *capacity, size_t element) {
    if (n < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 64;
    return need(realloc(array, *capacity * element));
}

char *text_of(const char *fmt, ...) {
    char *text;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    return need(text);
}

void output_finish(void) {
    if (fflush(stdout) || ferror(stdout))
        die(EXIT_GTHREAD, "cannot write the output: %s", strerror(errno ? errno : EIO));
}

/* ---- progress ---- */

static int progress_columns; /* of the line that stands there */

void progress(const char *fmt, ...) {
    if (!isatty(2))
        return;
    va_list ap;
    va_start(ap, fmt);
    fputc('\r', stderr);
    int n = vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%*s", n < progress_columns ? progress_columns - n : 0, "");
    progress_columns = n;
    fflush(stderr);
}

void progress_end(void) {
    if (progress_columns)
        fprintf(stderr, "\r%*s\r", progress_columns, "");
    progress_columns = 0;
}

/* ---- files ---- */

/* What ld.so makes of LD_PRELOAD ends at a blank or colon. */
static const char *preloadable(const char *path) {
    if (strpbrk(path, " :"))
        die(EXIT_GTHREAD, "%s: a path with a blank or colon cannot be preloaded", path);
    return path;
}

const char *library_path(const char *given) {
    static char path[PATH_MAX];
    if (given) {
        if (!realpath(given, path))
            die(EXIT_GTHREAD, "%s: %s", given, strerror(errno));
        return preloadable(path);
    }
    static const char *const places[] = {"libgthread.so", "../lib/libgthread.so"};
    char self[PATH_MAX], place[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        die(EXIT_GTHREAD, "/proc/self/exe: %s", strerror(errno));
    self[n] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(place, sizeof place, "%s/%s", self, places[i]);
        if (realpath(place, path))
            return preloadable(path);
    }
    die(EXIT_GTHREAD, "no libgthread.so beside the command or in ../lib: say --library PATH");
}

/* Can the file be run? 0 or an errno. */
static int runnable(const char *path) {
    struct stat st;
    if (stat(path, &st))
        return errno;
    if (S_ISDIR(st.st_mode))
        return EACCES;
    return access(path, X_OK) ? errno : 0;
}

char *program_find(const char *name) {
    int error = *name ? runnable(name) : ENOENT;
    if (strchr(name, '/') || !*name) {
        if (error)
            die(error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "%s: %s",
                name, strerror(error));
        return need(strdup(name));
    }
    const char *path = getenv("PATH");
    error = ENOENT;
    for (const char *at = path ? path : "/bin:/usr/bin"; *at; at += strspn(at, ":")) {
        int n = (int)strcspn(at, ":");
        char *candidate = text_of("%.*s/%s", n, at, name);
        int e = runnable(candidate);
        if (!e)
            return candidate;
        if (e != ENOENT && e != ENOTDIR)
            error = e;
        free(candidate);
        at += n;
    }
    die(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "%s: %s", name,
        error == ENOENT ? "no such program" : strerror(error));
}

/* ---- main ---- */

static _Noreturn void main_help(void) {
    printf("usage: gthread COMMAND [OPTION...] ARGUMENT...\n\n"
           "Runs unmodified programs with goroutines in place of POSIX threads.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].about);
    printf("\n`gthread COMMAND --help` tells its options; gthread(1) tells all.\n");
    output_finish();
    exit(0);
}

int main(int argc, char **argv) {
    if (argc < 2)
        die(EXIT_GTHREAD,
            "which command? There are run, compare, dump, top, trace, check; --help tells more");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        main_help();
    if (strcmp(argv[1], "--version") == 0) {
        printf("gthread " GTHREAD_VERSION "\n");
        output_finish();
        return 0;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            subcommand = commands[i].name;
            /* getopt_long's own messages begin with argv[0]. */
            argv[1] = text_of("gthread %s", subcommand);
            return commands[i].run(argc - 1, argv + 1);
        }
    die(EXIT_GTHREAD, "%s: no such command (there are run, compare, dump, top, trace, check)",
        argv[1]);
}
