/* sigsend.c - whose a signal is, the queues, and the calls that send
 *
 * A signal for one thread goes to that thread. One for the process goes to a thread that waits for
 * it in sigwait, else to the first thread, which programs expect (the kernel prefers it too), else
 * to the caller's or interrupted one, else to any that does not block it. If there is none it
 * waits in the process's queue for one that unblocks it. From queue to queue it moves under the
 * lock with all of its number (move_number), so that those keep their order.
 *
 * Giving a G a signal: sched/signal.c, sender. Queues are under sig_lock, and so are the bits of
 * signals.pending, which say what the queue holds; the bits alone are read without it.
 */
#include "shim/signal.h"
#include "shim/sigwait.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- nodes: never given back to the kernel ---- */

static struct sig_node *free_nodes; /* sig_lock */
static _Atomic uint32_t nodes_free, nodes_made;
#define NODE_LIMIT 65536 /* queued at once in the process, as RLIMIT_SIGPENDING; then EAGAIN */
#define NODE_BATCH 32
#define NODE_RESERVE 16 /* more threads than this do not come between reserving and taking */

static struct sig_node *process_queue;
static _Atomic uint64_t process_pending;

static struct sig_node *node_get_locked(void) {
    struct sig_node *n = free_nodes;
    if (n) {
        free_nodes = n->next;
        atomic_fetch_sub_explicit(&nodes_free, 1, memory_order_relaxed);
    }
    return n;
}

static void node_free_locked(struct sig_node *n) {
    n->next = free_nodes;
    free_nodes = n;
    atomic_fetch_add_explicit(&nodes_free, 1, memory_order_relaxed);
}

/* Before sig_lock is taken to queue something: memory must not be asked for under it. */
static void nodes_reserve(void) {
    if (atomic_load_explicit(&nodes_free, memory_order_relaxed) >= NODE_RESERVE ||
        atomic_load_explicit(&nodes_made, memory_order_relaxed) >= NODE_LIMIT)
        return;
    struct sig_node *n = mem_permanent(NODE_BATCH * sizeof *n, 16);
    if (!n)
        return;
    lock_acquire(&sig_lock);
    atomic_fetch_add_explicit(&nodes_made, NODE_BATCH, memory_order_relaxed);
    for (int i = 0; i < NODE_BATCH; i++)
        node_free_locked(&n[i]);
    lock_release(&sig_lock);
}

static struct sig_node **queue_of(struct thread *t) { return t ? &t->sig_queue : &process_queue; }
static _Atomic uint64_t *bits_of(struct thread *t) {
    return t ? &g_signals(t->g)->pending : &process_pending;
}

/* A timer has one signal pending at most; what else it would have sent is its overrun. */
static bool overruns(siginfo_t *pending, const siginfo_t *info) {
    if (info->si_code != SI_TIMER || pending->si_code != SI_TIMER ||
        info->si_timerid != pending->si_timerid)
        return false;
    pending->si_overrun += info->si_overrun + 1;
    return true;
}

/* The queue's last link for a signal like this. NULL: there is one already, for the process or for
 * the thread like this one, that stands for both. */
static struct sig_node **place_locked(struct thread *t, int sig, const siginfo_t *info,
                                      bool for_process) {
    struct sig_node **at = queue_of(t);
    for (; *at; at = &(*at)->next)
        if ((*at)->info.si_signo == sig && (*at)->for_process == for_process &&
            (overruns(&(*at)->info, info) || sig < SIGRTMIN))
            return NULL;
    return at;
}

/* n goes into the queue, unless one that is there stands for it. */
static void append_locked(struct thread *t, struct sig_node *n) {
    int sig = n->info.si_signo;
    struct sig_node **at = place_locked(t, sig, &n->info, n->for_process);
    if (!at) {
        node_free_locked(n);
        return;
    }
    n->next = NULL;
    *at = n;
    atomic_fetch_or_explicit(bits_of(t), sig_bit(sig), memory_order_seq_cst);
}

