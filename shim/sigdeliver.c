/* sigdeliver.c - from the kernel to a handler of the program, on the stack of a goroutine
 *
 * The trampoline is the kernel's handler for everything. It runs on the M's own alternate stack
 * with all signals blocked, and returns soon; program code never runs under it (DANGERS S1, S2).
 *
 *   on a G, no section    the signal goes to whom it belongs (sig_route). If this G has some to
 *                         take now, it goes on in the handler: a frame on the G's stack
 *                         (sigframe.h), called when the trampoline returns.
 *   in a section          runtime locks may be held: the signal is put by (hold), and the section's
 *                         end (signal_attend) takes it up again, in the order in which they came.
 *   in one around a call  that passes on the kernel's mask (mask_shown): no lock is held there. The
 *   that makes a child    signal goes to whom it belongs, this G has its own at the section's end.
 *   g0 without a P        as on a G, but nothing to run here. With a P: as in a section.
 *   a thread of Go's      the handler runs right here, unless in a section
 *   no G                  a thread that libc made for itself: the handler runs right here, as NPTL
 *                         would. In a child of vfork: likewise, it shares our memory.
 *
 * A fault of the program's is delivered at once, on its G; one inside a section, or blocked or
 * without a handler, is left to the default action, which shows the right place in the core.
 */
#include "shim/inherit.h"
#include "shim/signal.h"
#include "shim/wire.h"
#include "sigframe.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* What lies in an M's ext space: the signals that are put by, a ring. The trampoline appends at
 * `tail`, signal_attend takes at `head`, in a section; both on this M, so that one only ever
 * interrupts the other. */
#define HELD_MAX 8
struct m_signals {
    _Atomic uint32_t head, tail;
    bool full;   /* the kernel blocks everything until there is room */
    void *stack; /* the M's alternate one: an M that has ended leaves it to the next */
    siginfo_t info[HELD_MAX];
    struct inherit_saved inherit; /* process.c: vfork has no frame of ours that lasts */
};
_Static_assert(sizeof(struct m_signals) <= M_EXT_SIZE, "struct m_signals");

/* What lies behind a frame's ucontext. */
struct run {
    siginfo_t info;
    void *handler;
    uint64_t flags;
    int sig;
};
_Static_assert(sizeof(struct run) <= ARCH_SIGFRAME_EXT, "struct run");

static struct run *run_of(struct arch_sigframe *f) { return (struct run *)f->ext; }
static uint64_t *uc_mask(void *uc) { return (uint64_t *)((char *)uc + ARCH_UC_SIGMASK); }
static stack_t *uc_stack(void *uc) { return (stack_t *)((char *)uc + ARCH_UC_STACK); }

static void signal_run(struct arch_sigframe *f);

/* ---- the next handler of a G ---- */

static bool on_alternate(const struct thread *t, uintptr_t sp) {
    return sp - (uintptr_t)t->alt.ss_sp < t->alt.ss_size;
}

/* Takes the next signal that t does not block and that has a handler; on the way does what needs
 * none. The mask becomes the handler's. Fills run; false: nothing to run. pc: what it interrupts.
 */
static bool next_handler(struct thread *t, struct run *run, uintptr_t pc) {
    struct g_signals *s = g_signals(t->g);
    for (;;) {
        uint64_t blocked = sig_blocked(t);
        lock_acquire(&sig_lock);
        int sig = sig_take_locked(t, ~blocked, &run->info);
        struct sig_action *a = &sig_actions[sig], was = *a;
        if (sig && sig_has_handler(a) && a->flags & SA_RESETHAND)
            a->handler = SIG_DFL;
        lock_release(&sig_lock);
        if (!sig)
            return false;
        if (sig == SIGCANCEL) { /* like a handler that blocks nothing; a wait notices by itself */
            *run = (struct run){.info = run->info, .handler = (void *)cancel_by_signal, .sig = sig};
            if (cancel_acts_at(t, pc))
                return true;
            continue;
        }
        if (was.handler == SIG_DFL)
            sig_default_now(sig);
        if (!sig_has_handler(&was))
            continue;
        run->sig = sig;
        run->handler = was.handler;
        run->flags = was.flags;
        blocked |= was.mask | (was.flags & SA_NODEFER ? 0 : sig_bit(sig));
        atomic_store_explicit(&s->blocked, blocked & ~SIG_UNBLOCKABLE, memory_order_relaxed);
        t->handlers_run += 1 + (was.flags & SA_RESTART ? 0 : HANDLER_ENDS);
        return true;
    }
}

