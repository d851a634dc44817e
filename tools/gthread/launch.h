/* launch.h - starting programs with the preload (launch.c), and measuring them (measure.c) */
#ifndef GTHREAD_LAUNCH_H
#define GTHREAD_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct launch {
    char **argv;
    const char *library;       /* absolute path; NULL: without */
    const char *preload_in;    /* the variable that carries the path; NULL: LD_PRELOAD */
    const char *procs, *debug; /* GTHREAD_PROCS, GTHREAD_DEBUG; NULL: as inherited */
    bool small, stats, off, no_follow;
    int input, output; /* its stdin, stdout; 0: as ours */
};

/* Becomes the program. Dies (126, 127) if it cannot be run. */
_Noreturn void launch_exec(const struct launch *l);

/* One run, as seen from outside. Processes it starts are counted in. */
struct measures {
    int status;      /* as waitpid gives it */
    double wall;     /* s, from before fork until it has ended */
    double cpu;      /* s, user and system, with children it waited for */
    double switches; /* of kernel threads, voluntary and not */
    double peak;     /* bytes resident at most: of the largest process */
    double threads;  /* kernel threads at most at one time, of all its processes */
};

/* Starts the program; returns its pid. It leads a process group of its own if `group`. */
pid_t measure_start(const struct launch *l, struct measures *m, bool group);
/* Counts its kernel threads. */
void measure_look(pid_t pid, struct measures *m);
/* Looks at it now and then until it ends, or (seconds > 0) until the time is over: false. */
bool measure_wait(pid_t pid, struct measures *m, double seconds);

/* Runs it with signals passed on, writes its measures to the file as JSON, returns its exit status
 * (128 + N if signal N ended it). */
int measure_to_file(const struct launch *l, const char *file);

#endif
