/* syscall.c - the bracket around system calls that may block
 *
 * The P stays with the G: giving it away on every call made hackbench ten times slower. sysmon
 * takes it when the call lasts longer than a tick and somebody needs it.
 *
 *   p->sysword   meaning                        left by
 *   even v       not in a call                  the owner M: store v+1
 *   odd  v       in the call number v           the returning M: CAS to v+1, keeps the P
 *                                               sysmon: CAS to v+1, the P is sysmon's now
 *
 * Exactly one of the two compare-exchanges succeeds, and v never comes back, so a slow sysmon
 * cannot take a P in a later call of another G. After losing, the M must not touch the P at all.
 * While a G is in the bracket its status is SYSCALL and p_self() is NULL for it. A signal handler
 * of the program that interrupts it there runs outside the bracket (shim/sigdeliver.c).
 */
#include "sched/event.h"
#include "sched/runtime.h"

/* The goroutine whose call is to be bracketed; NULL on g0, without a runtime, or nested. */
static inline struct g *bracket_begin(void) {
    struct g *g = getg();
    if (!g || g->is_g0 || !g_runs(g))
        return NULL;
    section_enter(g);
    g->w.reason = WAIT_SYSCALL;
    g->w.since = arch_cycles();
    return g;
}

bool syscall_enter(void) {
    struct g *g = bracket_begin();
    if (!g)
        return false;
    struct m *m = g->m;
    struct p *p = m->p;
    event_g(EV_CALL, g, p);
    atomic_store_explicit(&g->status, G_SYSCALL, memory_order_relaxed);
    if (likely(p)) { /* else it is wired or loose: there is no P to lose */
        p_count(p, CNT_SYSCALL);
        m->syscall_seq = atomic_load_explicit(&p->sysword, memory_order_relaxed) + 1;
        /* Release: whoever takes the P sees its queues as we left them. */
        atomic_store_explicit(&p->sysword, m->syscall_seq, memory_order_release);
    }
    section_leave(g);
    return true;
}

bool syscall_enter_block(void) {
    struct g *g = bracket_begin();
    if (!g)
        return false;
    struct m *m = g->m;
    struct p *p = m->p;
    event_g(EV_CALL, g, p);
    atomic_store_explicit(&g->status, G_SYSCALL, memory_order_relaxed);
    if (likely(p)) {
        p_count(p, CNT_SYSCALL);
        m->p = NULL;
        handoffp(p);
    }
    section_leave(g);
    return true;
}

/* ---- habits ----
 * A call that lasts keeps others from the P until sysmon comes, some 50 us; giving the P away for a
 * call that does not last costs a fifth of that. So the P is given away where one call in five or
 * more is slow: each adds HABIT_STEP, each other one takes 1 away. And after a slow one there the G
 * goes on without a P (loose.c). */
#define HABIT_STEP 4
#define HABIT_GIVES 16 /* four slow calls in a row, to begin with */
#define HABIT_MAX 64   /* as many short ones forget it */
/* Longer than a hand-over costs: about 20 us, in arch_cycles of 2-3 GHz. */
#define HABIT_SLOW_CYCLES 50000

static bool habit_is_slow(const struct call_habit *h) {
    return atomic_load_explicit(&h->slow, memory_order_relaxed) >= HABIT_GIVES;
}

bool habit_gives(const struct call_habit *h) { return habit_is_slow(h) && p_self(); }

bool syscall_enter_habit(struct call_habit *h) {
    if (likely(!habit_is_slow(h)))
        return syscall_enter();
    struct p *p = p_self();
    return p && p_has_work(p) ? syscall_enter_block() : syscall_enter();
}

/* A lost update is a call not learned from. */
static void habit_learn(struct call_habit *h, bool slow) {
    uint32_t was = atomic_load_explicit(&h->slow, memory_order_relaxed);
    uint32_t now = slow ? was + HABIT_STEP : was ? was - 1 : 0;
    if (now != was && now <= HABIT_MAX)
        atomic_store_explicit(&h->slow, (uint8_t)now, memory_order_relaxed);
}

/* ---- coming back ---- */

/* Has no P: takes an idle one, else waits on the global queue without an M. */
__attribute__((noinline)) void g_get_p(struct g *g) {
    struct m *m = g->m;
    if (m->wired) {
        event_g(EV_CALL_END, g, NULL);
        status_set(g, G_WIRED);
        return;
    }
    m->p = NULL;
    if (!take_idle_p(m)) {
        event_g(EV_NO_P, g, NULL);
        sched_switch(g, FIN_NO_P);
        return;
    }
    event_g(EV_GOT_P, g, m->p);
    if (m->loose)
        loose_end(m);
    status_set(g, G_RUNNING);
}

/* lasted: so did this call, and those from there mostly do. */
static __attribute__((noinline)) void exit_without_p(struct g *g, bool lasted) {
    struct m *m = g->m;
    m->p = NULL;
    if (chaos_on) /* with one P the seed decides who runs, and in each call that one can */
        lasted = sched.cfg.procs > 1 && chaos_draw(2, "goes on without a P");
    if ((!lasted || m->wired) && !m->loose) {
        g_get_p(g);
        return;
    }
    event_g(EV_CALL_END, g, NULL);
    if (lasted && !m->wired)
        loose_begin(g);
    else
        status_set(g, G_LOOSE); /* as before the call */
}

static void bracket_end(bool lasted) {
    struct g *g = getg();
    if (!g || status_of(g) != G_SYSCALL)
        return;
    chaos_late("syscall_exit");
    section_enter(g);
    struct m *m = g->m;
    struct p *p = m->p;
    uint64_t seq = m->syscall_seq;
    if (p && atomic_compare_exchange_strong_explicit(&p->sysword, &seq, seq + 1,
                                                     memory_order_acquire, memory_order_relaxed)) {
        if (sched.cfg.procs > 1 && chaos(8, "loses its P in a system call")) {
            handoffp(p);
            exit_without_p(g, lasted);
        } else {
            event_g(EV_CALL_END, g, p);
            status_set(g, G_RUNNING);
            /* A G that only makes short calls is never retaken; the 10 ms rule reaches it here. */
            yield_if_asked(g);
        }
    } else {
        exit_without_p(g, lasted);
    }
    g->w.reason = WAIT_NONE;
    section_leave(g);
    chaos_point("a system call");
}

void syscall_exit(void) { bracket_end(false); }

void syscall_exit_habit(struct call_habit *h) {
    struct g *g = getg();
    bool slow = false;
    if (g && status_of(g) == G_SYSCALL) {
        slow = arch_cycles() - g->w.since > HABIT_SLOW_CYCLES;
        habit_learn(h, slow);
    }
    bracket_end(slow && habit_is_slow(h));
}

bool g_may_park(void) {
    struct g *g = getg();
    return g && !g->is_g0 && g_runs(g);
}

bool net_serves_me(void) {
    struct g *g = getg();
    if (!g || g->is_g0)
        return false;
    uint32_t s = status_of(g);
    return s == G_RUNNING || s == G_LOOSE || (s == G_WIRED && !g->m->own_table);
}

bool g_waits_alone(void) {
    struct g *g = getg();
    return g && status_of(g) == G_WIRED;
}

bool syscall_inside(void) {
    struct g *g = getg();
    return g && status_of(g) == G_SYSCALL;
}