/* t's interrupted context goes on in the handler of its next signal. False: it has none to take. */
static bool inject_one(struct thread *t, void *kernel_uc) {
    uint64_t blocked = sig_blocked(t);
    struct run run;
    if (!(sig_pending(t) & ~blocked) || !next_handler(t, &run, arch_uc_pc(kernel_uc)))
        return false;
    if (run.flags & SA_RESTART && syscall_inside() && arch_uc_call_ended(kernel_uc))
        t->handlers_run += HANDLER_ENDS; /* signal(7): some calls never go on, nor with a timeout */
    if (t->mask_lent)
        blocked = t->mask_after;
    t->mask_lent = false;
    uintptr_t top = 0;
    if (run.flags & SA_ONSTACK && t->alt.ss_size && !on_alternate(t, arch_uc_sp(kernel_uc)))
        top = (uintptr_t)t->alt.ss_sp + t->alt.ss_size;
    struct arch_sigframe *f = arch_sigframe_push(kernel_uc, top, NULL);
    memcpy(f->ext, &run, sizeof run);
    *uc_mask(f->uc) = blocked;
    *uc_stack(f->uc) = t->alt;
    uc_stack(f->uc)->ss_flags |= !t->alt.ss_size                          ? SS_DISABLE
                                 : on_alternate(t, arch_uc_sp(kernel_uc)) ? SS_ONSTACK
                                                                          : 0;
    if (t->alt.ss_flags & (int)SS_AUTODISARM)
        t->alt = (stack_t){0};
    arch_sigframe_enter(kernel_uc, f, signal_run);
    return true;
}

/* As the kernel does, frames for all that the handlers so far do not block: the last one runs
 * first. */
static void inject(struct thread *t, void *kernel_uc) {
    while (inject_one(t, kernel_uc))
        continue;
}

/* ---- the trampoline ---- */

static _Atomic uint64_t arrivals;
uint64_t signal_arrivals(void) { return atomic_load_explicit(&arrivals, memory_order_acquire); }

/* Puts the signal by until the section ends. Where a kernel mask is set on purpose in a section,
 * for a child to inherit, it stays as it is unless there are too many. */
static void hold(int sig, const siginfo_t *info, void *kernel_uc) {
    struct m_signals *ms = m_ext();
    uint32_t tail = atomic_load_explicit(&ms->tail, memory_order_relaxed);
    uint32_t n = tail - atomic_load_explicit(&ms->head, memory_order_relaxed);
    if (n < HELD_MAX) {
        ms->info[tail % HELD_MAX] = *info;
        ms->info[tail % HELD_MAX].si_signo = sig;
        atomic_store_explicit(&ms->tail, tail + 1, memory_order_release);
    } else { /* a mask was changed although it is full: back to this thread in the kernel */
        sys(SYS_rt_tgsigqueueinfo, signal_pid, sys(SYS_gettid), sig, info);
    }
    if (n + 1 >= HELD_MAX) {
        ms->full = true;
        *uc_mask(kernel_uc) = ~(SIG_SYNC | SIG_RESERVED);
        m_mask_note(UINT64_MAX);
    }
    m_attention();
}

static bool is_fault(int sig, const siginfo_t *info) {
    return SIG_SYNC & sig_bit(sig) && info->si_code > 0;
}

/* Runs the handler as the kernel would, on a thread that is no goroutine. */
static void run_here(int sig, siginfo_t *info, void *kernel_uc) {
    struct sig_action a = sig_actions[sig];
    if (!sig_has_handler(&a)) {
        if (is_fault(sig, info))
            sig_kernel_default(sig);
        else if (a.handler == SIG_DFL)
            sig_default_now(sig);
        return;
    }
    if (a.flags & SA_RESETHAND)
        sig_actions[sig].handler = SIG_DFL;
    uint64_t mask = *uc_mask(kernel_uc) | a.mask | (a.flags & SA_NODEFER ? 0 : sig_bit(sig));
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    ((void (*)(int, siginfo_t *, void *))a.handler)(sig, info, kernel_uc);
}

