/* m.c - kernel threads, and the start of everything
 *
 * Ms are made by one template thread, whose kernel state (mask, affinity, namespaces) nobody has
 * changed, with libc's own thread creation, so that libc knows that the process is threaded. One
 * idle M is always kept ready: a hand-off never has to create one. Creating may take the
 * program's malloc locks, so nobody but the template thread, which holds no P, does it. How Ms
 * end: mfree.c.
 */
#include "sched/event.h"
#include "sched/runtime.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <string.h>

#define HELPER_STACK (128UL << 10)
/* What a failed creation waits before the next try (DANGERS X6), twice as long each time; where a
 * limit of the user's or the container's has been reached, that can be for ever. */
#define RETRY_NS (10 * NSEC_PER_MSEC)
#define RETRY_MAX_NS (160 * NSEC_PER_MSEC)
/* How long all must have stood still for want of an M before somebody is told. */
#define STARVED_NS NSEC_PER_SEC
/* The end of MAKING, some 100 us long, does not wake the template thread. */
#define LOOK_AGAIN_NS (1 * NSEC_PER_SEC)

/* State table of m_wanted, the request to the template thread:
 *   NONE    m_need_more: -> WANTED; template_wake: -> LOOK
 *   LOOK    m_need_more: -> WANTED; template thread: -> NONE
 *   WANTED  template thread: -> MAKING
 *   MAKING  the new M, when it runs: -> NONE; the template thread, if creating failed: -> WANTED */
enum { NONE, LOOK, WANTED, MAKING };
static _Atomic uint32_t m_wanted;

static void m_thread(void *arg) {
    struct m *m = arg;
    m_started(m);
    /* The next request may come as soon as this M can be taken. */
    atomic_store_explicit(&m_wanted, NONE, memory_order_release);
    m_loop(m);
    m_end(m);
}

static int m_thread_bare(void *arg) {
    struct m *m = arg;
    m_started(m);
    m_loop(m);
    m_end(m);
    return 0;
}

/* The template thread makes Ms with libc's function, which takes a lock of the dynamic linker. A G
 * in dlopen can hold that and wait for one that another G holds, which waits for an M: in a queue,
 * or for its deadline, which nobody polls for. So if none comes for so long, sysmon makes one that
 * libc knows nothing of. */
#define RESCUE_AFTER_NS (20 * NSEC_PER_MSEC)

bool m_rescue(uint64_t now) {
    static uint64_t since;
    uint32_t state = atomic_load_explicit(&m_wanted, memory_order_relaxed);
    /* WANTED too: sysmon may have asked just now, and would sleep before MAKING. */
    if ((state != MAKING && state != WANTED) || sched.nmidle ||
        !atomic_load_explicit(&sched.npidle, memory_order_relaxed) || !m_needed()) {
        since = 0;
        return false;
    }
    if (!since)
        since = now;
    if (now - since < RESCUE_AFTER_NS)
        return true;
    since = now;
    struct m *m = m_get();
    if (m && sched.host->thread_spawn_bare(m_thread_bare, m, m->stack, M_STACK))
        m_unget(m);
    return true;
}

