/* stats.h - what paired measurements allow to say */
#ifndef GTHREAD_STATS_H
#define GTHREAD_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* A ratio and the interval in which it lies with the asked-for confidence. */
struct ratio {
    bool known;  /* false: a value was 0, there is no ratio */
    bool enough; /* false: too few pairs for an interval */
    double middle, low, high;
};

/* The ratio after[i] / before[i] of n pairs: the Hodges-Lehmann estimate of its logarithm and the
 * interval that belongs to Wilcoxon's signed-rank test. It takes nothing for granted but that
 * without a difference either order of a pair is as likely, which measuring in random order makes
 * true by construction: so a claim at 99 % is wrong in 1 of 100, whatever the noise looks like. */
struct ratio ratio_of_pairs(const double *before, const double *after, size_t n, double confidence);

/* The fewest pairs with which there can be an interval of that confidence. */
size_t pairs_needed(double confidence);

double median(const double *values, size_t n);

#endif