/* 0 or EAGAIN. */
static int put_locked(struct thread *t, int sig, const siginfo_t *info, bool for_process) {
    struct sig_node **at = place_locked(t, sig, info, for_process);
    if (!at)
        return 0;
    struct sig_node *n = node_get_locked();
    if (!n)
        return EAGAIN;
    n->for_process = for_process;
    n->info = *info;
    n->info.si_signo = sig;
    append_locked(t, n);
    return 0;
}

/* Takes *at out, and its bit if it was the last of its kind. The node belongs to the caller. */
static struct sig_node *unlink_locked(struct thread *t, struct sig_node **at) {
    struct sig_node *n = *at, *other = *queue_of(t);
    int sig = n->info.si_signo;
    *at = n->next;
    if (other == n)
        other = n->next;
    while (other && other->info.si_signo != sig)
        other = other->next;
    if (!other)
        atomic_fetch_and_explicit(bits_of(t), ~sig_bit(sig), memory_order_relaxed);
    return n;
}

/* ..and gives its memory back. */
static struct sig_node drop_locked(struct thread *t, struct sig_node **at) {
    struct sig_node *n = unlink_locked(t, at), was = *n;
    node_free_locked(n);
    return was;
}

int sig_take_locked(struct thread *t, uint64_t set, siginfo_t *info) {
    uint64_t due = atomic_load_explicit(bits_of(t), memory_order_relaxed) & set &
                   ~sig_bit(SIG_RUNTIME); /* wire_ask's */
    if (!due)
        return 0;
    /* Faults first, then by number, as the kernel. */
    int sig = __builtin_ctzll(due & SIG_SYNC ? due & SIG_SYNC : due) + 1;
    struct sig_node **at = queue_of(t);
    while (*at && (*at)->info.si_signo != sig)
        at = &(*at)->next;
    if (!*at)
        throw("sig_take_locked: a bit without a signal");
    *info = drop_locked(t, at).info;
    return sig;
}

static void discard_of_locked(struct thread *t, int sig) {
    struct sig_node **at = queue_of(t);
    if (!(atomic_load_explicit(bits_of(t), memory_order_relaxed) & sig_bit(sig)))
        return;
    while (*at)
        if ((*at)->info.si_signo == sig)
            node_free_locked(unlink_locked(t, at));
        else
            at = &(*at)->next;
}

static bool discard_each_locked(struct g *g, void *sig) {
    if (thread_of(g)->g == g)
        discard_of_locked(thread_of(g), *(int *)sig);
    return true;
}

void sig_discard_locked(int sig) {
    if (atomic_load_explicit(&nodes_made, memory_order_relaxed) ==
        atomic_load_explicit(&nodes_free, memory_order_relaxed))
        return; /* mostly: nothing is pending anywhere */
    discard_of_locked(NULL, sig);
    g_each(discard_each_locked, &sig);
}

/* ---- kicks ---- */

/* An si_code of ours: negative, as sigqueue(3) and the kernel leave it to programs, and with a
 * value that only we send. */
#define SI_KICK (-0x67)
static char kick_mark;

/* When the last one of each signal was sent. One without its siginfo looks like what a process
 * outside of our pid namespace sends (the end of a container): so it is taken for a kick only soon
 * after one. */
#define LOST_INFO_NS (100 * (int64_t)NSEC_PER_MSEC) /* an M may not have run for some slices */
static _Atomic uint64_t kicked_at[NSIG_KERNEL + 1];

bool sig_is_kick(const siginfo_t *info) {
    if (info->si_code == SI_USER && info->si_pid == 0 && info->si_uid == 0)
        return (int64_t)(nanotime() - atomic_load(&kicked_at[info->si_signo])) < LOST_INFO_NS;
    return info->si_code == SI_KICK && info->si_value.sival_ptr == &kick_mark;
}

/* An exec keeps what is pending for its kernel thread: a kick that came too late for our handler
 * would kill the new program. So nobody kicks a kernel thread in an exec.
 *
 *   kicker: (1) kicks_under_way + 1 (full barrier), (2) looks at exec_tid: if it is the one, leaves
 *           it, (3) kicks, (4) kicks_under_way - 1
 *   exec:   (1) exec_tid = its own (full barrier), (2) waits until kicks_under_way is 0
 *
 * Of the two full barriers one is first: either the kicker sees exec_tid, or the exec its kick
 * under way, and waits. What was kicked until then is delivered as (2) returns from the kernel,
 * since an M is kicked only by signals that it lets through.
 *
 * exec_tid: 0 -> the kernel thread of the one G that is in an exec -> 0, if that fails. */
