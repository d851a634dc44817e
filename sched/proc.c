/* proc.c - the scheduler: who runs next, on which M, with which P
 *
 * A G that stops picks the next one from its P's own queue and switches to it directly, G to G.
 * Only when there is none does it switch to its M's g0, which looks everywhere else
 * (find_runnable), and sleeps when there is nothing. The outgoing G cannot file itself anywhere
 * while it still stands on its stack, so the incoming side does it (switch_finish), as Linux's
 * finish_task_switch does.
 *
 * How Ms are woken for what is made runnable, and sleep: wake.c.
 *
 * Rejected: one global queue (a lock on every switch), fixed assignment of Gs to Ms (no work
 * conservation), and handing the P over on every system call (ten times slower, DESIGN 2).
 */
#include "sched/event.h"
#include "sched/runtime.h"

#include <sys/syscall.h>

struct sched sched;

/* A P that is never out of work looks at the clock every so many switches, a few us; and every so
 * looks also at the global queue: about as often as Go, which does it every 61 switches.
 * Primes, so that it does not fall in step with the program. Where Gs run long, 65 switches can be
 * a minute: after a time the global queue is due, and with it P's share of it, which then has its
 * turn in the ring. In arch_cycles of 2-3 GHz: 2 ms. */
#define LOOK_EVERY 13
#define GLOBAL_LOOKS 5
#define GLOBAL_CYCLES 5000000
/* A flood of Gs that wake up has P for so long, then a computing one for TURN_MIN_NS: about 1 ms,
 * so that it keeps a third. */
#define RING_CYCLES 2500000
/* A readier that goes on longer than this wakes Ms next times. About what a wake-up costs; in
 * arch_cycles of 2-3 GHz. */
#define LONG_RUN_CYCLES 50000
#define GRACE_CYCLES 6000 /* about 3 us; see moves_on */
/* A G that never waits in its calls looks at the clock for the others every so many of them. */
#define IO_LOOK_EVERY 16
/* How long a busy P leaves the events alone: about 50 us. A bound in switches (Go's 61) is not
 * enough: a listening socket overflows while each G runs long (NETPOLL 4.3). */
#define NETPOLL_CYCLES 120000
#define NETPOLL_QUEUED_CYCLES (10 * NETPOLL_CYCLES)
/* See linger_credit. 50 us would make 10,000 creations 4 % faster, but python_threads and the like
 * use 15 % more CPU. */
#define LINGER_CYCLES 30000

uint64_t rng_next(struct p *p) { /* xorshift64* */
    uint64_t x = p->rng;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    p->rng = x;
    return x * 0x2545f4914f6cdd1dULL;
}

/* ---- making runnable ---- */

static uint32_t ring_length(struct p *p) {
    return atomic_load_explicit(&p->runqtail, memory_order_relaxed) -
           atomic_load_explicit(&p->runqhead, memory_order_relaxed);
}

/* The running G has readied another while it has a turn of the computing ones. Nobody watches
 * every wake-up: it stops itself at the next chance, or has sysmon look when its time is over. */
static __attribute__((noinline)) void woke_another(struct p *p) {
    struct g *g = getg();
    if (!g || g->is_g0 || !sched_by_clock())
        return;
    uint64_t over = atomic_load_explicit(&p->turn_at, memory_order_relaxed) + TURN_MIN_NS;
    if (nanotime() < over)
        sysmon_want_look(over);
    else
        ask_to_yield(p, switches_of(p));
}

/* The caller has put Gs into the global queue, and has no P to run them: an idle M is to, or a G
 * that computes is stopped for them. */
static void queued_without_p(void) {
    if (npidle())
        wakep();
    else
        sysmon_want_look(nanotime());
}

/* p: the caller's, or NULL. next: it is to run when the caller stops. */
static inline void queue_on(struct p *p, struct g *g, bool next) {
    if (!p) {
        lock_acquire(&sched.lock);
        globq_put_locked(g);
        lock_release(&sched.lock);
        queued_without_p();
        return;
    }
    runq_put(p, g, next);
    if (unlikely(atomic_load_explicit(&p->slice_us, memory_order_relaxed)))
        woke_another(p);
    if (sched.cfg.procs == 1) /* it is ours: no idle one that a wake-up could be for */
        return;
    atomic_thread_fence(memory_order_seq_cst); /* submit, (2) */
    if (!npidle())
        return;
    struct g *self = getg();
    bool lone = ring_empty(p);
    if (!lone || self->lone_wakes || chaos(2, "wakes an M"))
        wakep();
    if (lone) /* after the wake-up, whose cost would make any G a long runner for ever */
        self->lone_cycles = arch_cycles();
}

