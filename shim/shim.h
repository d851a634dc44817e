/* shim.h - the private header of shim/: POSIX threads on top of sched/
 *
 * Every exported implementation is named shim_*, has default visibility, and is given its public
 * names by interpose/symbols.tab. It must work on any thread:
 *   - before the runtime starts (getg() is NULL): the program is single-threaded, or only glibc's
 *     own helper threads run. Object state has its final layout, so that a lock taken now can be
 *     released by a goroutine later.
 *   - on a goroutine,
 *   - on a thread that glibc made behind our back (no G): it waits in the kernel.
 *   - when the runtime is off (GTHREAD=off, unknown glibc): slow paths go to libc's own function.
 *     Fast paths need not ask, since uncontended objects look as glibc leaves them.
 */
#ifndef GTHREAD_SHIM_H
#define GTHREAD_SHIM_H

#include "arch.h"
#include "sched/sched.h"
#include "shim/tcb.h"
#include "syscall.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "next.h" /* generated from interpose/symbols.tab */

#define SHIM_API __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- libc's own functions ---- */

/* next(read)(fd, buf, n): the function that the program would call without us. Looked up at the
 * first use; callable anywhere but on g0. */
extern void *next_fn[NEXT_COUNT];
void *next_resolve(enum next_id id);
static inline void *next_get(enum next_id id) {
    void *fn = __atomic_load_n(&next_fn[id], __ATOMIC_RELAXED);
    return likely(fn != NULL) ? fn : next_resolve(id);
}
#define next(name) ((__typeof__(name) *)next_get(NEXT_##name))
/* Has this libc a function that symbols.tab marks "?"? To be asked before next, from there too. */
bool next_is_there(enum next_id id);
#define next_has(name) next_is_there(NEXT_##name)

/* A call of libc's that may block, from a goroutine: the P is kept until sysmon takes it, unless
 * the calls from there have mostly lasted (habit), or (_BLOCK) given away at once. errno survives.
 * Signals that interrupt the kernel thread may be another G's: a call fails with EINTR only if a
 * handler of this one has run. libc acts on a cancellation request inside it; the personality then
 * ends the bracket while the frame is unwound.
 */
#define BRACKETED(enter, exit, restarts, call)                                                     \
    ({                                                                                             \
        ARCH_ON_UNWIND(bracket_personality);                                                       \
        uint64_t mark_ = signal_mark();                                                            \
        __typeof__(call) r_;                                                                       \
        do {                                                                                       \
            bool outer_ = (enter);                                                                 \
            r_ = (call);                                                                           \
            if (likely(outer_))                                                                    \
                exit;                                                                              \
        } while (unlikely((long)r_ == -1) && errno == EINTR && !signal_ends(mark_, restarts));     \
        r_;                                                                                        \
    })
#define BRACKETED_BY_HABIT(restarts, call)                                                         \
    ({                                                                                             \
        static struct call_habit habit_;                                                           \
        BRACKETED(syscall_enter_habit(&habit_), syscall_exit_habit(&habit_), restarts, call);      \
    })
#define LIBC_CALL(call) BRACKETED_BY_HABIT(true, call)
#define LIBC_CALL_BLOCK(call) BRACKETED(syscall_enter_block(), syscall_exit(), true, call)
/* For calls that end with EINTR after any handler, whatever SA_RESTART says (signal(7)). */
#define LIBC_CALL_EINTR(call) BRACKETED_BY_HABIT(false, call)
#define LIBC_CALL_BLOCK_EINTR(call) BRACKETED(syscall_enter_block(), syscall_exit(), false, call)

/* libc's own calls come to us too (interpose/patch.c): what a function of libc does inside may
 * park, so it needs no bracket. */
extern bool patched_calls;

/* ---- settings ---- */

/* From the environment, see README, switches. Filled by the library's constructor. */
struct settings {
    const char *procs; /* GTHREAD_PROCS, GTHREAD_DEBUG, GTHREAD_STATS as found, or NULL */
    const char *debug;
    const char *stats;
    const char *follow; /* GTHREAD_FOLLOW: "0" keeps the preload from children */
    bool off;           /* every call goes to libc */
};
extern struct settings settings;

