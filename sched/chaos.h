/* chaos.h - a scheduler that misbehaves on purpose, from a seed (GTHREAD_DEBUG=chaos=SEED)
 *
 * What happens once in a million runs should happen in a test. Under chaos every scheduling point
 * is a numbered decision: go on, yield, go to the far end of the queue, be late, lose the P, fail
 * an inner try. Decision number k of a seed is a hash of both, so it does not depend on what was
 * decided before, and a window FROM-TO of numbers can be switched off from both ends until the
 * shortest failing run is left (tools/chaos-shrink).
 *
 * With one P nothing else decides the schedule of a program that does not wait for deadlines or
 * the kernel: the same seed gives the same run. Related work: rr's chaos mode (R. O'Callahan),
 * PCT (S. Burckhardt et al., ASPLOS 2010).
 */
#ifndef GTHREAD_CHAOS_H
#define GTHREAD_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

/* Constant after sched_start. */
extern bool chaos_on __attribute__((visibility("hidden")));

/* The settings: seed 0 is a seed like others. Decisions outside from..to (both included) are left
 * to the usual rules; with a window of up to CHAOS_TOLD each that is taken is told on stderr. */
struct chaos_config {
    bool on;
    uint64_t seed, from, to;
};
#define CHAOS_TOLD 100

void chaos_start(const struct chaos_config *cfg, uint32_t procs);

/* True in one of n decisions; `what` names it when it is told. Any thread. */
bool chaos_draw(uint32_t n, const char *what);
static inline bool chaos(uint32_t n, const char *what) {
    return __builtin_expect(chaos_on, 0) && chaos_draw(n, what);
}

/* Being late, as if the kernel had taken the CPU away here; only with several Ps. Not under a
 * lock that others spin for. */
void chaos_late_slow(const char *where);
static inline void chaos_late(const char *where) {
    if (__builtin_expect(chaos_on, 0))
        chaos_late_slow(where);
}

/* A point where the calling goroutine may lose its turn. G, without runtime locks; else nothing. */
void chaos_point_slow(const char *where);
static inline void chaos_point(const char *where) {
    if (__builtin_expect(chaos_on, 0))
        chaos_point_slow(where);
}

/* With one P: every G that gets its turn enters the fingerprint of the schedule. */
void chaos_note_turn(uint64_t goid);
/* Decisions so far, and the fingerprint: equal for two runs that took the same turns. */
uint64_t chaos_decisions(void);
uint64_t chaos_fingerprint(void);

#endif