/* Queues a G whose status is RUNNABLE. Any thread. */
void queue_runnable(struct g *g) {
    section_enter_any();
    queue_on(p_self(), g, true);
    section_leave_any();
}

/* Threads begin in the order in which they are made, as a kernel's mostly do: one that finds
 * another about to be next goes behind. */
void queue_new(struct g *g) {
    section_enter_any();
    struct p *p = p_self();
    queue_on(p, g, p && !atomic_load_explicit(&p->runnext, memory_order_relaxed));
    section_leave_any();
}

/* Makes g runnable if it has left its stack; else whoever comes in after it queues it. */
static bool claim_waiting(struct g *g) {
    for (;;) {
        uint32_t s = status_of(g);
        if (s != G_WAITING && s != G_PARKING) {
            wired_ready(g);
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(&g->status, &s,
                                                  s == G_WAITING ? G_RUNNABLE : G_READIED,
                                                  memory_order_acq_rel, memory_order_relaxed))
            return s == G_WAITING;
    }
}

void g_ready(struct g *g) {
    if (claim_waiting(g))
        queue_runnable(g);
}

uint32_t ready_batch(struct wake_list *l) {
    section_enter_any();
    struct p *p = p_self();
    struct g *global = NULL, **end = &global;
    uint32_t n = 0;
    for (struct waiter *w; (w = l->first); n++) {
        l->first = w->next; /* w may be gone once it is ready */
        struct g *g = w->g;
        event_ready(g);
        section_leave_any(); /* lot_dequeue's */
        if (!claim_waiting(g))
            continue;
        if (p) {
            runq_put(p, g, false);
        } else {
            *end = g;
            end = &g->schedlink;
            g->schedlink = NULL;
        }
    }
    l->last = NULL;
    if (global) {
        lock_acquire(&sched.lock);
        for (struct g *next; global; global = next) {
            next = global->schedlink;
            globq_put_locked(global);
        }
        lock_release(&sched.lock);
    }
    if (n && !p) {
        queued_without_p();
    } else if (n && sched.cfg.procs > 1) {
        atomic_thread_fence(memory_order_seq_cst); /* submit, (2) */
        if (npidle() && ring_length(p) > 1)
            wakep();
    }
    section_leave_any();
    return n;
}

/* ---- switching ---- */

/* Learns whether g goes on for long after it readied a lone G: it wakes an M for as many of the
 * next ones as would have cost what this one cost. A spinning G has waited for sysmon, up to 10 ms,
 * for the one it spins on; an interruption by the kernel is soon forgotten. */
static void note_long_run(struct g *g) {
    if (!g->lone_cycles)
        return;
    uint64_t wakes = (arch_cycles() - g->lone_cycles) / LONG_RUN_CYCLES;
    g->lone_cycles = 0;
    if (wakes > g->lone_wakes)
        g->lone_wakes = wakes < UINT8_MAX ? (uint8_t)wakes : UINT8_MAX;
    else if (g->lone_wakes)
        g->lone_wakes--;
}

/* The slice of a G that has yielded behind those that compute. */
#define SLICE_YIELDED (SLICE_US + 1)

/* g comes from the queue of computing Gs. */
static __attribute__((noinline)) void turn_begin(struct p *p, struct g *g) {
    /* Not worth a system call where turns are short: who has yielded mostly does so again. */
    bool lasts = g->slice_us != SLICE_YIELDED && !sched.cfg.preempt_us && sched_by_clock();
    p->turn_cpu = lasts ? m_cpu_time(g->m) : 0;
    g->slice_us = 0;
    g->slice_left = false;
    atomic_store_explicit(&p->turn_at, nanotime(), memory_order_relaxed);
    p->computing_at = arch_cycles();
    p->round_end = atomic_load_explicit(&p->runqtail, memory_order_relaxed);
}