static _Atomic int32_t exec_tid;
static _Atomic uint32_t kicks_under_way;

bool sig_kick(int32_t kernel_tid, int sig) {
    siginfo_t info = {.si_signo = sig, .si_code = SI_KICK};
    info.si_value.sival_ptr = &kick_mark;
    atomic_fetch_add(&kicks_under_way, 1);
    bool sent = atomic_load(&exec_tid) != kernel_tid;
    if (sent) {
        atomic_store(&kicked_at[sig], nanotime());
        sent = sys(SYS_rt_tgsigqueueinfo, signal_pid, kernel_tid, sig, &info) == 0;
    }
    atomic_fetch_sub_explicit(&kicks_under_way, 1, memory_order_release);
    return sent;
}

/* A kick takes some us, unless its M does not run; another exec as long as it does, and then there
 * is nobody left who waits. */
#define KICK_LOOK_NS (20 * NSEC_PER_USEC)

void sig_exec_begin(void) {
    static const struct timespec look = {0, KICK_LOOK_NS};
    int32_t none = 0, tid = (int32_t)sys(SYS_gettid);
    while (!atomic_compare_exchange_strong(&exec_tid, &none, tid)) {
        none = 0;
        sys(SYS_nanosleep, &look, NULL);
    }
    while (atomic_load(&kicks_under_way))
        sys(SYS_nanosleep, &look, NULL);
    sys(SYS_gettid); /* what came after the last look */
}

void sig_exec_failed(void) { atomic_store(&exec_tid, 0); }

/* By one that it does not block: that would stay, and a signalfd would show it. */
static void kick_m(int32_t tid, uint64_t mask, uint64_t set) {
    if (set & ~mask)
        sig_kick(tid, __builtin_ctzll(set & ~mask) + 1);
}
void sig_follow_all(uint64_t set) { m_each(kick_m, set); }

/* t has got sig and does not block it: see that it notices (sched/signal.c, sender (2), (3)). */
void sig_wake(struct thread *t, int sig) {
    struct g *g = t->g;
    if (g == getg())
        return; /* the caller looks itself, when it can */
    for (int round = 0; round < 2; round++) {
        if (round)
            barrier_all();
        else
            atomic_thread_fence(memory_order_seq_cst);
        if (g_interrupt(g, true))
            return;
        int32_t tid = g_kernel_tid(g);
        if (tid) {
            if (!sig_kick(tid, sig))
                g_attention(g);
            return;
        }
    }
}

/* ---- routing ---- */

static bool lets_through(const struct thread *t, int sig) {
    return !(sig_blocked(t) & sig_bit(sig));
}

struct search {
    int sig;
    struct thread *found;
};

static bool look_at(struct g *g, void *arg) {
    struct search *s = arg;
    struct thread *t = thread_of(g);
    if (t->g == g && lets_through(t, s->sig))
        s->found = t;
    return !s->found;
}

/* Signals that tell of the CPU time of who runs: best handled there (profilers). */
static bool prefers_current(int sig) { return sig == SIGPROF || sig == SIGVTALRM; }

static struct thread *choose(int sig) {
    struct g *g = getg();
    struct thread *self = g && !g_is_g0(g) ? thread_of(g) : NULL, *first = thread_first();
    if (self && prefers_current(sig) && lets_through(self, sig))
        return self;
    if (first && lets_through(first, sig))
        return first;
    if (self && lets_through(self, sig))
        return self;
    struct search s = {sig, NULL};
    g_each(look_at, &s);
    return s.found;
}

/* To who waits for it, or into the queue. sig_lock. An errno; *waiter: lot_wake_first. */
static int give_locked(struct thread *t, int sig, const siginfo_t *info, struct thread *only,
                       uintptr_t *waiter) {
    *waiter = sigwait_give_locked(sig, info, only);
    return *waiter ? 0 : put_locked(t, sig, info, !only);
}

