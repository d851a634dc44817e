/* signal.h - signals of goroutines: between the files of shim/
 *
 * The process's signals are virtual once the runtime runs. Each G has its own mask, pending set and
 * alternate stack; the table of actions is ours. In the kernel a signal that the program handles,
 * or that some thread blocks, has one handler, the trampoline in sigdeliver.c, and Ms block next to
 * nothing (sched/signal.c). Files:
 *   sigaction.c   the table of actions, and what the kernel has of it
 *   sigdeliver.c  from the kernel to a handler on the G's stack
 *   sigsend.c     whose signal it is; queues; kill, pthread_kill and the like
 *   sigmask.c     masks, alternate stacks, jumps that restore masks
 *   sigwait.c     sigwait, sigsuspend, pause, signalfd
 *   sigtimer.c    timers that signal one thread
 *
 * In a vfork's child, which shares this memory, every call is the kernel's own (signal_own).
 */
#ifndef GTHREAD_SIGNAL_H
#define GTHREAD_SIGNAL_H

#include "shim/shim.h"

#include <signal.h>

#define NSIG_KERNEL 64
#ifndef SS_AUTODISARM /* linux/signal.h, which cannot stand beside signal.h */
#define SS_AUTODISARM (1U << 31)
#endif
static inline uint64_t sig_bit(int sig) { return 1ULL << (sig - 1); }
static inline bool sig_valid(int sig) { return sig >= 1 && sig <= NSIG_KERNEL; }

/* glibc keeps these two (cancellation, setuid): programs can neither block nor handle them. */
#define SIG_RESERVED (3ULL << 31)
#define SIGCANCEL 32 /* the first of them: for a thread that is cancelled asynchronously */
#define SIG_UNBLOCKABLE (sig_bit(SIGKILL) | sig_bit(SIGSTOP) | SIG_RESERVED)
/* What an instruction causes: never blocked in the kernel, and delivered where it happened. */
#define SIG_SYNC                                                                                   \
    (sig_bit(SIGSEGV) | sig_bit(SIGBUS) | sig_bit(SIGFPE) | sig_bit(SIGILL) | sig_bit(SIGTRAP) |   \
     sig_bit(SIGSYS))

/* Are signals ours to deliver? Not before the first pthread_create, nor in a fork's child. */
extern bool signal_virtual;
/* getpid() when signals became ours: another one in a child that is not, or not yet, reset. */
extern int32_t signal_pid;
/* GTHREAD_DEBUG=sigquit */
extern bool sigquit_dumps;
/* Is this call about signals ours? Not in a child of vfork, which shares our tables. */
static inline bool signal_own(void) {
    struct thread *t;
    return likely(signal_virtual) && !((t = thread_self()) && t->vforked);
}

/* At the runtime's start, on the first thread, in this order: before there is a G, blocks all in
 * the kernel and takes over the actions that it has (signal_untake: undoes both); then, on its G,
 * what it blocks and what was pending for it; when all is in place, lets signals come, whose
 * handlers run. */
void signal_take(void);
void signal_untake(void);
void signal_start(void);
void signal_open(void);
/* In a fork's child. */
void sig_queues_reset_child(void);
void sigtimer_reset_child(void);
uint64_t signal_reset_child(void);         /* blocks all; the mask that it is to have.. */
void signal_child_ready(uint64_t blocked); /* ..from here on */
/* sched_host.m_prepare: memory for an M's alternate stack. False: there is none. */
bool signal_m_prepare(void *m_ext);
/* sched_host.m_cool: gives its pages back. */
void signal_m_cool(void *m_ext);
/* On each M: its alternate stack. False: no memory. */
bool signal_m_stack(void);
/* A vfork's caller's, with the running M. In a section. */
struct inherit_saved *signal_m_inherit(void);
/* sched_host.attend */
void signal_attend(void);
/* A thread that does not run yet: blocks these, or what its creator, the caller, blocks. */
void signal_thread_start(struct thread *t, const uint64_t *blocked);
/* The calling thread ends: gives on what was meant for the process. */
void signal_thread_end(struct thread *t);

/* The runtime's own signal: glibc's SIGSETXID, which no program can block, handle or see. With
 * SI_TKILL it asks a kernel thread to follow in setuid (setxid.c), with SI_KICK to let another G
 * run (preempt.c). signal_runtime_start takes it. */
#define SIG_RUNTIME 33
void signal_runtime_start(void);
void setxid_answer(void);
/* In the handler of SIG_RUNTIME on a G: it goes on in a yield, if it may be preempted here. */
void preempt_here(struct thread *t, void *kernel_uc);
/* At the start, after signal_runtime_start: where in memory libc and its like are. Before it nobody
 * is preempted. */
void preempt_start(void);
/* sched_host.preempt_m. False: it was not sent, try again later. */
bool preempt_m(int32_t kernel_tid);

/* ---- actions (sigaction.c) ---- */

struct sig_action {
    void *handler; /* SIG_DFL, SIG_IGN or a function */
    uint64_t flags, mask;
};
/* Guards the actions, all queues and the list of those that wait for signals. A leaf. */
extern struct lock sig_lock;
extern struct sig_action sig_actions[NSIG_KERNEL + 1];

enum sig_default { SIG_DFL_TERMINATE, SIG_DFL_IGNORE, SIG_DFL_STOP };
enum sig_default sig_default_of(int sig);
/* Would an unblocked one be thrown away? */
bool sig_ignored(int sig);
static inline bool sig_has_handler(const struct sig_action *a) {
    return a->handler != SIG_DFL && a->handler != SIG_IGN;
}
/* The trampoline is to see these even where the action is the default one (blocked or waited for).
 */
