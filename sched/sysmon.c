/* sysmon.c - the watcher: a kernel thread without a P
 *
 * - takes the P of a G that stays in a bracketed system call (retake),
 * - asks a G that has run for 10 ms while others wait to yield, and if it does not, interrupts it
 *   (preempt_running),
 * - takes the P of an M that sleeps in the kernel without having said so (unseen.c),
 * - wakes an M for a queue that stood still (the net under wake.c's rule) and for
 *   deadlines that nobody fired,
 * - looks for events that nobody looks for, and after waits that epoll knows nothing of,
 * - says whose an M's CPU time was, as long as nobody has asked for it (cputime.c),
 * - prints the schedule trace,
 * - looks for a deadlock once all Ps have been idle for a second (deadlock.c).
 *
 * It looks every 20 us, after 50 looks without finding anything ever more rarely down to every
 * 10 ms, and not at all while all Ps are idle: an idle program uses no CPU. It must never take a
 * lock of libc or the program.
 */
#include "sched/runtime.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define TICK_MIN_NS (20 * NSEC_PER_USEC)
#define TICK_MAX_NS (10 * NSEC_PER_MSEC)
#define IDLE_TICKS 50
#define SLICE_NS (10 * NSEC_PER_MSEC) /* as Go: forcePreemptNS */
/* From asking a G to yield to interrupting it: time for some calls of a program that makes any. */
#define GRACE_NS (100 * NSEC_PER_USEC)
/* How long an M's CPU clock stands still before the kernel is asked whether it sleeps (some us). */
#define UNSEEN_NS (1 * NSEC_PER_MSEC)
/* With one P under chaos the seed decides, not the clock. Only a G that has computed for so long
 * without a call, of which the seed knows nothing, is interrupted. */
#define CHAOS_CPU_NS (20 * NSEC_PER_MSEC)

/* What sysmon saw of a P at its last look. */
struct look {
    uint64_t sysword;
    uint64_t sys_since;
    uint32_t schedtick;
    uint64_t tick_since;
    uint64_t switches;
    /* the G that was asked to yield */
    uint64_t asked_since; /* 0: none was, in this tick */
    uint64_t cpu_ns;      /* the CPU time of its M then */
    /* its M's CPU clock */
    uint64_t still_since, still_looked, still_cpu;
    uint64_t sampled_at, sampled_gid;
};

/* In arch_cycles, of 2-3 GHz: 10 ms as Go, and 100 us. */
#define NET_BUSY_CYCLES 25000000
#define NET_IDLE_CYCLES 250000
/* A descriptor that has left the process is noticed after twice this; each look costs some ten us,
 * and events for those that have waited so long. */
#define RESCUE_NS (100 * NSEC_PER_MSEC)
#define RESCUE_IDLE_NS (10 * NSEC_PER_MSEC) /* the same when all Ps are idle */