/* The first of the process's signals of that number in the queue; NULL: there is none. */
static struct sig_node **first_of_process_locked(struct thread *t, int sig) {
    struct sig_node **at = queue_of(t);
    while (*at && !((*at)->for_process && (*at)->info.si_signo == sig))
        at = &(*at)->next;
    return *at ? at : NULL;
}

/* To the kernel, which programs ask (signalfd). What it says of its sender only the first kernel
 * thread may give back. */
static void keep_in_kernel(int sig, const siginfo_t *info) {
    pid_t pid = signal_pid;
    if (sys(SYS_rt_sigqueueinfo, pid, sig, info) < 0)
        sys(SYS_kill, pid, sig);
}

/* What one step of a move has to do when the lock is dropped. */
struct move {
    enum { MOVE_DONE, MOVE_WAITER, MOVE_DEFAULT, MOVE_IGNORE, MOVE_KERNEL, MOVE_ALL } what;
    uintptr_t waiter;
    struct thread *to;
    siginfo_t info;
};

static struct move move_locked(struct thread *from, int sig) {
    struct move m = {.what = MOVE_DONE};
    struct sig_node **at = first_of_process_locked(from, sig);
    if (!at)
        return m;
    m.info = (*at)->info;
    m.waiter = sigwait_give_locked(sig, &m.info, NULL);
    m.to = m.waiter ? NULL : choose(sig);
    if (m.waiter)
        m.what = MOVE_WAITER;
    else if (!m.to && signals_unwanted() & sig_bit(sig))
        m.what = MOVE_KERNEL;
    else if (m.to == from)
        return m;
    else if (m.to && !sig_has_handler(&sig_actions[sig]))
        m.what = sig_actions[sig].handler == SIG_DFL ? MOVE_DEFAULT : MOVE_IGNORE;
    else
        m.what = MOVE_ALL;
    if (m.what != MOVE_ALL) {
        drop_locked(from, at);
        return m;
    }
    do
        append_locked(m.to, unlink_locked(from, at));
    while ((at = first_of_process_locked(from, sig)));
    return m;
}

/* The process's signals of that number which `from` has (NULL: that wait for the process) go to who
 * takes them now, else to the process. All of them together under the lock, so that none that comes
 * meanwhile gets before them: real-time signals are handled in the order in which they were sent. A
 * mask may change when the choice has been made, so it is looked at once more: who changes one
 * looks at the queues after that. */
static void move_number(struct thread *from, int sig) {
    for (;;) {
        lock_acquire(&sig_lock);
        struct move m = move_locked(from, sig);
        lock_release(&sig_lock);
        switch (m.what) {
        case MOVE_DONE:
            return;
        case MOVE_WAITER:
            lot_wake_first(m.waiter);
            break;
        case MOVE_DEFAULT:
            sig_default_now(sig);
            break;
        case MOVE_IGNORE:
            break;
        case MOVE_KERNEL:
            keep_in_kernel(sig, &m.info);
            break;
        case MOVE_ALL:
            if (m.to)
                sig_wake(m.to, sig);
            from = m.to;
            break;
        }
    }
}

static void move_numbers(struct thread *from, uint64_t set) {
    for (; set; set &= set - 1)
        move_number(from, __builtin_ctzll(set) + 1);
}

/* For the process, nobody takes it now. */
static int keep_for_process(int sig, const siginfo_t *info) {
    if (signals_unwanted() & sig_bit(sig)) {
        keep_in_kernel(sig, info);
        return 0;
    }
    uintptr_t waiter;
    nodes_reserve();
    lock_acquire(&sig_lock);
    int err = give_locked(NULL, sig, info, NULL, &waiter);
    lock_release(&sig_lock);
    if (waiter)
        lot_wake_first(waiter);
    else if (!err)
        move_number(NULL, sig);
    return err;
}

/* Does t let it through, and is nothing to be run for it? Then that is done. */
static bool done_without_handler(struct thread *t, int sig) {
    if (!lets_through(t, sig))
        return false;
    if (sig_actions[sig].handler == SIG_DFL)
        sig_default_now(sig);
    return !sig_has_handler(&sig_actions[sig]);
}