static void exec_prepare(struct m *m, struct g *g) {
    struct p *p = m->p;
    p_count(p, CNT_SWITCH);
    atomic_thread_fence(memory_order_release); /* unseen.c, outside */
    g->m = m;
    m->curg = g;
    status_set(g, G_RUNNING);
    if (unlikely(chaos_on))
        chaos_note_turn(g->id);
    uint32_t slice = g->slice_us;
    atomic_store_explicit(&p->slice_us, slice, memory_order_relaxed);
    if (unlikely(slice))
        turn_begin(p, g);
    event_run(g, p); /* last, when nothing has to be kept for after it */
}

/* Fetches events for p's queue. */
static __attribute__((noinline)) uint32_t net_look_p(struct p *p) {
    uint32_t n = net_poll_now();
    if (n) {
        p_count(p, CNT_NETPOLL);
        event_p(EV_NETPOLL, p, n);
    }
    return n;
}

/* Is a busy P to look for events? While Gs queue, they are looked for ten times more rarely: more
 * come at once then. And not on top of a long queue: what does not fit would go to the global one
 * and wait there for tens of turns of the others. */
static bool net_look_due(struct p *p) {
    return net_poll_due(ring_empty(p) ? NETPOLL_CYCLES : NETPOLL_QUEUED_CYCLES) && runq_has_room(p);
}

/* Is it time to look at one of the global queues, where something is? */
static enum due global_due(struct p *p) {
    if (!atomic_load_explicit(&sched.runqsize, memory_order_relaxed))
        return DUE_NOTHING;
    bool turn = ++p->looks % GLOBAL_LOOKS == 0;
    uint64_t now = sched_by_clock() ? arch_cycles() : 0;
    if (atomic_load_explicit(&sched.ncomputing, memory_order_relaxed) &&
        (now ? now - p->computing_at > RING_CYCLES : turn && !globq_size()))
        return DUE_COMPUTING;
    if (!globq_size())
        return DUE_NOTHING;
    if (now && now - p->global_at > GLOBAL_CYCLES && runq_has_room(p))
        return DUE_SHARE;
    return turn ? DUE_GLOBAL : DUE_NOTHING;
}

/* Fires what is due. True if g0 is to find the next G. */
static __attribute__((noinline)) bool look_around(struct p *p) {
    p->look_in = LOOK_EVERY;
    timers_check(p);
    p->due = global_due(p);
    if (p->due != DUE_SHARE && net_look_due(p)) {
        if (globq_size()) /* they have waited longer than new events, which would take the room */
            p->due = DUE_SHARE;
        else
            net_look_p(p);
    }
    return chaos(2, "looks everywhere for the next one") || p->due != DUE_NOTHING;
}

/* The next G of this P's own queue, if g0 has nothing more urgent to look at. */
static inline struct g *pick_local(struct p *p) {
    if (unlikely(--p->look_in <= 0) && look_around(p))
        return NULL;
    return runq_get(p);
}

static void switch_to(struct g *from, struct g *next, enum finish fin) {
    struct m *m = from->m;
    cpu_switch_if_exact(m, from);
    from->lone_cycles = 0; /* what a deadline has readied meanwhile was not its doing */
    m->prev = from;
    m->finish = fin;
    if (next) {
        p_count(m->p, CNT_DIRECT);
        exec_prepare(m, next);
        arch_switch(&from->ctx, &next->ctx);
    } else {
        m->curg = NULL;
        arch_switch(&from->ctx, &m->g0->ctx);
    }
    switch_finish(from->m); /* maybe another M than before */
}

static void leave_without_p(struct m *m, enum finish fin) {
    if (m->loose)
        loose_end(m);
    else if (fin == FIN_EXIT && m->wired)
        m->ending = true;
}

void sched_switch(struct g *from, enum finish fin) {
    if (LOCKS_HELD(from->locks) || !from->locks)
        throw("sched_switch: a runtime lock is held, or no section open");
    struct p *p = from->m->p;
    note_long_run(from);
    struct g *next = NULL;
    if (likely(p))
        next = pick_local(p);
    else
        leave_without_p(from->m, fin);
    switch_to(from, next, fin);
}

/* prev came out of a system call and found no idle P. One that became idle since then found the
 * global queue empty, so look again under the lock. On g0. */
static void finish_without_p(struct m *m, struct g *prev) {
    lock_acquire(&sched.lock);
    globq_put_locked(prev);
    struct p *p = pidle_get_locked();
    lock_release(&sched.lock);
    if (p) {
        m_acquire_p(m, p);
        sysmon_wake();
    } else {
        sysmon_want_look(nanotime());
    }
}