/* libc's cancellation of a thread that is libc's: what its own handler would do. */
static void cancel_libc_thread(const siginfo_t *info, void *kernel_uc) {
    if (info->si_code != SI_TKILL || info->si_pid != signal_pid ||
        !(atomic_load(tcb_cancelhandling(arch_tp())) & CANCEL_ASYNC ||
          cancel_ends_call(arch_uc_pc(kernel_uc))))
        return;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, uc_mask(kernel_uc), NULL, sizeof(uint64_t));
    next(pthread_testcancel)();
}

/* The kernel sends some to the thread that causes them, and says it was the process. */
static bool is_for_thread(int sig, const siginfo_t *info) {
    return info->si_code == SI_TKILL || is_fault(sig, info) ||
           (sig == SIGPIPE && info->si_code == SI_USER && info->si_pid == signal_pid);
}

/* The instruction runs again, with the default action. t: the G, or NULL. */
static void fault_ends(const struct thread *t, int sig, const siginfo_t *info, void *kernel_uc) {
    if (t && sig == SIGSEGV && sig_actions[sig].handler == SIG_DFL)
        overflow_say(t, info, kernel_uc);
    sig_kernel_default(sig);
}

/* A fault at this G: its handler now, or the default action when the instruction runs again. */
static void fault(struct thread *t, int sig, const siginfo_t *info, void *kernel_uc) {
    struct sig_action *a = &sig_actions[sig];
    if (!t || sig_blocked(t) & sig_bit(sig) || !sig_has_handler(a) ||
        sig_route(sig, info, t) != 0) {
        fault_ends(t, sig, info, kernel_uc);
        return;
    }
    inject(t, kernel_uc);
}

/* To whom it belongs. t: the G that runs, NULL on g0: then the M may still be one G's alone. */
static void give_on(struct thread *t, int sig, const siginfo_t *info) {
    if (sig_is_kick(info))
        return;
    struct g *wired = t ? NULL : g_of_wired_m();
    t = wired ? thread_of(wired) : t;
    sig_route(sig, info, is_for_thread(sig, info) ? t : sig_timer_thread(info));
    atomic_fetch_add_explicit(&arrivals, 1, memory_order_release);
}

/* SIGQUIT dumps everything, from wherever it comes: it is asked for when nothing moves. */
static bool dumps(int sig) {
    if (sig != SIGQUIT || !sigquit_dumps)
        return false;
    stats_print();
    dump_goroutines(2);
    return true;
}

/* t: the G that is interrupted, or NULL on g0. */
static void arrive(struct thread *t, int sig, const siginfo_t *info, void *kernel_uc) {
    /* No G wants these: from now on not here either. */
    uint64_t unwanted = signals_unwanted();
    if (unwanted & ~*uc_mask(kernel_uc)) {
        *uc_mask(kernel_uc) |= unwanted;
        m_mask_note(*uc_mask(kernel_uc));
    }
    give_on(t, sig, info);
    if (t)
        inject(t, kernel_uc);
}

/* A thread of Go's runtime (wire.c), which changes its mask and alternate stack by instructions of
 * its own: its handlers run as the kernel lets them, on its kernel thread, here. */
static void arrive_go(struct thread *t, int sig, siginfo_t *info, void *kernel_uc) {
    if (!sig_is_kick(info)) {
        run_here(sig, info, kernel_uc);
        return;
    }
    siginfo_t queued;
    do {
        lock_acquire(&sig_lock);
        sig = sig_take_locked(t, ~SIG_UNBLOCKABLE, &queued);
        lock_release(&sig_lock);
        if (sig)
            run_here(sig, &queued, kernel_uc);
    } while (sig);
}