/* t is to have it; behind those that wait for the process, who has just begun to let them through.
 * The mask is read after the bit is set, and who changes a mask or ends looks at the bits after
 * that (sigmask_set, signal_thread_end): so either t sees the signal or we see that t does not want
 * it any more, and one of the process's goes to another. */
static int route_to(struct thread *t, int sig, const siginfo_t *info, struct thread *only) {
    uintptr_t waiter;
    nodes_reserve();
    lock_acquire(&sig_lock);
    struct thread *behind = !only && first_of_process_locked(NULL, sig) ? NULL : t;
    int err = give_locked(behind, sig, info, only, &waiter);
    bool open = behind && lets_through(t, sig);
    lock_release(&sig_lock);
    if (waiter)
        lot_wake_first(waiter);
    else if (!err && open)
        sig_wake(t, sig);
    else if (!err && !only)
        move_number(behind, sig);
    return err;
}

int sig_route(int sig, const siginfo_t *info, struct thread *only) {
    lock_acquire(&sig_lock);
    uintptr_t waiter = sigwait_give_locked(sig, info, only);
    lock_release(&sig_lock);
    if (waiter) {
        lot_wake_first(waiter);
        return 0;
    }
    struct thread *t = only ? only : choose(sig);
    if (!t)
        return keep_for_process(sig, info);
    if (done_without_handler(t, sig))
        return 0;
    return route_to(t, sig, info, only);
}

int sig_send_cancel(struct thread *t) {
    siginfo_t info = {.si_signo = SIGCANCEL, .si_code = SI_TKILL};
    info.si_pid = signal_pid;
    return route_to(t, SIGCANCEL, &info, t);
}

void sig_take_over(uint64_t set) {
    move_numbers(NULL, atomic_load_explicit(&process_pending, memory_order_seq_cst) & set);
}

uint64_t sig_process_pending(void) {
    uint64_t kernel = 0;
    sys(SYS_rt_sigpending, &kernel, sizeof kernel);
    return kernel | atomic_load_explicit(&process_pending, memory_order_relaxed);
}

void sig_retarget(struct thread *t, uint64_t set) { move_numbers(t, sig_pending(t) & set); }

static void sig_drop_all(struct thread *t) {
    siginfo_t info;
    lock_acquire(&sig_lock);
    while (sig_take_locked(t, UINT64_MAX, &info))
        continue;
    lock_release(&sig_lock);
}

void signal_thread_forget(struct thread *t) {
    sig_retarget(t, UINT64_MAX);
    sig_drop_all(t);
}

void signal_thread_end(struct thread *t) {
    if (!signal_virtual)
        return;
    atomic_store_explicit(&g_signals(t->g)->blocked, UINT64_MAX, memory_order_seq_cst);
    if (likely(!sig_pending(t)))
        return;
    signal_thread_forget(t);
}

void sig_take_from_kernel(struct thread *t) {
    static const struct timespec now;
    uint64_t set = 0;
    siginfo_t info = {0};
    int sig;
    sys(SYS_rt_sigpending, &set, sizeof set);
    set &= sig_blocked(t); /* the others come to the trampoline */
    while (set && (sig = (int)sys(SYS_rt_sigtimedwait, &set, &info, &now, sizeof set)) > 0) {
        nodes_reserve();
        lock_acquire(&sig_lock);
        put_locked(t, sig, &info, info.si_code != SI_TKILL);
        lock_release(&sig_lock);
    }
    sig_retarget(t, UINT64_MAX);
}

/* The nth of t's queue (NULL: the process's). False: it has fewer. */
static bool nth(struct thread *t, int n, siginfo_t *info) {
    lock_acquire(&sig_lock);
    const struct sig_node *at = *queue_of(t);
    while (at && n--)
        at = at->next;
    if (at)
        *info = at->info;
    lock_release(&sig_lock);
    return at != NULL;
}

