/* sysmon.c - the watcher: a kernel thread without a P
 *
 * - takes the P of a G that stays in a bracketed system call (retake),
 * - stops a G that computes while others wait (preempt_running): those that have woken up wait for
 *   TURN_MIN_NS at most, others that compute for a slice (runq.c),
 * - has a G that goes on without a P for long get one (loose.c),
 * - is the poller while all Ps compute (idle.c): wakes whom a deadline or an event is for, and has
 *   a P run it,
 * - takes the P of an M that sleeps in the kernel without having said so (unseen.c),
 * - wakes an M for a queue that stood still (the net under wake.c's rule) and for
 *   deadlines that nobody fired,
 * - notices that CLOCK_REALTIME has been set (timer.c),
 * - looks for events that nobody looks for, and after waits that epoll knows nothing of,
 * - says whose an M's CPU time was, as long as nobody has asked for it (cputime.c),
 * - prints the schedule trace,
 * - looks for a deadlock once all Ps have been idle for a second (deadlock.c).
 *
 * It looks every 20 us, after 50 looks without finding anything ever more rarely down to every
 * 10 ms, in between when a turn or a wait ends, and not at all while all Ps are idle: an idle
 * program uses no CPU. It must never take a lock of libc or the program.
 */
#include "sched/event.h"
#include "sched/runtime.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define TICK_MIN_NS (20 * NSEC_PER_USEC)
#define TICK_MAX_NS (10 * NSEC_PER_MSEC)
#define IDLE_TICKS 50
/* From asking a G to yield to interrupting it: time for some calls of a program that makes any. */
#define GRACE_NS (100 * NSEC_PER_USEC)
/* An interruption that found the G in libc is sent again (preempt.c: ten times at most). */
#define RESEND_NS (2 * NSEC_PER_MSEC)
/* A deadline that a P which switches has left alone for so long is fired here. */
#define OVERDUE_NS (300 * NSEC_PER_USEC)
/* How long an M's CPU clock stands still before the kernel is asked whether it sleeps (some us). */
#define UNSEEN_NS (1 * NSEC_PER_MSEC)
/* With one P under chaos the seed decides, not the clock. Only a G that has computed for so long
 * without a call, of which the seed knows nothing, is interrupted. */
#define CHAOS_CPU_NS (20 * NSEC_PER_MSEC)

/* What sysmon saw of a P at its last look. */
struct look {
    uint64_t sysword;
    uint64_t sys_since;
    uint64_t switches;
    uint64_t stood_since; /* no switch since then, at least */
    /* the G that was asked to yield */
    uint64_t asked_since; /* 0: none was, since the last switch */
    uint64_t cpu_ns;      /* the CPU time of its M then */
    /* its M's CPU clock */
    uint64_t still_since, still_looked, still_cpu;
    bool still_soon; /* it may stand still: the next look is not to wait for other reasons */
    const struct m *sampled_m; /* before the last sleep, if it computed then */
    uint64_t sampled_at, sampled_cpu;
    uint64_t charged_at, charged_gid; /* charge_cpu's last time */
};

/* In arch_cycles, of 2-3 GHz: 10 ms as Go, and 100 us. */
#define NET_BUSY_CYCLES 25000000
#define NET_IDLE_CYCLES 250000
/* A descriptor that has left the process is noticed after twice this; each look costs some ten us,
 * and events for those that have waited so long. */
#define RESCUE_NS (100 * NSEC_PER_MSEC)
#define RESCUE_IDLE_NS (10 * NSEC_PER_MSEC) /* the same when all Ps are idle */
/* How often the clocks are compared; and how long after a deadline of CLOCK_REALTIME it is sysmon's
 * turn to wake up, not the poller's. */
#define CLOCK_LOOK_NS (1 * NSEC_PER_MSEC)
#define CLOCK_LATE_NS (2 * NSEC_PER_MSEC)

static struct look *looks;
static uint64_t rescued_at;
static uint64_t next_look;      /* when there is something to do, as far as the last looks know */
static bool all_compute;        /* at the last look */
static bool interrupted;        /* at the last look: there will be another one soon */
static uint32_t woken_in_globq; /* Gs of the global queue for which no P has been stopped yet */

static void look_at_latest(uint64_t when) {
    if (when < next_look)
        next_look = when;
}

/* Takes p from a G that stays in its system call. Go's rule, retake: after one tick if there is
 * work for p or nobody idle or spinning to do new work; after 10 ms always, so that p becomes idle
 * and sysmon can sleep. */