void signal_trampoline(int sig, siginfo_t *info, void *kernel_uc);
void signal_trampoline(int sig, siginfo_t *info, void *kernel_uc) {
    struct g *g = getg();
    struct thread *t = g && !g_is_g0(g) ? thread_of(g) : NULL;
    long pid = sys(SYS_getpid);
    if (!g && sig == SIGCANCEL) {
        cancel_libc_thread(info, kernel_uc);
        return;
    }
    if (!g || (pid != signal_pid && t && t->vforked)) {
        run_here(sig, info, kernel_uc);
        return;
    }
    if (pid != signal_pid) {
        /* A fork's child that has not been rebuilt yet: signal_reset_child lets it come again. */
        *uc_mask(kernel_uc) = UINT64_MAX;
        sys(SYS_rt_tgsigqueueinfo, pid, sys(SYS_gettid), sig, info);
        return;
    }
    if (dumps(sig))
        return;
    /* It is here for faults only (overflow.c): one that was sent ends the process at once. */
    if (sig == SIGSEGV && !is_fault(sig, info) && sig_only_faults(sig)) {
        sig_default_now(sig);
        return;
    }
    if (t && unlikely(t->wire & WIRE_GO) && !section_inside()) {
        arrive_go(t, sig, info, kernel_uc);
        return;
    }
    if (t && t->mask_shown && section_only_one()) {
        give_on(t, sig, info);
        m_attention();
        return;
    }
    if (section_inside()) {
        if (is_fault(sig, info))
            fault_ends(t, sig, info, kernel_uc);
        else if (sig_is_kick(info))
            m_attention();
        else
            hold(sig, info, kernel_uc);
        return;
    }
    handler_section_begin();
    if (is_fault(sig, info))
        fault(t, sig, info, kernel_uc);
    else
        arrive(t, sig, info, kernel_uc);
    handler_section_end();
}

/* SIG_RUNTIME. Neither this nor the trampoline is interrupted by the other: what they find must be
 * the G, not the other's work on the M's alternate stack. */
static void on_runtime_signal(int sig, siginfo_t *info, void *kernel_uc) {
    struct g *g = getg();
    (void)sig;
    if (info->si_code == SI_TKILL) {
        setxid_answer();
    } else if (sig_is_kick(info) && g) {
        m_preempt_arrived();
        if (!g_is_g0(g) && wire_asked(thread_of(g)))
            m_attention(); /* if it does not come to it here */
        if (!g_is_g0(g) && !section_inside() && !syscall_inside()) {
            handler_section_begin();
            preempt_here(thread_of(g), kernel_uc);
            handler_section_end();
        }
    }
}

void signal_runtime_start(void) {
    struct arch_sigaction sa = {
        .handler = (void *)on_runtime_signal,
        .flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | ARCH_SA_RESTORER,
        .restorer = (void *)arch_sigreturn,
        .mask = ~SIG_SYNC,
    };
    sys(SYS_rt_sigaction, SIG_RUNTIME, &sa, NULL, sizeof sa.mask);
}

/* ---- the end of a section ---- */

/* Routes what was put by on this M, and what comes meanwhile. In a section: a handler that jumped
 * out would lose what we have in hand. */
static void attend_held(struct m_signals *ms) {
    uint32_t head;
    struct g *g = getg();
    struct thread *t = g_is_g0(g) ? NULL : thread_of(g);
    while ((head = atomic_load_explicit(&ms->head, memory_order_relaxed)) !=
           atomic_load_explicit(&ms->tail, memory_order_acquire)) {
        siginfo_t info = ms->info[head % HELD_MAX];
        atomic_store_explicit(&ms->head, head + 1, memory_order_release);
        give_on(t, info.si_signo, &info);
    }
    ms->full = false;
    m_mask_follow(); /* a switch leaves it to us while there is something to attend to */
}

void signal_attend(void) {
    section_begin();
    m_attention_clear();
    attend_held(m_ext());
    section_end();
    if (!g_is_g0(getg()))
        wire_attend();
    signal_deliver_now();
}

/* The kernel interrupts us, so that the handler gets a true context of where we are. */
void signal_deliver_now(void) {
    struct g *g = getg();
    if (!g || g_is_g0(g))
        return;
    struct thread *t = thread_of(g);
    uint64_t due = sig_pending(t) & ~sig_blocked(t) & ~sig_bit(SIG_RUNTIME);
    if (due && !sig_kick((int32_t)sys(SYS_gettid), __builtin_ctzll(due) + 1))
        g_attention(g); /* at the end of the next section */
}