int sig_copy_to_kernel(struct thread *t) {
    uint64_t sent = 0; /* of those that do not queue */
    int copies = 0;
    siginfo_t info;
    for (int which = 0; which < 2; which++)
        for (int n = 0; nth(which ? NULL : t, n, &info); n++) {
            uint64_t bit = sig_bit(info.si_signo);
            if (!(sig_blocked(t) & bit) || sent & bit)
                continue;
            if (info.si_signo < SIGRTMIN)
                sent |= bit;
            copies += sys(SYS_rt_tgsigqueueinfo, sys(SYS_getpid), sys(SYS_gettid), info.si_signo,
                          &info) == 0;
        }
    return copies;
}

void sig_drop_copies(int n) {
    static const struct timespec now;
    uint64_t all = ~SIG_UNBLOCKABLE;
    while (n-- > 0) /* a thread's own come before the process's */
        sys(SYS_rt_sigtimedwait, &all, NULL, &now, sizeof all);
}

/* In a fork's child: pending signals are not inherited. */
void sig_queues_reset_child(void) {
    free_nodes = process_queue = NULL;
    atomic_store(&nodes_free, 0);
    atomic_store(&nodes_made, 0);
    atomic_store(&process_pending, 0);
    atomic_store(&exec_tid, 0);
    atomic_store(&kicks_under_way, 0);
}

/* ---- the calls ---- */

static siginfo_t info_of(int sig, int code) {
    siginfo_t info = {.si_signo = sig, .si_code = code};
    info.si_pid = signal_pid;
    info.si_uid = (uid_t)sys(SYS_getuid);
    return info;
}

/* 0 or an errno. A signal to the caller itself has run when it returns, unless it is blocked. */
static int send_to(struct thread *t, int sig, const siginfo_t *info) {
    if (!sig_valid(sig) || SIG_RESERVED & sig_bit(sig))
        return EINVAL;
    if (SIG_UNBLOCKABLE & sig_bit(sig))
        return (int)-sys(SYS_kill, signal_pid, sig);
    int err = sig_route(sig, info, t);
    signal_deliver_now();
    return err;
}

static int thread_send(pthread_t th, int sig, const siginfo_t *info) {
    struct thread *t = thread_find(th);
    if (!t)
        return ESRCH;
    if (sig < 0 || sig > NSIG_KERNEL || (sig && SIG_RESERVED & sig_bit(sig)))
        return EINVAL;
    if (atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED || !sig)
        return 0;
    return send_to(t, sig, info);
}

SHIM_API int shim_pthread_kill(pthread_t th, int sig) {
    if (!signal_own())
        return next(pthread_kill)(th, sig);
    siginfo_t info = info_of(sig, SI_TKILL);
    return thread_send(th, sig, &info);
}

SHIM_API int shim_pthread_sigqueue(pthread_t th, int sig, const union sigval value) {
    if (!signal_own())
        return next(pthread_sigqueue)(th, sig, value);
    siginfo_t info = info_of(sig, SI_QUEUE);
    info.si_value = value;
    return thread_send(th, sig, &info);
}

/* A signal for the process that we have sent through the kernel may arrive on another M. Programs
 * expect to have handled it when the call returns, as on NPTL: waits a little for it, if the caller
 * is one to take it. */
#define AWAIT_NS (10 * NSEC_PER_MSEC)
static void await_arrival(int sig, uint64_t before) {
    struct thread *t = thread_self();
    if (!t || choose(sig) != t || sig_ignored(sig))
        return;
    uint64_t until = nanotime() + AWAIT_NS;
    while (signal_arrivals() == before && nanotime() < until)
        sys(SYS_sched_yield);
    signal_deliver_now();
}

static int result(int err) {
    if (!err)
        return 0;
    errno = err;
    return -1;
}

SHIM_API int shim_raise(int sig) {
    struct thread *t = thread_self();
    if (!signal_own() || !t || !sig)
        return next(raise)(sig);
    siginfo_t info = info_of(sig, SI_TKILL);
    return result(send_to(t, sig, &info));
}

/* libc unblocks SIGABRT in the kernel only; then it raises it there. */
SHIM_API _Noreturn void shim_abort(void) {
    struct thread *t = thread_self();
    if (signal_own() && t)
        sigmask_set(sig_blocked(t) & ~sig_bit(SIGABRT));
    next(abort)();
    __builtin_unreachable();
}