static bool retake_syscall(struct p *p, struct look *l, uint64_t now) {
    uint64_t w = atomic_load_explicit(&p->sysword, memory_order_acquire);
    if (!(w & 1) || w != l->sysword) {
        l->sysword = w;
        l->sys_since = now;
        return false;
    }
    bool wanted = !runq_empty(p) || npidle() + atomic_load(&sched.nmspinning) == 0;
    if (!(wanted && sched_by_clock()) && now - l->sys_since < SLICE_NS)
        return false;
    uint64_t before = arch_cycles();
    if (!atomic_compare_exchange_strong_explicit(&p->sysword, &w, w + 1, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return false;
    event_retake(before, p);
    handoffp(p);
    return true;
}

/* Who waits for p: Gs that are new or have woken up, in its own queue or for any P, or only some
 * that compute too (runq.c). */
enum wait { NOBODY, COMPUTING, WOKEN_ANY, WOKEN };
static enum wait who_waits_for(struct p *p, uint64_t now) {
    if (!runq_empty(p) ||
        atomic_load_explicit(&p->timer0, memory_order_relaxed) <= now + TIMER_LEAD_NS)
        return WOKEN;
    if (woken_in_globq)
        return WOKEN_ANY;
    return atomic_load_explicit(&sched.runqsize, memory_order_relaxed) ? COMPUTING : NOBODY;
}

/* Is p's M in a system call's bracket? An interruption could cut a call short. */
static bool in_call(struct p *p) {
    return atomic_load_explicit(&p->sysword, memory_order_relaxed) & 1;
}

/* One at a time: the signal queues, and an M that does not run could find many. */
void send_preempt(struct m *m) {
    if (!atomic_exchange_explicit(&m->preempt_sent, true, memory_order_relaxed) &&
        !sched.host->preempt_m(m->tid))
        atomic_store_explicit(&m->preempt_sent, false, memory_order_relaxed);
}

static bool most_of(uint64_t cpu, uint64_t time) { return cpu >= time / 4 * 3; }

/* How much of the time since the last sleep m has not used. */
static uint64_t unused(const struct look *l, const struct m *m, uint64_t cpu, uint64_t now) {
    if (!l->sampled_at || l->sampled_m != m)
        return TIME_FOREVER;
    uint64_t passed = now - l->sampled_at, used = cpu - l->sampled_cpu;
    return used < passed ? passed - used : 0;
}

/* Has m used most of it? */
static bool computes(const struct look *l, const struct m *m, uint64_t cpu, uint64_t now) {
    return unused(l, m, cpu, now) <= (now - l->sampled_at) / 4;
}

/* p's G has had it for a while and others wait, but its M uses no CPU: does it sleep unannounced?
 * Looked at every UNSEEN_NS at most: once more if this is the first time since the last switch, and
 * as long as the M uses little. One that computes is left to the looks that it has for other
 * reasons: nobody waits longer than for a slice and these two. */
static bool retake_unseen(struct p *p, struct look *l, uint64_t now) {
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    uint64_t passed = now - l->still_looked;
    if (!m || in_call(p))
        return false;
    if (l->still_since && passed < UNSEEN_NS) {
        if (l->still_soon)
            look_at_latest(l->still_looked + UNSEEN_NS);
        return false;
    }
    uint64_t cpu = m_cpu_time(m);
    bool first = !l->still_since, moved = first || cpu != l->still_cpu;
    bool used = first ? now - l->sampled_at >= UNSEEN_NS / 2 && computes(l, m, cpu, now)
                      : most_of(cpu - l->still_cpu, passed);
    l->still_soon = moved && !used;
    l->still_looked = now;
    if (l->still_soon)
        look_at_latest(now + UNSEEN_NS);
    if (!moved)
        return unseen_retake(p, m, now - l->still_since >= 2 * SLICE_NS);
    l->still_since = now;
    l->still_cpu = cpu;
    return false;
}

/* Before a sleep that a deadline or an event can end, so that computes() tells at once. */
static void sample_clocks(uint64_t now) {
    for (uint32_t i = 0; i < sched.cfg.procs && !interrupted; i++) {
        struct m *m = atomic_load_explicit(&sched.allp[i].m, memory_order_acquire);
        looks[i].sampled_at = m && all_compute ? now : 0;
        looks[i].sampled_m = m;
        if (m && all_compute)
            looks[i].sampled_cpu = m_cpu_time(m);
    }
}

/* The G on p is to stop: it is asked, and if it does not yield its M is interrupted. But only one
 * that computes: in the kernel, where an M waits, an interruption could show. When a slice is over
 * there is time to see that by its clock, if it does not tell already; if somebody has woken up,
 * the kernel is asked. */
static void preempt_running(struct p *p, struct look *l, enum wait who, uint64_t now) {
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    if (!m || in_call(p))
        return;
    uint64_t cpu = m_cpu_time(m), need = sched_by_clock() ? 0 : CHAOS_CPU_NS;
    bool at_once = sched_by_clock() && !l->asked_since &&
                   (who >= WOKEN_ANY ? computes(l, m, cpu, now) || !m_sleeps(m, true)
                                     : unused(l, m, cpu, now) < GRACE_NS);
    if (sched_by_clock())
        ask_to_yield(p, l->switches);
    else
        atomic_store_explicit(&p->asked_switch, l->switches, memory_order_relaxed);
    if (at_once || (l->asked_since && cpu > l->cpu_ns + need &&
                    (int64_t)(now - l->asked_since) >= (int64_t)GRACE_NS)) {
        l->asked_since = now + RESEND_NS;
        l->cpu_ns = cpu;
        send_preempt(m);
        interrupted |= who >= WOKEN_ANY;
        /* when whoever has woken up has had a turn, or it shows whether the next one computes */
        look_at_latest(now + (who >= WOKEN_ANY ? TURN_MIN_NS : UNSEEN_NS));
    } else if (!l->asked_since) {
        l->asked_since = now;
        l->cpu_ns = cpu;
    }
    if ((int64_t)(now - l->asked_since) < (int64_t)GRACE_NS)
        look_at_latest(l->asked_since + GRACE_NS);
}

/* The G on p has run for so long. Stops it if that is enough, else notes when it will be. */
static void watch_turn(struct p *p, struct look *l, enum wait who, uint64_t now) {
    uint64_t ran = now - l->stood_since;
    uint64_t limit = atomic_load_explicit(&p->slice_us, memory_order_relaxed) * NSEC_PER_USEC;
    uint64_t early = who == COMPUTING && sched_by_clock() ? SLICE_EARLY(limit) : 0;
    if (limit)
        ran = now - atomic_load_explicit(&p->turn_at, memory_order_relaxed);
    if (!limit || !sched_by_clock())
        limit = SLICE_NS;
    if (who >= WOKEN_ANY && sched_by_clock())
        limit = TURN_MIN_NS;
    if ((int64_t)ran < (int64_t)(limit - early)) {
        look_at_latest(now + limit - ran);
        return;
    }
    if (who == WOKEN_ANY)
        woken_in_globq--;
    preempt_running(p, l, who, now);
}

/* GTHREAD_DEBUG=preempt=US */
static void preempt_all(uint64_t now) {
    static uint64_t last;
    if (now - last < sched.cfg.preempt_us * NSEC_PER_USEC)
        return;
    last = now;
    for (uint32_t i = 0; i < sched.cfg.procs; i++) {
        struct p *p = &sched.allp[i];
        struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
        if (m && !in_call(p))
            send_preempt(m);
    }
    loose_look(now, true);
}

/* Whose is the CPU time of its M? */
static void charge_cpu(struct p *p, struct look *l, uint64_t now) {
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    if (now - l->charged_at < TICK_MAX_NS)
        return;
    if (m)
        cpu_sample(m, l->charged_gid);
    l->charged_at = now;
    l->charged_gid = atomic_load_explicit(&sched.next_gid, memory_order_relaxed);
}

static bool look_at(struct p *p, struct look *l, uint64_t now) {
    charge_cpu(p, l, now);
    bool found = retake_syscall(p, l, now);
    uint64_t switches = switches_of(p);
    bool stands = switches == l->switches;
    /* Each is read once: who is not looked at again must count among those that compute, else
     * nobody would be the poller. */
    bool calls = in_call(p), has_slice = atomic_load_explicit(&p->slice_us, memory_order_relaxed);
    if (!stands) {
        l->switches = switches;
        l->stood_since = now;
        l->asked_since = l->still_since = 0;
        if (!has_slice || calls || !sched_by_clock()) /* else its turn tells when it is to end */
            look_at_latest(now + TURN_MIN_NS);
    }
    all_compute &= !calls && (stands || has_slice);
    enum wait who = who_waits_for(p, now);
    if (who != NOBODY &&
        (sched_by_clock() ? stands || has_slice : now - l->stood_since >= SLICE_NS) &&
        retake_unseen(p, l, now))
        return true;
    if (who != NOBODY && atomic_load_explicit(&p->m, memory_order_relaxed))
        watch_turn(p, l, who, now);
    if (stands && npidle() && !runq_empty(p)) {
        wakep();
        found = true;
    }
    return found;
}

/* Where all queues are long, more Gs would only wait elsewhere: in the global queue, out of turn.
 */
static bool some_p_has_room(void) {
    for (uint32_t i = 0; i < sched.cfg.procs; i++)
        if (runq_has_room(&sched.allp[i]))
            return true;
    return false;
}

/* Events that nobody has looked for: if a P is idle, an M becomes the poller; if all run long, the
 * Gs are queued for them. And the waits that nobody but us may end. */
static void look_at_net(uint64_t now) {
    if (net_poll_due(npidle() ? NET_IDLE_CYCLES : NET_BUSY_CYCLES)) {
        if (npidle())
            wakep();
        else if (some_p_has_room())
            net_poll_now();
    }
    if (now - rescued_at >= RESCUE_NS) {
        rescued_at = now;
        net_rescue();
    }
}

/* Deadlines that no P looks at, since all compute or each G runs long. */
static void look_at_timers(uint64_t now) {
    for (uint32_t i = 0; i < sched.cfg.procs && sched_by_clock() && !npidle(); i++) {
        struct p *p = &sched.allp[i];
        uint64_t when = atomic_load_explicit(&p->timer0, memory_order_relaxed);
        if (when <= now && (all_compute || now - when > OVERDUE_NS))
            timers_fire(p);
    }
}

/* In a program without deadlines of CLOCK_REALTIME nobody looks at the clocks. */
static void look_at_clock(uint64_t now) {
    static uint64_t looked;
    if (timers_first_real() == TIME_FOREVER || now - looked < CLOCK_LOOK_NS)
        return;
    looked = now;
    timers_follow_clock();
}

static void look_for_deadline(uint64_t now) {
    if (npidle() || !sched_by_clock())
        return;
    uint64_t when = timers_next();
    if (all_compute && when != TIME_FOREVER)
        look_at_latest(when > now + TIMER_LEAD_NS ? when - TIMER_LEAD_NS : when);
    else if (when != TIME_FOREVER) /* mostly a P looks before, and we would for each of many */
        look_at_latest(when + OVERDUE_NS > now + TURN_MIN_NS ? when + OVERDUE_NS
                                                             : now + TURN_MIN_NS);
    if (!all_compute && atomic_load_explicit(&sched.ncomputing, memory_order_relaxed))
        look_at_latest(now + 2 * TURN_MIN_NS); /* soon they may all compute */
}

static bool look_at_all(uint64_t now) {
    bool found = false;
    look_at_timers(now);
    atomic_store_explicit(&sched.look_wanted, false, memory_order_seq_cst); /* idle.c: before (3) */
    woken_in_globq = npidle() ? 0 : globq_size();
    next_look = TIME_FOREVER;
    interrupted = false;
    all_compute = !npidle();
    for (uint32_t i = 0; i < sched.cfg.procs; i++)
        found |= look_at(&sched.allp[i], &looks[i], now);
    look_at_net(now);
    found |= loose_look(now, false);
    found |= m_rescue(now);
    uint64_t next = timers_next();
    if (next < now && now - next > SLICE_NS && npidle())
        wakep();
    return found;
}

void sysmon_want_look(uint64_t when) {
    atomic_store_explicit(&sched.look_wanted, true, memory_order_seq_cst);
    poller_timer_added(when);
}

void sysmon_wake(void) {
    uint32_t asleep = 1;
    if (atomic_load_explicit(&sched.sysmon_asleep, memory_order_seq_cst) &&
        atomic_compare_exchange_strong_explicit(&sched.sysmon_asleep, &asleep, 0,
                                                memory_order_seq_cst, memory_order_relaxed))
        futex_wake(&sched.sysmon_asleep, 1);
}

/* True until the waits that may need it have been helped: nobody would do it while we sleep. Not at
 * once, for a program that is idle for a moment only. */
static bool rescue_is_due(uint64_t now) {
    if (!net_rescues())
        return false;
    if (now - rescued_at < RESCUE_IDLE_NS)
        return true;
    rescued_at = now;
    return net_rescue();
}

/* How long all must have been idle before that may be a deadlock: long for a moment's idleness, and
 * short for somebody who waits for a word. */
#define DEADLOCK_NS NSEC_PER_SEC

static void sleep_until_woken(void) {
    uint64_t until = deadlock_look_due() ? nanotime() + DEADLOCK_NS : FUTEX_FOREVER;
    while (atomic_load_explicit(&sched.sysmon_asleep, memory_order_seq_cst))
        if (futex_sleep(&sched.sysmon_asleep, 1, until) == -ETIMEDOUT) {
            until = FUTEX_FOREVER;
            deadlock_look();
        }
}

/* The same while there is a deadline of CLOCK_REALTIME, which rules a deadlock out: until that is
 * overdue, which is when the clock has been set. Else the poller comes first, and wakes us. */
static void sleep_until_clock_set(uint64_t first) {
    int r = 0;
    while (r != -ETIMEDOUT && atomic_load_explicit(&sched.sysmon_asleep, memory_order_seq_cst))
        r = futex_sleep(&sched.sysmon_asleep, 1, first + CLOCK_LATE_NS);
}

/* Sleeps until a P is taken from idle. sysmon_asleep and npidle are a Dekker pair: whoever takes
 * the last idle P lowers npidle (seq_cst) and then reads sysmon_asleep. So are sysmon_asleep and
 * m_wanted: who asks for an M stores the one and then reads the other (startm). */
static bool deep_sleep(uint64_t now) {
    if (sched.cfg.schedtrace_ms || npidle() != sched.cfg.procs || m_rescue(now) ||
        rescue_is_due(now))
        return false;
    atomic_store_explicit(&sched.sysmon_asleep, 1, memory_order_seq_cst);
    uint64_t real = timers_first_real();
    bool idle = npidle() == sched.cfg.procs && !m_rescue(now);
    if (idle && real == TIME_FOREVER)
        sleep_until_woken();
    else if (idle)
        sleep_until_clock_set(real);
    atomic_store_explicit(&sched.sysmon_asleep, 0, memory_order_relaxed);
    return true;
}

/* Until then, or until somebody wants a look earlier. While all Ps compute nobody else is the
 * poller, and once it is known that they do, it costs nothing to be it: the first deadline or event
 * ends the sleep, and then they do no more. An M that has become idle meanwhile takes over. */
static void sleep_until(uint64_t until, uint64_t now) {
    struct net_batch events;
    if (all_compute && some_p_has_room()) {
        if (poller_wait(&events, until)) {
            net_batch_ready(&events);
            if (npidle())
                wakep();
            return;
        }
        poller_break(); /* an M that has been the poller since before: it leaves (poll_idle) */
        if (until > now + TURN_MIN_NS)
            until = now + TURN_MIN_NS;
    }
    uint64_t ns = until > now + TICK_MIN_NS ? until - now : TICK_MIN_NS;
    struct timespec ts = {0, (long)ns};
    sys(SYS_nanosleep, &ts, NULL);
}

/* Asks for short turns of the CPU, which lets this thread have it as soon as it wakes up beside
 * those that compute (EEVDF, Linux 6.12: sched_setattr(2) with a runtime). Needs no privilege. */
static void sysmon_be_quick(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {.size = 48, .runtime = 100 * NSEC_PER_USEC};
    long nice = sys(SYS_getpriority, 0 /* PRIO_PROCESS */, 0);
    if (nice < 0)
        return;
    attr.nice = (int32_t)(20 - nice); /* the system call answers 20 - nice */
    sys(SYS_sched_setattr, 0, &attr, 0);
}

bool sysmon_prepare(void) {
    looks = mem_map(sched.cfg.procs * sizeof *looks);
    return looks != NULL;
}

void sysmon_main(void *arg) {
    (void)arg;
    helper_block_signals();
    unseen_start();
    /* The default slack of 50 us would make 20 us ticks 70 us. This thread only: it makes no
     * children. */
    sys(SYS_prctl, PR_SET_TIMERSLACK, 1);
    sysmon_be_quick();
    uint64_t delay = TICK_MIN_NS, next_trace = 0, now = nanotime();
    uint32_t idle = 0;
    for (;;) {
        look_at_latest(now + delay);
        look_for_deadline(now);
        sample_clocks(now);
        sleep_until(next_look, now);
        now = nanotime();
        if (sched.cfg.schedtrace_ms && now >= next_trace) {
            schedtrace_print(now);
            next_trace = now + sched.cfg.schedtrace_ms * NSEC_PER_MSEC;
        }
        if (sched.cfg.preempt_us)
            preempt_all(now);
        look_at_clock(now);
        if (deep_sleep(now)) {
            idle = 0;
            delay = TICK_MIN_NS;
            continue;
        }
        idle = look_at_all(now) || sched.cfg.preempt_us ? 0 : idle + 1;
        if (!idle)
            delay = TICK_MIN_NS;
        else if (idle > IDLE_TICKS && (delay *= 2) > TICK_MAX_NS)
            delay = TICK_MAX_NS;
    }
}
