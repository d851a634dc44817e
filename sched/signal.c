/* signal.c - what the scheduler has to know of signals: the kernel's masks, and Gs that have some
 *
 * What a signal means is the layer above's business. Here it is seen to that a G which has one in
 * signals.pending and does not block it gets to host->attend, whatever state it is in:
 *
 *   sender: (1) sets the bit in pending, (2) barrier_all, (3) reads the G's state: ends its wait
 *           (g_interrupt), or, if it runs, interrupts its M in the kernel; if it is runnable,
 *           nothing.
 *   parker: (1) state PARKING, linked, (2) the bucket's unlock is a full barrier; reads pending
 *           and if there is something ends its own wait (lot_wait).
 *   comer:  (1) state RUNNING (exec_prepare), (2) reads pending (m_signals_follow).
 * Between the comer's two steps there is no barrier, a switch would feel it. So the sender makes
 * one on all CPUs with membarrier(2): either it sees RUNNING in (3), or the comer's read comes
 * after the sender's store. The kernel's interruption of an M whose G has changed meanwhile is for
 * nothing and harmless; in a section it only notes itself (m->attention).
 *
 * The kernel's masks. An M blocks `unwanted`: at first everything (sched_start). When a G begins
 * to want one of these, the M on which it runs takes it at once, so there always is one kernel
 * thread that does; the others follow when a G that may want it comes in. What is in no M's mask
 * and wanted by nobody is kept by the layer above when it comes.
 */
#include "sched/runtime.h"

#include <linux/membarrier.h>
#include <signal.h>
#include <sys/syscall.h>

void kernel_mask_set(const uint64_t *mask) {
    sys(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, sizeof *mask);
}

void helper_block_signals(void) {
    uint64_t all = ~sched.host->never_blocked;
    kernel_mask_set(&all);
}

/* On the first thread, before its G is adopted. */
void signals_start(void) {
    uint64_t mask = 0;
    sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    atomic_store(&sched.unwanted, mask);
    atomic_load(&sched.allm)->sigmask = mask;
    sched.fence_switches =
        sys(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
}

/* Blocks less if it blocks what somebody wants. */
void m_mask_follow_slow(struct m *m) {
    uint64_t unwanted = atomic_load_explicit(&sched.unwanted, memory_order_seq_cst);
    if (!(m->sigmask & ~unwanted) || atomic_load_explicit(&m->attention, memory_order_relaxed))
        return; /* attention: a signal may be held, attend will do it */
    m->sigmask = unwanted;
    kernel_mask_set(&m->sigmask);
}

void barrier_all(void) {
    atomic_thread_fence(memory_order_seq_cst);
    if (!sched.fence_switches)
        sys(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* ---- sections ---- */

void handler_section_begin(void) {
    struct g *g = getg();
    g->locks += SECTION_ONE;
    atomic_signal_fence(memory_order_seq_cst);
    section_await_decision(g->m);
}

void handler_section_end(void) {
    atomic_signal_fence(memory_order_seq_cst);
    getg()->locks -= SECTION_ONE;
}

void section_begin(void) { section_enter_any(); }
void section_end(void) { section_leave_any(); }

bool section_inside(void) {
    struct g *g = getg();
    return g && (g->locks || (g->is_g0 && g->m->p));
}

bool section_only_one(void) { return getg()->locks == SECTION_ONE; }

/* The end of the last section on an M that has something to attend to. A g0 with a P is always
 * about to go on to a G or to give the P back. */
__attribute__((noinline)) void section_attend(struct g *g) {
    if (!g->is_g0 || !g->m->p)
        sched.host->attend();
}

void m_attention(void) { atomic_store_explicit(&getg()->m->attention, true, memory_order_relaxed); }

bool m_has_attention(void) {
    return atomic_load_explicit(&getg()->m->attention, memory_order_relaxed);
}

void g_attention(struct g *g) {
    struct m *m = g->m;
    if (m)
        atomic_store_explicit(&m->attention, true, memory_order_relaxed);
}

void m_attention_clear(void) {
    atomic_store_explicit(&getg()->m->attention, false, memory_order_relaxed);
}

void *m_ext(void) { return getg()->m->ext; }

/* ---- the kernel's masks ---- */

uint64_t signals_unwanted(void) {
    return atomic_load_explicit(&sched.unwanted, memory_order_seq_cst);
}

void m_mask_set(uint64_t set) {
    struct m *m = getg()->m;
    if (m->sigmask != set) {
        m->sigmask = set;
        kernel_mask_set(&set);
    }
}

void m_mask_note(uint64_t set) { getg()->m->sigmask = set; }

void m_each(void (*fn)(int32_t tid, uint64_t mask, uint64_t arg), uint64_t arg) {
    struct m *m = atomic_load_explicit(&sched.allm, memory_order_acquire);
    for (; m; m = m->alllink)
        if (m->tid)
            fn(m->tid, m->sigmask, arg);
}

void m_mask_follow(void) { m_mask_set(signals_unwanted()); }

void signals_want(uint64_t set) {
    struct g *g = getg();
    section_enter(g);
    if (atomic_fetch_and_explicit(&sched.unwanted, ~set, memory_order_seq_cst) & set ||
        g->m->sigmask & set)
        m_mask_follow();
    section_leave(g);
}

void signals_unwant(uint64_t set) {
    atomic_fetch_or_explicit(&sched.unwanted, set, memory_order_seq_cst);
}
