/* chaos.c - see chaos.h */
#include "sched/chaos.h"

#include "sched/event.h"
#include "sched/runtime.h"

#include <sys/syscall.h>
#include <time.h>

bool chaos_on;

static struct chaos_config config;
static bool several_ps;
static _Atomic uint64_t decisions;
static _Atomic uint64_t fingerprint;

/* splitmix64, S. Vigna: any input is a good one. */
static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void chaos_start(const struct chaos_config *cfg, uint32_t procs) {
    config = *cfg;
    several_ps = procs > 1;
    atomic_store(&decisions, 0);
    atomic_store(&fingerprint, 0);
    chaos_on = cfg->on;
}

/* Number and hash of the next decision; false outside the window. */
static bool next_decision(uint64_t *number, uint64_t *hash) {
    *number = atomic_fetch_add_explicit(&decisions, 1, memory_order_relaxed) + 1;
    *hash = mix(config.seed + *number * 0x9e3779b97f4a7c15ULL);
    return *number >= config.from && *number <= config.to;
}

static void tell(uint64_t number, const char *what, const char *where) {
    struct g *g = getg();
    if (config.to - config.from < CHAOS_TOLD)
        complain("chaos %lu: goroutine %lu: %s %s", (unsigned long)number,
                 (unsigned long)(g ? g->id : 0), what, where);
}

bool chaos_draw(uint32_t n, const char *what) {
    uint64_t number, hash;
    bool yes = next_decision(&number, &hash) && hash % n == 0;
    if (yes)
        tell(number, what, "");
    return yes;
}

/* Asleep in the kernel with the P: what others see of an M that the kernel does not run. */
static void be_late(uint64_t hash) {
    struct timespec ts = {0, (long)(hash >> 32) % 20000}; /* up to 20 us and the timer slack */
    sys(SYS_nanosleep, &ts, NULL);
}

/* Mostly a few dozen pauses, which is what closes the gap to a racing M; seldom long. */
void chaos_late_slow(const char *where) {
    uint64_t number, hash;
    if (!several_ps || !next_decision(&number, &hash) || hash % 8)
        return;
    tell(number, "late in", where);
    if (hash / 8 % 16 == 0)
        be_late(hash);
    else
        for (uint64_t i = (hash >> 32) % 200; i; i--)
            arch_pause();
}

void chaos_point_slow(const char *where) {
    struct g *g = getg();
    uint64_t number, hash;
    if (!g || g->is_g0 || LOCKS_HELD(g->locks) || !g_runs(g) || g_waits_alone() ||
        !next_decision(&number, &hash))
        return;
    switch (hash % 16) {
    case 0:
    case 1:
        tell(number, "yields at", where);
        g_yield();
        break;
    case 2:
        tell(number, "goes to the global queue at", where);
        section_enter(g);
        if (g->m->p) {
            event_g(EV_YIELD, g, g->m->p);
            sched_switch(g, FIN_GLOBAL);
        } else {
            g_get_p(g);
        }
        section_leave(g);
        break;
    case 3:
        if (several_ps && hash / 16 % 16 == 0) {
            tell(number, "late at", where);
            be_late(hash);
        }
        break;
    default:
        break;
    }
}

void chaos_note_turn(uint64_t goid) {
    uint64_t f = atomic_load_explicit(&fingerprint, memory_order_relaxed);
    if (!several_ps)
        atomic_store_explicit(&fingerprint, mix(f ^ goid), memory_order_relaxed);
}

uint64_t chaos_decisions(void) { return atomic_load_explicit(&decisions, memory_order_relaxed); }
uint64_t chaos_fingerprint(void) {
    return atomic_load_explicit(&fingerprint, memory_order_relaxed);
}
