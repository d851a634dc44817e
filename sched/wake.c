/* wake.c - Ps that are idle, Ms that sleep, and who wakes them
 *
 * Waking Ms. Who makes a G runnable must see to it that a P finds it:
 *   submit:   (1) queue the G, (2) full barrier, (3) if no M spins and a P is idle: wakep.
 *   stop:     (1) a spinning M gives back its P and lowers nmspinning, (2) full barrier,
 *             (3) looks at all queues once more.
 * So either the submitter sees no spinner and wakes one, or the spinner sees the G. At most half
 * of the busy Ps spin; the last spinner that finds work wakes the next (reset_spinning).
 *
 * A G that only moves is always seen in one of the two places (globq_get_locked), or its mover, a
 * spinning M or one that yields, wakes the next.
 *
 * One G in runnext alone is no reason to wake an M: the readier mostly stops at once and runs it
 * itself, and the wake-up costs more than the G (shared/NETPOLL.md, step 5). Two nets hold what
 * this misses: a G that has gone on for long after readying one (lone_wakes) wakes at once,
 * and sysmon wakes an M for a queue that has stood still for a tick.
 */
#include "sched/event.h"
#include "sched/runtime.h"

/* An M that slept for less than 40 us, in arch_cycles of 2-3 GHz, would better have looked on for
 * the 15 us that a sleep and wake-up cost both sides: next times it does (linger in proc.c). */
#define SHORT_SLEEP_CYCLES 80000

struct p *pidle_get_locked(void) {
    struct p *p = sched.pidle;
    if (p) {
        sched.pidle = p->idlelink;
        p->idle = false;
        atomic_fetch_sub_explicit(&sched.npidle, 1, memory_order_seq_cst);
    }
    return p;
}

void pidle_put_locked(struct p *p) {
    p->idle = true;
    p->idlelink = sched.pidle;
    sched.pidle = p;
    atomic_fetch_add_explicit(&sched.npidle, 1, memory_order_seq_cst);
}

void m_acquire_p(struct m *m, struct p *p) {
    m->p = p;
    atomic_store_explicit(&p->m, m, memory_order_relaxed);
}

struct p *m_release_p(struct m *m) {
    struct p *p = m->p;
    m->p = NULL;
    atomic_store_explicit(&p->m, NULL, memory_order_relaxed);
    return p;
}

bool p_has_work(struct p *p) {
    return !runq_empty(p) || atomic_load_explicit(&sched.runqsize, memory_order_relaxed);
}

/* Is there a G that an idle M should fetch? A lone runnext of a P with an M is not (see above). */
bool any_queued(void) {
    if (atomic_load_explicit(&sched.runqsize, memory_order_seq_cst))
        return true;
    for (uint32_t i = 0; i < sched.cfg.procs; i++) {
        struct p *p = &sched.allp[i];
        if (atomic_load_explicit(&p->m, memory_order_relaxed) ? !ring_empty(p) : !runq_empty(p))
            return true;
    }
    return false;
}

/* Must some M be up? For what is queued, or to become the poller for the deadlines. */
bool m_needed(void) {
    return any_queued() || (!atomic_load_explicit(&sched.poll_until, memory_order_seq_cst) &&
                            (timers_next() != TIME_FOREVER || net_running()));
}

/* Nobody will spin after all. Under the lock: a submitter that still counts on it has queued its G
 * before the next P or M becomes idle, which looks at the queues then. */
static void spinner_gone_locked(void) {
    atomic_fetch_sub_explicit(&sched.nmspinning, 1, memory_order_seq_cst);
}

void midle_put_locked(struct m *m) {
    m->schedlink = sched.midle;
    sched.midle = m;
    sched.nmidle++;
}

struct m *midle_take_locked(struct m **at) {
    struct m *m = *at;
    *at = m->schedlink;
    if (--sched.nmidle < sched.midle_lowest)
        sched.midle_lowest = sched.nmidle;
    return m;
}

/* Wakes an idle M to run p. If all Ms are busy, p goes back to the idle list and the template
 * thread makes an M, which looks for an idle P when it is born. No P held or needed. */
void startm(struct p *p, bool spinning) {
    lock_acquire(&sched.lock);
    struct m *m = sched.midle ? midle_take_locked(&sched.midle) : NULL;
    if (!m) {
        pidle_put_locked(p);
        if (spinning)
            spinner_gone_locked();
    }
    bool more = sched.nmidle == 0;
    lock_release(&sched.lock);
    if (m) {
        m->nextp = p;
        m->spinning = spinning;
        atomic_store_explicit(&m->park, 1, memory_order_release);
        futex_wake(&m->park, 1);
    }
    if (more)
        m_need_more();
    sysmon_wake();
}

/* Starts one more spinning M if a P is idle and nobody spins yet. Any thread. */
void wakep(void) {
    uint32_t none = 0;
    if (!npidle() || atomic_load_explicit(&sched.nmspinning, memory_order_relaxed) ||
        !atomic_compare_exchange_strong_explicit(&sched.nmspinning, &none, 1, memory_order_seq_cst,
                                                 memory_order_relaxed))
        return;
    lock_acquire(&sched.lock);
    struct p *p = pidle_get_locked();
    if (!p)
        spinner_gone_locked();
    lock_release(&sched.lock);
    if (p)
        startm(p, true);
}

/* Gives away a P that its M cannot use for now. The caller owns p. */
void handoffp(struct p *p) {
    p_count(p, CNT_HANDOFF);
    event_handoff(p);
    atomic_store_explicit(&p->m, NULL, memory_order_relaxed);
    if (p_has_work(p)) {
        startm(p, false);
        return;
    }
    lock_acquire(&sched.lock);
    pidle_put_locked(p);
    lock_release(&sched.lock);
    atomic_thread_fence(memory_order_seq_cst);
    if (m_needed()) /* as a spinning M that stops: look once more */
        wakep();
}

/* Sleeps until startm hands this M a P. False: it has been wired to a G instead, or is to end. */
bool stopm(struct m *m) {
    uint64_t asleep = arch_cycles();
    event_m(EV_M_SLEEP);
    lock_acquire(&sched.lock);
    midle_put_locked(m);
    bool many = sched.nmidle > m_keep();
    lock_release(&sched.lock);
    if (many)
        surplus_note();
    chaos_late("stopm");
    if (m_needed()) /* somebody may have looked for an idle M just before we were one */
        wakep();
    while (!atomic_load_explicit(&m->park, memory_order_acquire))
        futex_sleep(&m->park, 0, FUTEX_FOREVER);
    atomic_store_explicit(&m->park, 0, memory_order_relaxed);
    event_m(EV_M_WAKE);
    if (m->wired || m->ending)
        return false;
    m_acquire_p(m, m->nextp);
    m->nextp = NULL;
    if (arch_cycles() - asleep < SHORT_SLEEP_CYCLES)
        m->linger_credit = LINGER_CREDIT_MAX;
    return true;
}

void become_spinning(struct m *m) {
    m->spinning = true;
    atomic_fetch_add_explicit(&sched.nmspinning, 1, memory_order_seq_cst);
}

/* A spinning M has found work: the next spinner is its business. */
void reset_spinning(struct m *m) {
    m->spinning = false;
    atomic_fetch_sub_explicit(&sched.nmspinning, 1, memory_order_seq_cst);
    wakep();
}

bool take_idle_p(struct m *m) {
    lock_acquire(&sched.lock);
    struct p *p = pidle_get_locked();
    lock_release(&sched.lock);
    if (p) {
        m_acquire_p(m, p);
        sysmon_wake();
    }
    return p != NULL;
}