/* True when all calls go to libc's own functions. */
static inline bool passthrough(void) { return unlikely(settings.off); }

/* ---- threads ---- */

/* State table of thread.state (bits):
 *   THREAD_DETACHED  nobody will join: freed when it has exited
 *   THREAD_JOINED    a joiner waits or has waited; a second one gets EINVAL
 *   THREAD_EXITED    its stack is no longer in use, the result is there
 * Freed by the joiner (JOINED and EXITED), or by whoever sets the second of DETACHED and EXITED. */
#define THREAD_DETACHED 1u
#define THREAD_JOINED 2u
#define THREAD_EXITED 4u

/* The POSIX part of a G, in its ext space. */
struct thread {
    void *(*start)(void *);
    void *arg;
    uintptr_t tcb;                    /* == pthread_self() */
    _Atomic(struct thread *) joining; /* whom this thread joins now; guards against cycles */
    _Atomic uint32_t state;
    int32_t tid;
    bool returns_int; /* C11: start returns int */
    char name[16];
    struct sched_param sched_param; /* with WIRE_SCHED: policy.c */
    int sched_policy;
    size_t guard;
    /* signals, see signal.h */
    stack_t alt;           /* its alternate stack; ss_size 0: none */
    uint64_t handlers_run; /* low half: handlers so far; high half: those that end a call */
    uint64_t mask_after;   /* with mask_lent: what its next handler returns to */
    bool mask_lent;        /* its mask is another one for the time of a wait (sigsuspend) */
    bool mask_shown;       /* the kernel's mask of its M is its own for a child (process.c) */
    bool vforked;          /* in a child of vfork, which runs in its place */
    bool cancel_held;      /* see cancel_hold */
    int robust_held;       /* robust mutexes that it has (robust.c) */
    uint64_t cpu_told, cpu_told_kernel; /* what getrusage has said (cpuclock.c) */
    uint8_t deferred; /* preempt.c: how often it was not preempted since it was in libc */
    /* see inherit.c */
    uint8_t wire; /* why it is, or is to be, wired: wire.h */
    bool nice_set;
    int nice;
    long slack;                      /* ns; 0: the process's */
    int32_t *tid_address;            /* set_tid_address(2); NULL: libc's */
    const struct affinity *affinity; /* NULL: the process's */
    /* These two, the last ones, stay what they are when a G is reused (thread_new): who looks for a
     * thread to take a signal may not know yet that the last one has ended. */
    struct g *g;
    struct sig_node *sig_queue; /* sent to it, not yet taken; under sig_lock */
};
_Static_assert(sizeof(struct thread) <= G_EXT_SIZE, "struct thread");

static inline struct thread *thread_of(struct g *g) { return g_ext(g); }

/* The caller's thread, NULL where there is no G. */
struct thread *thread_self(void);
/* The thread that t names, or NULL: not ours (a thread of NPTL), or gone. */
struct thread *thread_find(pthread_t t);

/* Starts the runtime at the first thread creation. True if it runs; false: libc's own threads. */
bool runtime_start(void);
void shim_before_fork(void);
void shim_reset_child(void);
/* Does this system call return in a child with memory of its own? */
bool process_is_fork(long nr, long a);
void once_reset_child(void);
void mutex_start(void); /* at the runtime's start */
/* set_tid_address(2) of a thread: where 0 is written and a futex woken at its end; get: where that
 * is now. Gives its id. */
int32_t tid_address_set(struct thread *t, int32_t *address);
int32_t *tid_address_get(const struct thread *t);
void tid_address_clear(struct thread *t);
/* sched_host.deadlocked */
bool deadlock_report(void);
/* Ends the calling thread. Its result, if any, is already in the TCB. */
_Noreturn void thread_end(void);
/* The program's first thread; NULL where there is no runtime. By a gettid(2) id: NULL if it is no
 * goroutine's. */