/* kill(2) to ourselves; to others it is the kernel's. POSIX: a signal that the caller does not
 * block has been delivered when kill returns, if the caller is the one to take it. */
SHIM_API int shim_kill(pid_t pid, int sig) {
    if (!signal_own() || !sig_valid(sig))
        return next(kill)(pid, sig);
    if (pid == signal_pid) {
        siginfo_t info = info_of(sig, SI_USER);
        return result(send_to(NULL, sig, &info));
    }
    bool to_us = pid == 0 || (pid < -1 && -pid == (pid_t)sys(SYS_getpgid, 0));
    uint64_t before = signal_arrivals();
    int r = next(kill)(pid, sig);
    if (to_us && !r)
        await_arrival(sig, before);
    return r;
}

SHIM_API int shim_killpg(pid_t group, int sig) {
    if (group >= 0)
        return shim_kill(-group, sig);
    errno = EINVAL;
    return -1;
}

/* Is it a descriptor of this process: from pidfd_open, or of its folder in /proc? */
static bool pidfd_is_own(long fd) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/thread-self/fd/%ld", fd);
    long n = sys(SYS_readlink, path, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    long pid = signal_pid;
    if (strncmp(text, "/proc/", 6) == 0)
        return atol(text + 6) == pid;
    snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%ld", fd);
    long info = sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return false;
    n = sys(SYS_read, info, text, sizeof text - 1);
    sys(SYS_close, info);
    text[n < 0 ? 0 : n] = 0;
    const char *at = strstr(text, "\nPid:");
    return at && atol(at + 5) == pid;
}

/* pidfd_send_signal(2). -errno. */
long sig_pidfd_send(long fd, long sig, long info, long flags) {
    bool to_us = signal_own() && sig_valid((int)sig) && pidfd_is_own(fd);
    uint64_t before = signal_arrivals();
    long r = sys(SYS_pidfd_send_signal, fd, sig, info, flags);
    if (to_us && !r)
        await_arrival((int)sig, before);
    return r;
}

SHIM_API int shim_pidfd_send_signal(int fd, int sig, siginfo_t *info, unsigned flags) {
    long r = sig_pidfd_send(fd, sig, (long)info, (long)flags);
    if (r >= 0)
        return (int)r;
    errno = (int)-r;
    return -1;
}

SHIM_API int shim_sigqueue(pid_t pid, int sig, const union sigval value) {
    if (!signal_own() || pid != signal_pid || !sig_valid(sig))
        return next(sigqueue)(pid, sig, value);
    siginfo_t info = info_of(sig, SI_QUEUE);
    info.si_value = value;
    return result(send_to(NULL, sig, &info));
}

/* tgkill and tkill with an id that gettid has given a goroutine. -errno, as the kernel. */
long sig_tkill(long tgid, long tid, long sig) {
    struct thread *t = signal_own() ? thread_of_tid((int32_t)tid) : NULL;
    if (!t || (tgid > 0 && tgid != signal_pid))
        return tgid > 0 ? sys(SYS_tgkill, tgid, tid, sig) : sys(SYS_tkill, tid, sig);
    siginfo_t info = info_of((int)sig, SI_TKILL);
    return -thread_send((pthread_t)t->tcb, (int)sig, &info);
}

/* rt_sigqueueinfo and rt_tgsigqueueinfo (tgid > 0) to ourselves. -errno. */
long sig_queueinfo(long tgid, long tid, long sig, const siginfo_t *info) {
    struct thread *t = tgid > 0 ? thread_of_tid((int32_t)tid) : NULL;
    if (signal_own() && t)
        return -thread_send((pthread_t)t->tcb, (int)sig, info);
    if (signal_own() && tgid <= 0 && tid == signal_pid)
        return -send_to(NULL, (int)sig, info);
    return tgid > 0 ? sys(SYS_rt_tgsigqueueinfo, tgid, tid, sig, info)
                    : sys(SYS_rt_sigqueueinfo, tid, sig, info);
}

SHIM_API int shim_tgkill(pid_t tgid, pid_t tid, int sig) {
    return result((int)-sig_tkill(tgid, tid, sig));
}