static struct look *looks;
static uint64_t rescued_at;

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
    if (!atomic_compare_exchange_strong_explicit(&p->sysword, &w, w + 1, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return false;
    handoffp(p);
    return true;
}

/* Has p's G kept others from running, or a deadline of p from firing? */
static bool somebody_waits_for(struct p *p, uint64_t now) {
    return p_has_work(p) || atomic_load_explicit(&p->timer0, memory_order_relaxed) <= now;
}

/* Is p's M in a system call's bracket? An interruption could cut a call short. */
static bool in_call(struct p *p) {
    return atomic_load_explicit(&p->sysword, memory_order_relaxed) & 1;
}

/* One at a time: the signal queues, and an M that does not run could find many. */
static void send_preempt(struct m *m) {
    if (!atomic_exchange_explicit(&m->preempt_sent, true, memory_order_relaxed) &&
        !sched.host->preempt_m(m->tid))
        atomic_store_explicit(&m->preempt_sent, false, memory_order_relaxed);
}

/* p's G has had it for a while and others wait, but its M uses no CPU: does it sleep unannounced?
 * Looked at every UNSEEN_NS at most. */
static bool retake_unseen(struct p *p, struct look *l, uint64_t now) {
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    if (!m || in_call(p) || (l->still_since && now - l->still_looked < UNSEEN_NS))
        return false;
    uint64_t cpu = m_cpu_time(m);
    l->still_looked = now;
    if (!l->still_since || cpu != l->still_cpu) {
        l->still_since = now;
        l->still_cpu = cpu;
        return false;
    }
    return unseen_retake(p, m, now - l->still_since >= 2 * SLICE_NS);
}

/* The G on p did not yield when asked. Its M is interrupted if it computes: one whose clock stands
 * still waits in the kernel, where an interruption could show, or for a CPU. Again after a slice.
 */
static void preempt_running(struct p *p, struct look *l, uint64_t now) {
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    if (!m || in_call(p))
        return;
    uint64_t cpu = m_cpu_time(m), need = sched_by_clock() ? 0 : CHAOS_CPU_NS;
    if (!l->asked_since) {
        l->asked_since = now;
        l->cpu_ns = cpu;
    } else if (cpu > l->cpu_ns + need && (int64_t)(now - l->asked_since) >= (int64_t)GRACE_NS) {
        l->asked_since = now + SLICE_NS;
        l->cpu_ns = cpu;
        send_preempt(m);
    }
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
}

/* Whose is the CPU time of its M? */
static void sample_cpu(struct p *p, struct look *l, uint64_t now) {
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    if (now - l->sampled_at < TICK_MAX_NS)
        return;
    if (m)
        cpu_sample(m, l->sampled_gid);
    l->sampled_at = now;
    l->sampled_gid = atomic_load_explicit(&sched.next_gid, memory_order_relaxed);
}

static bool look_at(struct p *p, struct look *l, uint64_t now) {
    sample_cpu(p, l, now);
    bool found = retake_syscall(p, l, now);
    uint32_t tick = atomic_load_explicit(&p->schedtick, memory_order_relaxed);
    if (tick != l->schedtick) {
        l->schedtick = tick;
        l->tick_since = now;
        l->asked_since = l->still_since = 0;
    } else if (now - l->tick_since >= (sched_by_clock() ? UNSEEN_NS : SLICE_NS) &&
               somebody_waits_for(p, now) && retake_unseen(p, l, now)) {
        found = true;
    } else if (now - l->tick_since >= SLICE_NS && somebody_waits_for(p, now)) {
        if (sched_by_clock())
            atomic_store_explicit(&p->preempt, true, memory_order_relaxed);
        preempt_running(p, l, now);
        found = !l->asked_since || now < l->asked_since + GRACE_NS;
    }
    uint64_t switches = atomic_load_explicit(&p->counter[CNT_SWITCH], memory_order_relaxed);
    if (switches == l->switches && npidle() && !runq_empty(p)) {
        wakep();
        found = true;
    }
    l->switches = switches;
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

static bool look_at_all(uint64_t now) {
    bool found = false;
    for (uint32_t i = 0; i < sched.cfg.procs; i++)
        found |= look_at(&sched.allp[i], &looks[i], now);
    look_at_net(now);
    found |= m_rescue(now);
    uint64_t next = timers_next();
    if (next < now && now - next > SLICE_NS && npidle())
        wakep();
    return found;
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

/* Sleeps until a P is taken from idle. sysmon_asleep and npidle are a Dekker pair: whoever takes
 * the last idle P lowers npidle (seq_cst) and then reads sysmon_asleep. */
static bool deep_sleep(uint64_t now) {
    if (sched.cfg.schedtrace_ms || npidle() != sched.cfg.procs || m_rescue(now) ||
        rescue_is_due(now))
        return false;
    atomic_store_explicit(&sched.sysmon_asleep, 1, memory_order_seq_cst);
    if (npidle() == sched.cfg.procs)
        sleep_until_woken();
    atomic_store_explicit(&sched.sysmon_asleep, 0, memory_order_relaxed);
    return true;
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
    uint64_t delay = TICK_MIN_NS, next_trace = 0;
    uint32_t idle = 0;
    for (;;) {
        struct timespec ts = {0, (long)delay};
        sys(SYS_nanosleep, &ts, NULL);
        uint64_t now = nanotime();
        if (sched.cfg.schedtrace_ms && now >= next_trace) {
            schedtrace_print(now);
            next_trace = now + sched.cfg.schedtrace_ms * NSEC_PER_MSEC;
        }
        if (sched.cfg.preempt_us)
            preempt_all(now);
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