/* A G that has yielded is in the queue while the one in its place may go on for long: who hands a
 * mutex over to one that then spins on something of the former's. */
static inline void yielded_waits(void) {
    if (sched.cfg.procs == 1)
        return;
    atomic_thread_fence(memory_order_seq_cst); /* submit, (2) */
    if (unlikely(npidle()))
        wakep();
}

void switch_finish(struct m *m) {
    m_signals_follow(m);
    struct g *prev = m->prev;
    enum finish fin = m->finish;
    m->finish = FIN_NONE;
    uint32_t parking = G_PARKING;
    if (fin == FIN_YIELD && unlikely(ring_length(m->p) >= RUNQ_SIZE / 2) && globq_size())
        fin = FIN_GLOBAL; /* its turn is behind theirs, and with it they would find no room here */
    switch (fin) {
    case FIN_NONE:
        break;
    case FIN_PARK:
        chaos_late("FIN_PARK");
        if (atomic_compare_exchange_strong_explicit(&prev->status, &parking, G_WAITING,
                                                    memory_order_acq_rel, memory_order_relaxed))
            break;
        status_set(prev, G_RUNNABLE); /* READIED while it was on its way out */
        queue_runnable(prev);
        break;
    case FIN_YIELD:
        status_set(prev, G_RUNNABLE);
        runq_put(m->p, prev, false);
        yielded_waits();
        break;
    case FIN_GLOBAL:
    case FIN_COMPUTES:
        status_set(prev, G_RUNNABLE);
        lock_acquire(&sched.lock);
        if (fin == FIN_GLOBAL)
            globq_put_locked(prev);
        else
            computing_put_locked(prev);
        lock_release(&sched.lock);
        wakep();
        break;
    case FIN_NO_P:
        status_set(prev, G_RUNNABLE);
        finish_without_p(m, prev);
        break;
    case FIN_EXIT:
        status_set(prev, G_DEAD);
        sched.host->g_exited(prev);
        break;
    case FIN_WIRED:
    case FIN_MOVE:
        wired_finish(m, prev, fin);
        break;
    }
}

