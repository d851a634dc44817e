/* cputime.c - what each goroutine has used of the CPU
 *
 * The kernel counts for Ms. Whose the time of an M was is kept exactly from the program's first
 * question on (sched.cpu_exact), so that the switches of programs that never ask stay free. Then
 * each switch takes the cycle counter:
 *   a short run     its cycles are the G's, and counted on the M (cpu_cycles)
 *   a longer one    is settled: what the M's CPU clock has gone on since the last time (cpu_ns),
 * less the cycles counted since, is the G's. So time in which the M waited or did not get a CPU is
 * not. Until then sysmon settles with whichever G it finds on an M every 10 ms, as kernels did that
 * counted ticks: right in the long run, and free.
 *
 *   g->cpu_ns, g->cpu_cycles   only grow; its sum is in both. Written under m->cpu_lock (ns), and
 * by the M at a switch (cycles) m->cpu_ns, m->cpu_cycles   under m->cpu_lock, but for the M's own
 * adding of cycles g->cpu_told                the most that anybody has been told, so that nobody
 * sees it shrink: who looks at a running G may take cycles for more than they turn out
 *
 * Whoever settles or looks reads the M's clock before it takes the lock: a settlement by somebody
 * else in between makes the difference smaller, never larger.
 */
#include "sched/runtime.h"

#include <sys/syscall.h>

/* In arch_cycles of 2-3 GHz. A settlement costs some 300 ns: after a run of 20 us, or after 1 ms of
 * shorter ones, it is about 1 %. */
#define SHORT_RUN_CYCLES 50000
#define UNSETTLED_CYCLES 2500000

static uint64_t cycles_to_ns(uint64_t cycles) {
    if (!cycles)
        return 0;
    double all = (double)(arch_cycles() - sched.start_cycles);
    return (uint64_t)((double)cycles * (double)(nanotime() - sched.start_ns) / all);
}

static void add(_Atomic uint64_t *word, uint64_t n) {
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* What m has used since the last settlement, at `now` of its CPU clock, and no run has got. */
static uint64_t unsettled_locked(struct m *m, uint64_t now) {
    uint64_t known =
        m->cpu_ns + cycles_to_ns(atomic_load_explicit(&m->cpu_cycles, memory_order_relaxed));
    return now > known ? now - known : 0;
}

void cpu_settle(struct m *m, struct g *g) {
    uint64_t now = m_cpu_time(m);
    lock_acquire(&m->cpu_lock);
    if (now > m->cpu_ns) {
        add(&g->cpu_ns, unsettled_locked(m, now));
        m->cpu_ns = now;
        atomic_store_explicit(&m->cpu_cycles, 0, memory_order_relaxed);
    }
    lock_release(&m->cpu_lock);
}

void cpu_switch(struct m *m, struct g *out) {
    uint64_t now = arch_cycles(), ran = now - m->cpu_since;
    m->cpu_since = now;
    if (ran < SHORT_RUN_CYCLES &&
        atomic_load_explicit(&m->cpu_cycles, memory_order_relaxed) < UNSETTLED_CYCLES) {
        add(&out->cpu_cycles, ran);
        add(&m->cpu_cycles, ran);
    } else {
        cpu_settle(m, out);
    }
}

/* sysmon's, every 10 ms. A G that is younger than the last look would get what others have used. */
void cpu_sample(struct m *m, uint64_t born_before) {
    struct g *g = *(struct g *volatile *)&m->curg;
    if (!atomic_load_explicit(&sched.cpu_exact, memory_order_relaxed))
        cpu_settle(m, g && g->id < born_before ? g : m->g0);
}

static bool runs_on(const struct g *g, const struct m *m) {
    return *(struct g *const volatile *)&m->curg == g ||
           *(struct g *const volatile *)&m->wired == g;
}

static uint64_t cpu_known(const struct g *g) {
    return atomic_load_explicit(&g->cpu_ns, memory_order_relaxed) +
           cycles_to_ns(atomic_load_explicit(&g->cpu_cycles, memory_order_relaxed));
}

uint64_t g_cpu_time(struct g *g) {
    atomic_store_explicit(&sched.cpu_exact, true, memory_order_relaxed);
    section_enter_any();
    struct m *m = *(struct m *volatile *)&g->m;
    uint64_t used;
    if (m && runs_on(g, m)) {
        uint64_t now = m_cpu_time(m);
        lock_acquire(&m->cpu_lock);
        used = cpu_known(g) + (runs_on(g, m) ? unsettled_locked(m, now) : 0);
        lock_release(&m->cpu_lock);
    } else {
        used = cpu_known(g);
    }
    section_leave_any();
    uint64_t told = atomic_load_explicit(&g->cpu_told, memory_order_relaxed);
    while (used > told)
        if (atomic_compare_exchange_weak_explicit(&g->cpu_told, &told, used, memory_order_relaxed,
                                                  memory_order_relaxed))
            return used;
    return told;
}

void cpu_reset(struct g *g) {
    atomic_store_explicit(&g->cpu_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&g->cpu_cycles, 0, memory_order_relaxed);
    atomic_store_explicit(&g->cpu_told, 0, memory_order_relaxed);
}
