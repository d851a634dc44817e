/* compare.h - between compare.c, which measures, and report.c, which writes down */
#ifndef GTHREAD_COMPARE_H
#define GTHREAD_COMPARE_H

#include "stats.h"

enum { NPTL, GTHREAD, SIDES };

enum metric { FIGURE, WALL, CPU, THREADS, SWITCHES, PEAK, METRICS };

enum verdict {
    UNKNOWN,    /* too few pairs, or nothing to compare */
    DIFFERENCE, /* so small that it does not matter, or none */
    LESS,
    MORE,
};

struct comparison {
    char **argv;
    const char *library;
    size_t n;                       /* pairs */
    double *values[METRICS][SIDES]; /* NULL: not measured (FIGURE) */
    bool figure_smaller;            /* a smaller figure is better */
    double confidence;              /* of each interval, so that all hold together with 95 % */
    double least;                   /* the least difference that counts, as part of 1 */
    struct ratio ratio[METRICS];
    enum verdict verdict[METRICS];
    bool output_differs; /* gthread's output is not NPTL's, which is always the same */
    unsigned long seed;
};

/* The metric that the first line is about: the figure if there is one, else the wall time. */
enum metric main_metric(const struct comparison *c);
/* 1: gthread is better in it, -1: worse, 0: neither. */
int main_verdict(const struct comparison *c);

void report_text(const struct comparison *c);
/* To a file, or "-": stdout. Die with one line if it cannot be written. */
void report_markdown(const struct comparison *c, const char *file);
void report_json(const struct comparison *c, const char *file);
void report_svg(const struct comparison *c, const char *file);

#endif