void sig_catch(uint64_t set);
/* The same also where they are ignored, until the next sigaction: for who waits for them. */
void sig_catch_ignored(uint64_t set);
/* Is the trampoline to see it only where an instruction causes it? */
bool sig_only_faults(int sig);
/* Before a fault without a handler ends the process: says so if t's stack has run over. */
void overflow_say(const struct thread *t, const siginfo_t *info, const void *kernel_uc);
/* In the kernel, SIGCANCEL goes to the trampoline. */
void sig_catch_cancel(void);
/* Does what SIG_DFL says: may not return. In a handler or anywhere without a lock. */
void sig_default_now(int sig);
/* The kernel's action for sig becomes SIG_DFL. */
void sig_kernel_default(int sig);
/* Before exec: what the program ignores is ignored in the kernel. */
void sig_export_ignored(void);

/* ---- queues (sigsend.c) ---- */

/* One pending signal. */
struct sig_node {
    struct sig_node *next;
    bool for_process; /* any thread may have it */
    siginfo_t info;
};

/* Takes the first pending one of `set` of t, or of the process for NULL. sig_lock. 0: none. */
int sig_take_locked(struct thread *t, uint64_t set, siginfo_t *info);
/* Throws away all that is pending of sig. sig_lock. */
void sig_discard_locked(int sig);
/* Finds who is to have sig and gives it to it. here: the caller's G only (NULL: the first
 * thread's). No lock, no section but the caller's own. 0, or EAGAIN: the queue is full. */
int sig_route(int sig, const siginfo_t *info, struct thread *only);
/* SIGCANCEL for t. 0 or EAGAIN. */
int sig_send_cancel(struct thread *t);
/* Process-wide pending ones that the caller does not block any more. */
void sig_take_over(uint64_t set);
/* The bits that wait for the process as a whole, ours and the kernel's. */
uint64_t sig_process_pending(void);
/* On every M the kernel is to block what is unwanted, of which `set` is new. */
void sig_follow_all(uint64_t set);
/* Gives on what the thread has of the process's signals in `set`. */
void sig_retarget(struct thread *t, uint64_t set);
/* t does not run yet or any more: gives on what it has of the process's, throws away its own. */
void signal_thread_forget(struct thread *t);
/* Before exec, with the caller's mask in the kernel: what is pending for it or the process and
 * blocked by it becomes pending for its kernel thread as well. Returns how many: for
 * sig_drop_copies. */
int sig_copy_to_kernel(struct thread *t);
void sig_drop_copies(int n);
/* At the runtime's start: what its G blocks and is pending for the first kernel thread alone is its
 * G's. */
void sig_take_from_kernel(struct thread *t);
/* t has got sig in its pending bits: see that it notices. */
void sig_wake(struct thread *t, int sig);
/* Does the handler of the signal come from an earlier timer_create for one thread? NULL: no. */
struct thread *sig_timer_thread(const siginfo_t *info);

/* How many signals the kernel has delivered that were not kicks; they have been routed. */
uint64_t signal_arrivals(void);
/* The interruption of an M in the kernel, for a G that has a signal. */
/* When the user's queue of signals is full (RLIMIT_SIGPENDING) the kernel delivers one without its
 * siginfo; that is understood too. */
bool sig_is_kick(const siginfo_t *info);
/* False: it could not be sent, which happens to real-time signals when that queue is full, or must
 * not be, since the M is in an exec. */
bool sig_kick(int32_t kernel_tid, int sig);
/* The running M calls exec: from here on it is not kicked. May wait, in the kernel. In a section,
 * as all the code up to the call, or to sig_exec_failed after it. */
void sig_exec_begin(void);
void sig_exec_failed(void);
/* Runs the handlers of what the caller may now take. G, without a section. */
void signal_deliver_now(void);

/* ---- by number, from syscall(): the kernel's arguments and results ---- */

long sigaction_syscall(long sig, long act, long old, long size);
long sigmask_syscall(long how, long set, long old, long size);
long sigaltstack_syscall(long new, long old);
long sig_tkill(long tgid, long tid, long sig); /* tgid 0: tkill */
long sig_pidfd_send(long fd, long sig, long info, long flags);
long sig_queueinfo(long tgid, long tid, long sig, const siginfo_t *info); /* tgid 0: to a process */
/* On a goroutine; unlike libc's functions they are no cancellation points. */
long sigtimedwait_syscall(long set, long info, long timeout);
long sigsuspend_syscall(long mask);
long pause_syscall(void);

/* ---- masks (sigmask.c) ---- */

static inline uint64_t sig_blocked(const struct thread *t) {
    return atomic_load_explicit(&g_signals(t->g)->blocked, memory_order_relaxed);
}
static inline uint64_t sig_pending(const struct thread *t) {
    return atomic_load_explicit(&g_signals(t->g)->pending, memory_order_relaxed);
}
static inline uint64_t sig_set_of(const void *sigset) { return *(const uint64_t *)sigset; }
/* The mask of the caller; handlers of what it lets through run before it returns. */
void sigmask_set(uint64_t blocked);
/* The kernel's mask of this thread is the G's, until its next switch: for calls that read it. */
void signal_mask_show(void);

/* ---- for calls that a signal may interrupt (signal_mark and signal_ends: shim.h) ---- */

/* For the time of a wait the mask is another (ppoll, pselect, epoll_pwait): handlers that it lets
 * through run in signal_mask_enter or during the wait, and return to the old mask: so as many run
 * as do not block each other, as in sigsuspend(2). NULL: no change. Before it: signal_mark. */
void signal_mask_enter(const sigset_t *mask, uint64_t *old);
void signal_mask_leave(uint64_t old);

#endif
