/* gthread.h - what the files of the gthread command share
 *
 * The command is a program of its own: it links libunwind, elfutils and jansson, which the library
 * must not (DANGERS C1), and of the library's sources it includes only sched/debug.h and
 * sched/eventlog.h.
 */
#ifndef GTHREAD_COMMAND_H
#define GTHREAD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses that every subcommand has, as env(1) and timeout(1). */
enum {
    EXIT_GTHREAD = 125,    /* the command itself failed: one line on stderr says why */
    EXIT_CANNOT_RUN = 126, /* the program is there, but cannot be read or run */
    EXIT_NOT_FOUND = 127,  /* no such program */
};

/* The subcommands, each in its file. argv[0] is the subcommand's name. */
int command_run(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_top(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_check(int argc, char **argv);

/* One line on stderr, `gthread SUBCOMMAND: ...`; die ends with the status. */
void warn_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void usage_error(void); /* after getopt_long has said what is wrong, or die's like */

/* Prints the text and ends, for --help. */
_Noreturn void help(const char *text);

/* A number from `least` to `most` given for the option; else die. */
long number_option(const char *option, const char *text, long least, long most);

/* Memory that never comes back as NULL: die instead. */
void *need(void *p);
#define NEW_ARRAY(type, n) ((type *)need(calloc((size_t)(n) + !(n), sizeof(type))))
#define GROW(array, n, capacity) ((array) = grow_array(array, n, &(capacity), sizeof *(array)))
void *grow_array(void *array, size_t n, size_t *capacity, size_t element);
char *text_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flushes stdout; dies with one line if what was printed did not all get there (full disk). */
void output_finish(void);

/* The path of libgthread.so: `given`, else what lies beside the command, else in ../lib beside it.
 * Dies if there is none, or if ld.so would take the path for several (a blank or colon in it). */
const char *library_path(const char *given);

/* The path of the program as execvp finds it, to be freed; dies (126, 127) if it cannot be run. */
char *program_find(const char *name);

/* check.c: one line on stderr if the program cannot be preloaded, as far as its file's head tells.
 */
void warn_of_no_effect(const char *program);

/* Progress on stderr: on a terminal one line that is overwritten, else nothing. */
void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void progress_end(void);

#endif
