/* wired.c - a goroutine with a kernel thread of its own
 *
 * What the program asks the kernel for one thread (a real-time policy, CPUs, a namespace, a filter)
 * the kernel gives the M that runs the G. So such a G is wired: only that M runs it, and that M
 * runs nothing else and ends with it (Go's LockOSThread). What is different from Go: a wired G
 * holds no P. It runs when the kernel lets it, beside the Ms with Ps, and waits in the kernel: a
 * real-time thread that first had to get a P from others would wait for their time slices, and a
 * pinned one that computes would keep a P from others who may run on other CPUs. To the rest
 * it is a G as any: it waits in the parking lot, and has signals and brackets.
 *
 *   m->wired  meaning               left by
 *   NULL      a usual M             wiring: to g, by g on this M, or by g for an idle M (under
 *                                   sched.lock, which takes it off sched.midle)
 *   g         g's alone             g on this M (g_unwire), or g0 after g's end (m_end)
 *
 * Wiring in place (the usual case): in a section (1) m->wired = g, (2) status RUNNING -> WIRED,
 * (3) m->p = NULL, handoffp. Whoever looks at the status meanwhile finds the G on its M either way.
 * Moving (a G that is not the first thread's, on the process's first kernel thread, or back there):
 *   (1) an idle M x leaves sched.midle, x->wired = g, under sched.lock, (2) g switches away with
 *   FIN_MOVE and its P stays behind, (3) the finisher: status READIED, x->park = 1 (release), wakes
 *   x, (4) x in stopm sees park (acquire), then wired, and goes to wired_run.
 * So g's context is saved before x can see it.
 *
 * Waiting: as in park.c, but the outgoing side is this M's g0, which makes PARKING WIRED_WAITING
 * (FIN_WIRED) and sleeps on the status word itself, with the deadline. The waker's
 * compare-exchange of that word to READIED and its futex_wake are all; a wake-up that comes earlier
 * finds PARKING and makes it READIED, which g0 then finds. The word is the same, so no wake-up is
 * lost; a struct g is never unmapped, so a late futex_wake hits nobody who minds.
 *
 * Threads that a wired G makes are born wired, to an M that its own kernel thread clones:
 *   (1) the G is WIRED_WAITING, m->wired = g, (2) the creator's kernel thread makes the M's, (3)
 * the M says in m->park that it runs, and sleeps in wired_run, (4) the creator tells the layer
 * above the M's id, and readies the G.
 *
 * A wired G can also have a descriptor table of its own (m->own_table), which those that it makes
 * share. The netpoller and what is known of descriptors are about the process's table. So its calls
 * go to the kernel, on its M (net_serves_me), as those of another process would: the pairs of which
 * it has copies have ended, and what it writes is an event of epoll's to the others. The runtime
 * asks its M for nothing that needs a descriptor.
 */
#include "sched/event.h"
#include "sched/runtime.h"

#include <errno.h>
#include <sys/syscall.h>

/* How often and how long g_wire waits for an idle M: the template thread makes one in 100 us, or,
 * where the kernel refuses, goes on trying. The pauses begin short and double. */
#define MOVE_TRIES 1000
#define MOVE_PAUSE_MIN_NS (20 * NSEC_PER_USEC)
#define MOVE_PAUSE_MAX_NS (1 * NSEC_PER_MSEC)

/* ---- becoming wired ---- */

/* An idle M that is, or is not, the process's first kernel thread; wired to g. */
static struct m *take_idle_m(struct g *g, bool first) {
    lock_acquire(&sched.lock);
    struct m **at = &sched.midle, *m;
    while ((m = *at) && m->is_first != first)
        at = &m->schedlink;
    if (m) {
        midle_take_locked(at);
        m->wired = g;
    }
    bool more = sched.nmidle == 0;
    lock_release(&sched.lock);
    if (more)
        m_need_more();
    return m;
}

static void wire_here(struct g *g, struct m *m) {
    struct p *p = m->p;
    event_g(EV_WIRE, g, p);
    cpu_settle(m, g);
    m->wired = g;
    status_set(g, G_WIRED);
    m->p = NULL;
    if (p)
        handoffp(p);
    else if (m->loose)
        loose_end(m);
}

void wired_finish(struct m *m, struct g *prev, enum finish fin) {
    uint32_t parking = G_PARKING;
    if (fin == FIN_WIRED) {
        atomic_compare_exchange_strong_explicit(&prev->status, &parking, G_WIRED_WAITING,
                                                memory_order_acq_rel, memory_order_relaxed);
        return;
    }
    struct m *to = m->move_to;
    status_set(prev, G_READIED);
    atomic_store_explicit(&to->park, 1, memory_order_release);
    futex_wake(&to->park, 1);
}

/* True: g is wired now. False: it must wait for an M. In a section. */
static bool wire_now(struct g *g, bool first) {
    struct m *m = g->m;
    if (m->wired)
        return true;
    struct m *to = m->is_first == first ? NULL : take_idle_m(g, first);
    if (to) {
        m->move_to = to;
        event_g(EV_MOVE, g, m->p);
        sched_switch(g, FIN_MOVE);
        return true;
    }
    /* The first thread's G does well without the first M, if that is busy; nobody else gets it. */
    if (m->is_first && !first)
        return false;
    if (!sched.nmidle) { /* nobody would be left to run the others, if no other comes */
        m_need_more();
        return false;
    }
    wire_here(g, m);
    return true;
}

