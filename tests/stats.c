/* stats.c - do the intervals of `gthread compare` keep what they promise? Simulated, from a seed */
#include "stats.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* What stats.c wants of the command. */
void *need(void *p) {
    cr_assert(p, "out of memory");
    return p;
}

static uint64_t state;

static double uniform(void) { /* xorshift64; in (0, 1) */
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

/* Times as machines give them: a floor, a long tail, now and then a run that was disturbed, slowly
 * drifting over a comparison. */
static double noisy(double drift) {
    double t = 1 + 0.02 * drift - 0.03 * log(uniform());
    return uniform() < 0.05 ? t * (1 + uniform()) : t;
}

enum { PAIRS = 12, ROUNDS = 4000 };

/* Of ROUNDS comparisons whose true ratio is `effect`: how often the interval misses it, and how
 * often it shows a difference. */
static void simulate(double effect, double confidence, double *missed, double *shown) {
    int misses = 0, shows = 0;
    state = 88172645463325252u;
    for (int r = 0; r < ROUNDS; r++) {
        double before[PAIRS], after[PAIRS];
        for (int i = 0; i < PAIRS; i++) {
            before[i] = noisy(i);
            after[i] = noisy(i) * effect;
        }
        struct ratio x = ratio_of_pairs(before, after, PAIRS, confidence);
        cr_assert(x.known && x.enough && x.low <= x.middle && x.middle <= x.high);
        misses += effect < x.low || effect > x.high;
        shows += x.low > 1 || x.high < 1;
    }
    *missed = (double)misses / ROUNDS;
    *shown = (double)shows / ROUNDS;
}

/* Without a difference, one is claimed no more often than promised (and a bit, for the simulation's
 * own chance), at several confidences. */
Test(stats, noise_is_no_win) {
    static const double confidence[] = {0.9, 0.95, 0.99};
    for (int i = 0; i < 3; i++) {
        double missed, shown, promised = 1 - confidence[i];
        simulate(1, confidence[i], &missed, &shown);
        cr_assert(shown <= promised + 3 * sqrt(promised / ROUNDS),
                  "confidence %g: %g of comparisons without a difference show one", confidence[i],
                  shown);
    }
}

/* With a difference of 30 % it is found nearly always, and its size is in the interval. */
Test(stats, a_difference_is_found) {
    double missed, shown;
    simulate(0.7, 0.99, &missed, &shown);
    cr_assert(missed <= 0.01 + 3 * sqrt(0.01 / ROUNDS), "the interval misses in %g", missed);
    cr_assert(shown > 0.8, "30 %% less is found in %g only", shown);
}

/* The smallest number of pairs that can show anything: 2 * 0.5^n must be below 1 - confidence. */
Test(stats, few_pairs_show_nothing) {
    cr_assert(pairs_needed(0.95) == 6, "came %zu", pairs_needed(0.95));
    cr_assert(pairs_needed(0.99) == 8, "came %zu", pairs_needed(0.99));
    double before[7], after[7];
    for (int i = 0; i < 7; i++) {
        before[i] = 1;
        after[i] = 100 + i;
    }
    struct ratio r = ratio_of_pairs(before, after, 7, 0.99);
    cr_assert(r.known && !r.enough);
    r = ratio_of_pairs(before, after, 7, 0.95);
    cr_assert(r.enough && r.low >= 100 && r.high <= 106);
}

Test(stats, zero_has_no_ratio) {
    double before[8] = {0}, after[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    cr_assert(!ratio_of_pairs(before, after, 8, 0.95).known);
    cr_assert(!ratio_of_pairs(before, after, 0, 0.95).known);
}

Test(stats, median_of_even_and_odd) {
    double v[] = {3, 1, 2, 10};
    cr_assert(median(v, 3) == 2);
    cr_assert(median(v, 4) == 2.5);
}
