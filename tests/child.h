/* child.h - starting a program with a chosen environment and seeing what it does
 *
 * The preload is only ever in the child's environment: Criterion's runner and workers make threads
 * of their own and must stay on NPTL.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILD_SETTINGS = 12 };

struct child_plan {
    const char *program;
    const char *argument;                 /* or NULL */
    bool with_library;                    /* LD_PRELOAD=libgthread.so */
    const char *settings[CHILD_SETTINGS]; /* NAME=value, up to the first NULL */
};

struct child {
    pid_t pid;
    int out, err;   /* memory files that hold its stdout and stderr so far */
    int input;      /* the writing end of its stdin */
    char where[64]; /* its working directory, a temporary one */
};

struct child_end {
    int status; /* as waitpid gives it */
    bool late;  /* it overran the deadline and was killed */
    char *out;
    char *err;
};

const char *child_build_path(char *to, size_t size, const char *rest);
const char *child_library(void);
void child_start(struct child *child, const struct child_plan *plan);
char *child_text(int file);
bool child_says(const struct child *child, int file, const char *text, int seconds);
struct child_end child_finish(struct child *child, int seconds);
struct child_end child_run(const struct child_plan *plan, int seconds);
void child_free(struct child_end *end);
const char *child_describe(int status, char *to, size_t size);
int child_deadline(void);

#endif