struct thread *thread_first(void);
struct thread *thread_of_tid(int32_t tid);

/* The id that identifies the owner of a lock: TCB.tid, as glibc uses. Any thread, any time. */
int32_t kernel_tid(void); /* equal to TCB.tid on every thread of the kernel's */
static inline int32_t self_tid(void) {
    size_t off = glibc.off_tid;
    if (likely(off))
        return (int32_t)arch_tp_read32(off);
    return kernel_tid();
}

/* ---- calls that a signal may interrupt ---- */

/* Taken at the start of a call; signal_ends(mark, restarts) says, when the call came back
 * interrupted, whether it is to fail with EINTR: a handler has run since. restarts: not for those
 * with SA_RESTART (signal(7), "Interruption of system calls"). Without a G always true. */
#define HANDLER_ENDS                                                                               \
    (1ULL << 32) /* without SA_RESTART, or the kernel has not begun the call anew */
static inline uint64_t signal_mark(void) {
    struct thread *t = thread_self();
    return t ? t->handlers_run : 0;
}
static inline bool signal_ends(uint64_t mark, bool restarts) {
    struct thread *t = thread_self();
    uint64_t now = t ? t->handlers_run : 0;
    return !t || (restarts ? now >> 32 != mark >> 32 : now != mark);
}

/* A write in the kernel that moved less than it was to: does it go on? Interruptions of the kernel
 * thread are mostly others' business, and may leave no trace (another thread has taken the signal);
 * only after a handler of this goroutine's is the short result the program's to see. */
static inline bool signal_cuts(uint64_t mark) { return signal_ends(mark, false); }

/* ---- cancellation ---- */

/* Has t been asked to end, and will it at its next cancellation point? */
bool cancel_pending(const struct thread *t);
/* Acts on a pending cancellation request; may not return. A cancellation point calls it. */
void cancel_test(void);
/* lot_wait for cancellation points: a request that is there or comes ends it as INTERRUPTED. Before
 * that lot_enqueue_interruptible. */
enum park_result cancel_wait(struct waiter *w, uint64_t deadline);
/* Puts off an asynchronous cancellation of the caller until cancel_hold_end, which may not return:
 * around a wait that has something to undo. self: the caller, may be NULL. Not nested; a jump out
 * of a handler in between leaves it held until the next one ends. */
static inline void cancel_hold(struct thread *self) {
    if (self)
        self->cancel_held = true;
    atomic_signal_fence(memory_order_seq_cst);
}
/* Is t, which may be cancelled asynchronously now, to be? */
bool cancel_acts_now(const struct thread *t);
/* The same where SIGCANCEL interrupts it at pc: maybe in one of libc's blocking calls. */
bool cancel_acts_at(const struct thread *t, uintptr_t pc);
/* Is pc where a cancellation ends a blocking call of libc, with nothing done yet? */
bool cancel_ends_call(uintptr_t pc);
/* From its store on the signal acts; one that came before has been taken for nothing. */
static inline void cancel_hold_end(struct thread *self) {
    atomic_signal_fence(memory_order_seq_cst);
    if (!self)
        return;
    self->cancel_held = false;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(atomic_load_explicit(tcb_cancelhandling(self->tcb), memory_order_relaxed) &
                 CANCEL_CANCELED) &&
        cancel_acts_now(self))
        cancel_test();
}
/* The handler of SIGCANCEL, on the target's stack: does not return if it acts. */
void cancel_by_signal(int sig, siginfo_t *info, void *context);
/* At the runtime's start: takes SIGCANCEL. */
void cancel_start(void);

/* syscall(2) as the program calls it. */
long shim_syscall(long nr, long a, long b, long c, long d, long e, long f);

/* ---- time ---- */

/* Deadline for an absolute time on `clock`, CLOCK_MONOTONIC or CLOCK_REALTIME; TIME_FOREVER for
 * NULL. Returns 0, or EINVAL for a bad clock or tv_nsec. A past time gives a past deadline. */