static uint32_t gcd(uint32_t a, uint32_t b) {
    while (b) {
        uint32_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* True if victim goes on switching, so that what is in its runnext will run there at once. A pair
 * that wakes each other takes under a microsecond a turn; 3 us are Go's grace. */
static bool moves_on(struct p *victim) {
    uint64_t before = atomic_load_explicit(&victim->counter[CNT_SWITCH], memory_order_relaxed);
    uint64_t start = arch_cycles();
    while (arch_cycles() - start < GRACE_CYCLES && !chaos_on)
        arch_pause();
    return atomic_load_explicit(&victim->counter[CNT_SWITCH], memory_order_relaxed) != before;
}

/* Takes half of another P's ring; with take_next also a lone runnext that stands still. Visits
 * every P once, in a random coprime step, so that thieves spread. */
static struct g *steal_work(struct p *p, bool take_next) {
    uint32_t n = sched.cfg.procs;
    if (n == 1)
        return NULL;
    uint64_t r = rng_next(p);
    uint32_t at = (uint32_t)(r >> 32) % n, step = 1 + (uint32_t)r % n;
    while (gcd(step, n) != 1)
        step--;
    for (uint32_t i = 0; i < n; i++, at = (at + step) % n) {
        struct p *victim = &sched.allp[at];
        if (victim == p || runq_empty(victim))
            continue;
        bool next = take_next && !(ring_empty(victim) && moves_on(victim));
        struct g *g = runq_steal(p, victim, next);
        if (g)
            return g;
    }
    return NULL;
}

static struct g *take_global(struct p *p, uint32_t max) {
    if (!atomic_load_explicit(&sched.runqsize, memory_order_relaxed))
        return NULL;
    lock_acquire(&sched.lock);
    struct g *g = globq_get_locked(p, max);
    lock_release(&sched.lock);
    return g;
}

static struct g *take_computing(void) {
    if (!atomic_load_explicit(&sched.ncomputing, memory_order_relaxed))
        return NULL;
    lock_acquire(&sched.lock);
    struct g *g = computing_get_locked();
    lock_release(&sched.lock);
    return g;
}

static struct g *take_due(struct p *p) {
    enum due due = p->due;
    p->due = DUE_NOTHING;
    if (likely(due == DUE_NOTHING))
        return NULL;
    return due == DUE_COMPUTING ? take_computing() : take_global(p, due == DUE_GLOBAL);
}

/* A G that has yielded while others compute goes behind these. Where all on that list have only
 * yielded, back to the ring, which is the shorter way. */
static enum finish behind_computing(struct g *g, struct g *next) {
    if (next->slice_us == SLICE_YIELDED)
        return FIN_YIELD;
    g->slice_us = SLICE_YIELDED;
    return FIN_COMPUTES;
}

/* Where else there may be a G to yield to. If it is not from p's own queue, its place there is not
 * one that a spinning M was woken for or has seen: the yielding G has to wake one (*fin). */
static __attribute__((noinline)) struct g *find_for_yield(struct g *g, struct p *p,
                                                          enum finish *fin) {
    *fin = FIN_GLOBAL;
    struct g *next = take_due(p);
    if (!next) {
        next = runq_get(p); /* a deadline may have fired */
        if (next) {
            *fin = FIN_YIELD;
            return next;
        }
        next = take_global(p, 0);
    }
    if (!next)
        next = take_computing();
    if (next && next->slice_us)
        *fin = behind_computing(g, next);
    return next ? next : steal_work(p, false);
}

/* Gs that yield all the time keep the ring from ever being empty: the computing ones have a turn
 * after each round of it. */
static __attribute__((noinline)) bool round_is_over(struct p *p) {
    if (atomic_load_explicit(&p->runnext, memory_order_relaxed) ||
        (int32_t)(atomic_load_explicit(&p->runqhead, memory_order_relaxed) - p->round_end) < 0)
        return false;
    p->due = DUE_COMPUTING;
    return true;
}

static inline bool yield_section(struct g *g) {
    struct p *p = g->m->p;
    p_count(p, CNT_YIELD);
    event_yield(g);
    note_long_run(g);
    enum finish fin = FIN_YIELD;
    struct g *next = NULL;
    if (likely(!atomic_load_explicit(&sched.ncomputing, memory_order_relaxed)) || !round_is_over(p))
        next = pick_local(p);
    if (unlikely(!next)) {
        timers_check(p);
        next = find_for_yield(g, p, &fin);
        if (!next) {
            g->lone_cycles = 0;
            event_stay(g);
            return false;
        }
    }
    switch_to(g, next, fin);
    return true;
}

bool g_yield(void) {
    struct g *g = getg();
    if (!g || g->is_g0 || !g_runs(g))
        return false;
    if (unlikely(LOCKS_HELD(g->locks)))
        throw("g_yield: a runtime lock is held");
    section_enter(g);
    bool yielded = g->m->p ? yield_section(g) : loose_yields(g);
    section_leave(g);
    return yielded;
}

void g_io_done(void) {
    chaos_point("a call on a descriptor");
    struct g *g = getg();
    if (unlikely(!g || status_of(g) != G_RUNNING))
        return;
    section_enter(g);
    struct p *p = g->m->p;
    if (unlikely(--p->io_in <= 0)) {
        p->io_in = IO_LOOK_EVERY;
        if (net_look_due(p))
            net_look_p(p);
    }
    yield_if_asked(g);
    section_leave(g);
}

/* ---- finding work (g0) ---- */

/* Another round over all Ps: their queues four times, the last time with runnext and timers. */
static struct g *spin_for_work(struct m *m) {
    for (int round = 0; round < 4; round++) {
        bool last = round == 3;
        if (last) {
            bool fired = false;
            for (uint32_t i = 0; i < sched.cfg.procs; i++)
                fired |= timers_check(&sched.allp[i]);
            struct g *g = fired ? runq_get(m->p) : NULL;
            if (g)
                return g;
        }
        struct g *g = steal_work(m->p, last);
        if (g)
            return g;
    }
    return NULL;
}

static struct g *linger_look(struct m *m) {
    struct g *g = take_global(m->p, 0);
    if (!g)
        g = take_computing();
    return g ? g : steal_work(m->p, false);
}

/* Goes on looking for a while, if that has lately been better than to sleep: a thread that makes
 * threads, or two Ps that feed each other, else pay for a sleep and a wake-up each time. */
static struct g *linger(struct m *m) {
    if (!m->linger_credit)
        return NULL;
    uint64_t start = arch_cycles();
    while (arch_cycles() - start < LINGER_CYCLES) {
        for (int i = 0; i < 10; i++)
            arch_pause();
        struct g *g = any_queued() ? linger_look(m) : NULL;
        if (g) {
            m->linger_credit = LINGER_CREDIT_MAX;
            return g;
        }
        if (timers_next() <= nanotime())
            return NULL;
    }
    m->linger_credit--;
    return NULL;
}

/* The sources that need the P. */
static struct g *find_with_p(struct m *m) {
    struct p *p = m->p;
    timers_check(p);
    struct g *g = take_due(p);
    if (!g && runq_has_room(p) && chaos(8, "takes from the others first")) {
        g = take_global(p, 1);
        g = g ? g : steal_work(p, true);
    }
    if (!g)
        g = runq_get(p);
    if (!g)
        g = take_global(p, 0);
    if (!g && net_poll_due(0) && net_look_p(p))
        g = runq_get(p);
    if (!g)
        g = take_computing();
    if (g)
        return g;
    uint32_t spinners = atomic_load_explicit(&sched.nmspinning, memory_order_relaxed);
    if (!m->spinning) {
        if (sched.cfg.procs == 1 || 2 * spinners >= sched.cfg.procs - npidle())
            return NULL;
        become_spinning(m);
    }
    g = spin_for_work(m);
    return g ? g : linger(m);
}

/* Gives back the P, looks once more ("stop" at the head of this file). True: has a P again. */
static bool stop_and_recheck(struct m *m) {
    lock_acquire(&sched.lock);
    bool again = atomic_load_explicit(&sched.runqsize, memory_order_relaxed) != 0;
    if (!again)
        pidle_put_locked(m_release_p(m));
    lock_release(&sched.lock);
    if (again)
        return true;
    if (m->spinning) {
        m->spinning = false;
        atomic_fetch_sub_explicit(&sched.nmspinning, 1, memory_order_seq_cst);
    }
    chaos_late("stop");
    atomic_thread_fence(memory_order_seq_cst); /* stop, (2) */
    if (!any_queued() && timers_next() > nanotime())
        return false;
    if (!take_idle_p(m))
        return false;
    if (!m->spinning)
        become_spinning(m);
    return true;
}

/* Sleeps as the poller, if there is none, until there is something to do. May come back with a P
 * and with Gs in its queue. */
static void poll_idle(struct m *m) {
    struct net_batch events;
    while (!m->p && poller_wait(&events, TIME_FOREVER)) {
        bool due = timers_next() <= nanotime();
        if (!due && !events.n && npidle())
            continue; /* an earlier deadline was added */
        bool got = take_idle_p(m);
        uint32_t n = net_batch_ready(&events);
        if (got && n) {
            p_count(m->p, CNT_NETPOLL);
            event_p(EV_NETPOLL, m->p, n);
        }
        if (!got)
            break; /* every P has an M: these look at timers and events, or sysmon for them */
        timers_check(m->p);
        if (timers_next() != TIME_FOREVER)
            wakep(); /* somebody has to sleep for the rest */
    }
}

/* NULL: m has been wired, or is to end. */
static struct g *find_runnable(struct m *m) {
    for (;;) {
        if (!m->p && !stopm(m))
            return NULL;
        struct g *g = find_with_p(m);
        if (g)
            return g;
        if (stop_and_recheck(m))
            continue;
        /* What came while it held its P; from here on the handler sees to it itself. */
        if (atomic_load_explicit(&m->attention, memory_order_relaxed))
            section_attend(m->g0);
        poll_idle(m);
    }
}

/* The life of g0. Entered by a new M, with or without a P. */
void m_loop(struct m *m) {
    for (;;) {
        if (unlikely(m->wired) && !wired_run(m))
            return;
        struct g *g = find_runnable(m);
        if (unlikely(!g)) {
            if (m->ending)
                return;
            continue;
        }
        if (m->spinning)
            reset_spinning(m);
        cpu_switch_if_exact(m, m->g0);
        exec_prepare(m, g);
        m->finish = FIN_NONE;
        arch_switch(&m->g0->ctx, &g->ctx);
        switch_finish(m);
    }
}

bool sched_by_clock(void) { return !chaos_on || sched.cfg.procs > 1; }
uint32_t sched_procs(void) { return sched.cfg.procs; }
bool sched_running(void) { return atomic_load_explicit(&sched.running, memory_order_acquire); }