bool g_wire(bool first) {
    struct g *g = getg();
    bool in_call = syscall_inside(), done = false;
    struct timespec pause = {0, MOVE_PAUSE_MIN_NS};
    if (in_call)
        syscall_exit();
    for (int i = 0; i < MOVE_TRIES && !done; i++) {
        section_enter(g);
        done = wire_now(g, first);
        section_leave(g);
        if (!done) {
            g_yield();
            sys(SYS_nanosleep, &pause, NULL);
            if ((uint64_t)pause.tv_nsec < MOVE_PAUSE_MAX_NS)
                pause.tv_nsec *= 2;
        }
    }
    if (in_call)
        syscall_enter();
    return done;
}

void g_unwire(void) {
    struct g *g = getg();
    section_enter(g);
    cpu_settle(g->m, g);
    g->m->wired = NULL;
    g_get_p(g);
    section_leave(g);
}

void g_ends_first_m(void) { getg()->m->first_ends = true; }

/* ---- a descriptor table of its own ---- */

bool table_is_own(void) {
    struct g *g = getg();
    return g && g->m && g->m->own_table;
}

void table_leaving(struct runtime_fds *were) {
    net_own_fds(were->fd);
    were->fd[2] = unseen_fd();
}

/* A number that others have moved meanwhile may be the program's here. */
void table_left(const struct runtime_fds *were) {
    struct runtime_fds now;
    table_leaving(&now);
    for (int i = 0; i < 3; i++)
        if (now.fd[i] >= 0 && now.fd[i] == were->fd[i])
            sys(SYS_close, now.fd[i]);
    getg()->m->own_table = true;
    g_ends_first_m(); /* or it would keep all that is open in the table */
}

/* ---- looking from outside ---- */

int32_t g_wired_tid(const struct g *g) {
    const struct m *m = *(struct m *const volatile *)&g->m;
    return m && *(struct g *const volatile *)&m->wired == g ? m->tid : 0;
}

struct g *g_wired_to(int32_t kernel_tid) {
    struct m *m = atomic_load_explicit(&sched.allm, memory_order_acquire);
    while (m && m->tid != kernel_tid)
        m = m->alllink;
    return m ? m->wired : NULL;
}

struct g *g_of_wired_m(void) {
    return getg()->m->ending ? NULL : getg()->m->wired;
}

/* ---- waits ---- */

enum park_result wired_wait(struct g *g, struct waiter *w, uint64_t deadline) {
    struct m *m = g->m;
    m->wired_until = deadline;
    m->wired_seq = w->seq;
    if (g_has_signals(g)) /* signal.c, parker (2) */
        g_interrupt(g, true);
    uint32_t readied = G_READIED;
    if (status_of(g) != G_READIED ||
        !atomic_compare_exchange_strong_explicit(&g->status, &readied, G_WIRED,
                                                 memory_order_acq_rel, memory_order_relaxed))
        sched_switch(g, FIN_WIRED);
    else
        event_stay(g);
    w->reason = WAIT_NONE;
    enum park_result result = w->result;
    if (g_has_signals(g))
        atomic_store_explicit(&m->attention, true, memory_order_relaxed);
    section_leave(g);
    return result;
}

void wired_ready(struct g *g) {
    uint32_t waiting = G_WIRED_WAITING;
    if (!atomic_compare_exchange_strong_explicit(&g->status, &waiting, G_READIED,
                                                 memory_order_acq_rel, memory_order_relaxed))
        throw("g_ready: the G does not wait");
    futex_wake(&g->status, 1);
}

/* On g0, until g is READIED. */
static void sleep_for(struct m *m, struct g *g) {
    while (status_of(g) == G_WIRED_WAITING) {
        if (m_needed()) /* what the G left undone when it had no P: somebody must be up */
            wakep();
        if (atomic_load_explicit(&m->attention, memory_order_relaxed))
            section_attend(m->g0);
        if (futex_sleep(&g->status, G_WIRED_WAITING, m->wired_until) == -ETIMEDOUT) {
            m->wired_until = TIME_FOREVER;
            lot_timeout(g, m->wired_seq);
        }
    }
}

bool wired_run(struct m *m) {
    struct g *g = m->wired;
    cpu_settle(m, m->g0); /* what it did before is nobody's */
    while (!m->ending && m->wired == g) {
        sleep_for(m, g);
        cpu_switch_if_exact(m, m->g0);
        g->m = m;
        m->curg = g;
        event_g(EV_RUN_WIRED, g, NULL);
        status_set(g, G_WIRED);
        m->finish = FIN_NONE;
        arch_switch(&m->g0->ctx, &g->ctx);
        switch_finish(m);
    }
    return !m->ending;
}

/* ---- born wired ---- */

static void wired_thread(void *arg) {
    struct m *m = arg;
    m_started(m);
    atomic_store_explicit(&m->park, 1, memory_order_release);
    futex_wake(&m->park, 1);
    m_loop(m);
    m_end(m);
}

static void await_start(struct m *m) {
    bool outer = syscall_enter();
    while (!atomic_load_explicit(&m->park, memory_order_acquire))
        futex_sleep(&m->park, 0, FUTEX_FOREVER);
    if (outer)
        syscall_exit();
    atomic_store_explicit(&m->park, 0, memory_order_relaxed);
}

int g_launch_wired(struct g *g, uintptr_t tp, uintptr_t top, void (*entry)(struct g *g),
                   const void *how, void (*born)(struct g *g, int32_t kernel_tid)) {
    struct m *m = m_get();
    if (!m)
        return EAGAIN;
    g_prepare(g, tp, top, entry);
    status_set(g, G_WIRED_WAITING);
    g->m = m;
    m->wired = g;
    m->own_table = table_is_own();
    m->wired_until = TIME_FOREVER;
    int err = sched.host->thread_spawn(wired_thread, m, m->stack, M_STACK, how);
    if (err) {
        m->wired = NULL;
        m->own_table = false;
        m_unget(m);
        g->m = NULL;
        g_leave();
        return err;
    }
    await_start(m);
    born(g, m->tid);
    wired_ready(g);
    return 0;
}