int deadline_abs(clockid_t clock, const struct timespec *abs, uint64_t *deadline);
/* For a relative time; EINVAL as above. */
int deadline_rel(const struct timespec *rel, uint64_t *deadline);

/* What is left until the deadline, for calls that tell it or begin anew with it. */
static inline struct timespec time_until(uint64_t deadline) {
    uint64_t now = deadline_is_real(deadline) ? realtime() | DEADLINE_REAL : nanotime();
    uint64_t ns = deadline > now ? deadline - now : 0;
    return (struct timespec){(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};
}

/* clock_nanosleep(2) on a goroutine, for the clocks that the runtime knows. 0 or the error number.
 * cancels: as libc's function it is a cancellation point, by number it is none. */
static inline bool sleep_clock_ours(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}
int sleep_for(clockid_t clock, int flags, const struct timespec *req, struct timespec *rem,
              bool cancels);

/* ---- mutexes, for conditions ---- */

/* Values of waiter.token when a mutex's or condition's waiter wakes. */
#define TOKEN_REQUEUED 1 /* moved from a condition to its mutex */
#define TOKEN_OWNER 2    /* the mutex was handed over: it is ours */

/* True for kinds that only the kernel's protocol serves (process-shared, robust, PRIO_PROTECT). */
bool mutex_in_kernel(const pthread_mutex_t *mp);
/* Before and after libc's wait on a process-shared condition: libc unlocks and locks the mutex. */
void mutex_lend(pthread_mutex_t *mp);
void mutex_take_back(pthread_mutex_t *mp);
/* EPERM if it is of a kind that knows its owner and the caller is not it; else 0. */
int mutex_check_owner(const pthread_mutex_t *mp);
/* Unlock and relock around a condition wait, the former after that check; see mutex.c. */
int mutex_unlock_for_wait(pthread_mutex_t *mp, unsigned *depth);
int mutex_relock_after_wait(pthread_mutex_t *mp, unsigned depth, uint8_t token);

/* The template thread, at its start; a goroutine, at its end; a fork's child. */
void robust_keeper(void);
void robust_thread_end(struct thread *t);
void robust_reset_child(void);

/* lowlevel.c: locks of libc's own. patched_locks: libc waits for them in our way. */
extern bool patched_locks;
void lll_lock(_Atomic uint32_t *word);
void lll_unlock(_Atomic uint32_t *word);
void lowlevel_reset_child(void);
void kernel_owner_start(void);                  /* the first thread, when the runtime has started */
void kernel_owner_thread_end(struct thread *t); /* a goroutine, at its end */

/* Runs init through a frame whose unwinding (exception, cancellation) calls once_unwound. */
void once_call(void (*init)(void));

/* ---- jmp_bufs ---- */

#define JB_RSP 6 /* sysdeps/x86_64/jmpbuf-offsets.h */
#define JB_PC 7

static inline uintptr_t jmp_mangle(uintptr_t v) { /* PTR_MANGLE, sysdeps/unix/sysv/linux/x86_64 */
    v ^= *(const uintptr_t *)(arch_tp() + 0x30);
    return v << 17 | v >> 47;
}

/* The stack pointer that a jump to these saved registers sets. */
static inline uintptr_t jmp_buf_sp(const long *regs) {
    uintptr_t v = (uintptr_t)regs[JB_RSP];
    return (v >> 17 | v << 47) ^ *(const uintptr_t *)(arch_tp() + 0x30);
}

/* ---- prototypes that glibc's headers hide (fortified callers) ---- */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *from,
                       socklen_t *len);
struct pollfd;
int __poll_chk(struct pollfd *p, unsigned long n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *p, unsigned long n, const struct timespec *t, const sigset_t *m,
                size_t size);
int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __mq_open_2(const char *name, int flags);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
void _pthread_cleanup_push(struct _pthread_cleanup_buffer *b, void (*fn)(void *), void *arg);
void _pthread_cleanup_pop(struct _pthread_cleanup_buffer *b, int execute);
struct __jmp_buf_tag;
void __longjmp_chk(struct __jmp_buf_tag env[1], int value) __attribute__((noreturn));

#endif