void m_need_more(void) {
    uint32_t state = atomic_load_explicit(&m_wanted, memory_order_relaxed);
    while (state == NONE || state == LOOK) {
        if (atomic_compare_exchange_weak_explicit(&m_wanted, &state, WANTED, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            futex_wake(&m_wanted, 1);
            return;
        }
    }
}

void template_wake(void) {
    uint32_t none = NONE; /* in any other state it is awake, or will be in LOOK_AGAIN_NS */
    if (atomic_compare_exchange_strong_explicit(&m_wanted, &none, LOOK, memory_order_acq_rel,
                                                memory_order_relaxed))
        futex_wake(&m_wanted, 1);
}

/* Whether the template thread looks again by itself at what it may give back. It sleeps for good
 * while there is nothing:
 *   putter:   (1) adds something to a list (gfree.c, mfree.c), (2) full barrier, (3) if looks_again
 *             is false: sets it and wakes the template thread.
 *   template: (1) clears it, (2) full barrier, (3) reads the lists' lengths; (4) sleeps without a
 *             time limit if nothing is there.
 * Either the putter sees the cleared word, or the template thread what it has put. */
static _Atomic bool looks_again = true;

void surplus_note(void) {
    atomic_thread_fence(memory_order_seq_cst); /* putter, (2) */
    if (!atomic_load_explicit(&looks_again, memory_order_relaxed)) {
        atomic_store_explicit(&looks_again, true, memory_order_relaxed);
        template_wake();
    }
}

/* Returns when to look again. */
static uint64_t surplus_give_back(uint64_t now) {
    atomic_store_explicit(&looks_again, false, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* template, (2) */
    uint64_t gs = gfree_give_back(now), ms = m_give_back(now), again = gs < ms ? gs : ms;
    if (again != TIME_FOREVER)
        atomic_store_explicit(&looks_again, true, memory_order_relaxed);
    return again;
}

static void pause_ns(uint64_t ns) {
    _Atomic uint32_t never = 0;
    futex_sleep(&never, 0, nanotime() + ns);
}

/* Returns when an M is wanted; prepares stacks and gives back memory meanwhile. */
static void wait_for_request(void) {
    uint32_t state;
    while ((state = atomic_load_explicit(&m_wanted, memory_order_acquire)) != WANTED) {
        if (state == LOOK && !atomic_compare_exchange_strong(&m_wanted, &state, NONE))
            continue;
        if (slot_prepare_ahead())
            continue;
        uint64_t now = nanotime(), again = surplus_give_back(now);
        if (state == MAKING && again > now + LOOK_AGAIN_NS)
            again = now + LOOK_AGAIN_NS;
        futex_sleep(&m_wanted, state == LOOK ? NONE : state, again);
    }
}

static _Atomic uint32_t template_tid; /* 0: it has not run yet */
int32_t sched_clean_tid(void) {
    uint32_t tid;
    while (!(tid = atomic_load_explicit(&template_tid, memory_order_relaxed)))
        futex_sleep(&template_tid, 0, FUTEX_FOREVER);
    return (int32_t)tid;
}

/* The stack for sysmon, if the kernel would not make that at the start; else NULL. */
static void *_Atomic sysmon_later;

/* ---- when the kernel makes no more threads ----
 * Gs go on with the Ms that there are. While the first M is the only one, or there is no sysmon, a
 * call that blocks would stop all of them, so no thread is made either (EAGAIN, as the kernel
 * would say). With more, so many of them can be in such calls that none is left for the others,
 * until a call ends. */
static _Atomic bool none_yet; /* since the start no M has been made, or no sysmon */

bool m_none_yet(void) { return atomic_load_explicit(&none_yet, memory_order_relaxed); }

/* Can no G run, although some could, for want of an M? */
static bool all_starve(uint64_t now) {
    return npidle() == sched.cfg.procs && (any_queued() || timers_next() <= now);
}

static void after_refusal(int err, uint64_t *pause) {
    static uint64_t since;
    static bool told;
    uint64_t now = nanotime();
    if (!all_starve(now)) {
        since = 0;
    } else if (!since) {
        since = now;
    } else if (now - since >= STARVED_NS && !told) {
        told = true;
        complain("no thread can go on before a system call ends: all kernel threads are in calls "
                 "that block, and the system refuses another one (errno %d; a limit on processes?)",
                 err);
    }
    pause_ns(*pause);
    *pause = *pause * 2 < RETRY_MAX_NS ? *pause * 2 : RETRY_MAX_NS;
}

/* 0 or an errno: sysmon or an M could not be made. *m: one that is left from the last try. */
static int make_wanted(struct m **m) {
    void *stack = atomic_load(&sysmon_later);
    int err = stack ? sched.host->thread_spawn(sysmon_main, NULL, stack, HELPER_STACK, NULL) : 0;
    if (err)
        return err;
    atomic_store(&sysmon_later, NULL);
    *m = *m ? *m : m_get();
    err = *m ? sched.host->thread_spawn(m_thread, *m, (*m)->stack, M_STACK, NULL) : ENOMEM;
    if (!err)
        *m = NULL;
    return err;
}

static void template_thread(void *arg) {
    (void)arg;
    helper_block_signals();
    atomic_store_explicit(&template_tid, (uint32_t)sys(SYS_gettid), memory_order_relaxed);
    futex_wake(&template_tid, INT32_MAX);
    struct m *m = NULL;
    uint64_t pause = RETRY_NS;
    for (;;) {
        wait_for_request();
        atomic_store_explicit(&m_wanted, MAKING, memory_order_relaxed);
        int err = make_wanted(&m);
        if (err) {
            after_refusal(err, &pause);
            atomic_store_explicit(&m_wanted, WANTED, memory_order_relaxed);
        } else {
            atomic_store_explicit(&none_yet, false, memory_order_relaxed);
            pause = RETRY_NS;
        }
    }
}

/* The M of the thread that calls sched_start. Its own identity becomes the first G's, so its g0
 * gets another one, and a stack on which m_loop begins when the first G stops. */
static _Atomic bool first_ended;
bool sched_first_m_ended(void) { return atomic_load_explicit(&first_ended, memory_order_acquire); }

static void first_g0_entry(void) {
    struct m *m = getg()->m;
    switch_finish(m);
    m_loop(m);
    /* The first G has changed it and ended: of no use to others, but the process's. */
    if (m->first_ends) {
        m_leave(m);
        atomic_store_explicit(&first_ended, true, memory_order_release);
        sys(SYS_set_tid_address, NULL); /* nobody is to find a 0 in the first G's identity */
        sys(SYS_exit, 0);
    }
    for (;;)
        futex_sleep(&m->park, 0, FUTEX_FOREVER);
}

struct m *m_of_first_thread(uintptr_t g0_tp, void *lo, void *hi) {
    struct m *m = m_new();
    if (!m)
        return NULL;
    atomic_store(&sched.nm, 1);
    m->tid = (int32_t)sys(SYS_gettid);
    m->is_first = m->tid == sys(SYS_getpid);
    g_adopt(m->g0, m, g0_tp, (uintptr_t)lo, (uintptr_t)hi);
    arch_ctx_init(&m->g0->ctx, (uintptr_t)hi, g0_tp, first_g0_entry);
    return m;
}

static int ps_make(uint32_t n) {
    sched.allp = mem_map(n * sizeof *sched.allp);
    if (!sched.allp)
        return ENOMEM;
    for (uint32_t i = n; i-- > 0;) {
        struct p *p = &sched.allp[i];
        p->id = i;
        p->rng = 0x9e3779b97f4a7c15ULL * (i + 1);
        atomic_store(&p->timer0, TIME_FOREVER);
        atomic_store(&p->real0, TIME_FOREVER);
        if (i)
            pidle_put_locked(p); /* no other M yet: no lock needed */
    }
    return 0;
}

/* sysmon and the spare M. Here, not by the template thread: that may have to wait for a lock which
 * only sysmon helps to get free (m_rescue), and whether there can be an M must be known before
 * there is a G that needs it. */
static void start_helpers(void *sysmon_stack) {
    struct m *spare = m_get();
    bool sysmon = !sched.host->thread_spawn(sysmon_main, NULL, sysmon_stack, HELPER_STACK, NULL);
    if (!sysmon)
        atomic_store(&sysmon_later, sysmon_stack);
    atomic_store(&m_wanted, MAKING);
    if (sysmon && spare && !sched.host->thread_spawn(m_thread, spare, spare->stack, M_STACK, NULL))
        return;
    if (spare)
        m_unget(spare);
    atomic_store(&none_yet, true);
    atomic_store(&m_wanted, NONE);
    m_need_more();
}

int sched_start(const struct sched_config *cfg, const struct sched_host *host, uintptr_t g0_tp,
                void *g0_lo, void *g0_hi) {
    sched.cfg = *cfg;
    sched.host = host;
    chaos_start(&cfg->chaos, cfg->procs);
    sched.start_ns = nanotime();
    sched.start_cycles = arch_cycles();
    atomic_store(&sched.next_gid, 1);
    g_init_offset();
    struct g *g = g_new();
    void *template_stack = stack_map(HELPER_STACK), *sysmon_stack = stack_map(HELPER_STACK);
    int err =
        g && template_stack && sysmon_stack && sysmon_prepare() ? ps_make(cfg->procs) : ENOMEM;
    if (err)
        return err;
    struct m *m = m_of_first_thread(g0_tp, g0_lo, g0_hi);
    if (!m)
        return ENOMEM;
    g->id = atomic_fetch_add(&sched.next_gid, 1);
    signals_start();
    lot_start();
    err = host->thread_spawn(template_thread, NULL, template_stack, HELPER_STACK, NULL);
    if (err)
        return err;
    start_helpers(sysmon_stack);
    m->curg = g;
    cpu_settle(m, g); /* what the program has used up to now */
    m_acquire_p(m, &sched.allp[0]);
    atomic_store(&sched.ngs, 1);
    g_adopt(g, m, arch_tp(), 0, 0);
    event_start();
    atomic_store_explicit(&sched.running, true, memory_order_release);
    return 0;
}

void sched_reset_child(void) {
    bool own_table = table_is_own(); /* the child has a copy of that */
    lot_reset_child();
    net_reset_child(own_table);
    mem_reset_child();
    slot_reset_child();
    g_reset_child();
    event_reset_child(own_table);
    memset(&sched, 0, sizeof sched);
    m_free_reset_child();
    atomic_store(&m_wanted, NONE);
    atomic_store(&looks_again, true);
    atomic_store(&template_tid, 0);
    atomic_store(&sysmon_later, NULL);
    atomic_store(&none_yet, false);
    atomic_store(&first_ended, false);
}
