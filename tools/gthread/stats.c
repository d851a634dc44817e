/* stats.c - the interval of a ratio from paired measurements (Hollander and Wolfe, Nonparametric
 * Statistical Methods, 3.1 to 3.3)
 */
#include "stats.h"

#include "gthread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median(const double *values, size_t n) {
    double *sorted = NEW_ARRAY(double, n);
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    double m = n ? (sorted[(n - 1) / 2] + sorted[n / 2]) / 2 : NAN;
    free(sorted);
    return m;
}

/* How many of the smallest, and as many of the largest of the n (n + 1) / 2 averages of two lie
 * outside of the interval: the largest number k for which P(T < k) <= tail, where T is the sum of
 * those ranks 1 to n whose difference is positive, each as likely as not. */
static size_t outside(size_t n, double tail) {
    size_t sums = n * (n + 1) / 2 + 1;
    double *p = NEW_ARRAY(double, sums), below = 0;
    p[0] = 1;
    for (size_t rank = 1; rank <= n; rank++)
        for (size_t s = sums; s-- > 0;)
            p[s] = (p[s] + (s >= rank ? p[s - rank] : 0)) / 2;
    size_t k = 0;
    while (k < sums && below + p[k] <= tail)
        below += p[k++];
    free(p);
    return k;
}

size_t pairs_needed(double confidence) {
    size_t n = 1;
    while (outside(n, (1 - confidence) / 2) == 0)
        n++;
    return n;
}

struct ratio ratio_of_pairs(const double *before, const double *after, size_t n,
                            double confidence) {
    struct ratio r = {.known = n > 0};
    for (size_t i = 0; i < n; i++)
        r.known = r.known && before[i] > 0 && after[i] > 0;
    if (!r.known)
        return r;
    size_t m = 0;
    double *averages = NEW_ARRAY(double, n *(n + 1) / 2);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++)
            averages[m++] = (log(after[i] / before[i]) + log(after[k] / before[k])) / 2;
    qsort(averages, m, sizeof *averages, compare_doubles);
    size_t k = outside(n, (1 - confidence) / 2);
    r.enough = k > 0;
    r.middle = exp(median(averages, m));
    r.low = exp(averages[k ? k - 1 : 0]);
    r.high = exp(averages[m - (k ? k : 1)]);
    free(averages);
    return r;
}