/* ---- on the goroutine's stack ---- */

/* As rt_sigreturn does: what the frame says becomes the G's. A section lasts from here to the next
 * handler's start or to signal_run's end, so that a signal cannot come between. */
static bool leave_handler(struct thread *t, struct arch_sigframe *f) {
    const stack_t *ss = uc_stack(f->uc);
    if (!on_alternate(t, (uintptr_t)f)) {
        t->alt = *ss;
        t->alt.ss_flags &= (int)SS_AUTODISARM;
        if (ss->ss_flags & SS_DISABLE)
            t->alt = (stack_t){0};
    }
    uint64_t back = *uc_mask(f->uc) & ~SIG_UNBLOCKABLE, was = sig_blocked(t);
    atomic_store_explicit(&g_signals(t->g)->blocked, back, memory_order_seq_cst);
    if (was & ~back)
        signals_want(was & ~back);
    if (was & ~back)
        sig_take_over(~back);
    /* What waits goes on the same frame: as if it had come at this very return. */
    return sig_pending(t) & ~back && next_handler(t, run_of(f), arch_uc_pc(f->uc));
}

/* The handler has forked, and this is the child, without a runtime: the kernel's part of it. */
static void leave_in_child(struct arch_sigframe *f) {
    sys(SYS_sigaltstack, uc_stack(f->uc), NULL); /* fails on that very stack: it is set then */
    sys(SYS_rt_sigprocmask, SIG_SETMASK, uc_mask(f->uc), NULL, sizeof(uint64_t));
}

/* Entered through arch_sig_enter. */
static void signal_run(struct arch_sigframe *f) {
    struct thread *t = thread_self();
    struct waiter saved = lot_save(t->g);
    /* The handler runs with a P, and may wait as any code. */
    bool in_call = syscall_inside(), forked = false, more;
    if (in_call)
        syscall_exit();
    do {
        struct run *run = run_of(f);
        ((void (*)(int, siginfo_t *, void *))run->handler)(run->sig, &run->info, f->uc);
        if (t != thread_self()) { /* in a fork's child; maybe it has a runtime again */
            t = thread_self();
            forked = true;
        }
        if (!t) {
            leave_in_child(f);
            return;
        }
        section_begin();
        more = leave_handler(t, f);
        if (more) {
            arch_fp_clean();
        } else if (!forked) {
            lot_restore(t->g, &saved);
            in_call = in_call && syscall_enter();
        }
        section_end();
    } while (more);
}

struct inherit_saved *signal_m_inherit(void) {
    return &((struct m_signals *)m_ext())->inherit;
}

/* ---- the Ms' alternate stacks ---- */

/* The frame the kernel makes (up to 11 KB with AMX), the trampoline, and a dump on SIGQUIT. */
#define M_SIGNAL_STACK (64UL << 10)

bool signal_m_prepare(void *m_ext) {
    struct m_signals *ms = m_ext;
    if (!ms->stack)
        ms->stack = mem_permanent(M_SIGNAL_STACK, 4096);
    return ms->stack != NULL;
}

void signal_m_cool(void *m_ext) {
    struct m_signals *ms = m_ext;
    if (ms->stack)
        sys(SYS_madvise, ms->stack, M_SIGNAL_STACK, MADV_DONTNEED);
}

bool signal_m_stack(void) {
    struct m_signals *ms = m_ext();
    signal_m_prepare(ms); /* the first M was not prepared */
    stack_t ss = {.ss_sp = ms->stack, .ss_size = M_SIGNAL_STACK};
    stack_t old = {0};
    struct g *g = getg();
    struct thread *t = g && !g_is_g0(g) ? thread_of(g) : NULL;
    if (!ss.ss_sp || sys(SYS_sigaltstack, &ss, &old) < 0)
        return false;
    if (t && !(old.ss_flags & SS_DISABLE)) /* the first thread's own */
        t->alt = (stack_t){old.ss_sp, old.ss_flags & (int)SS_AUTODISARM, old.ss_size};
    return true;
}
