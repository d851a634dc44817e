/* sched.h - goroutines for C: the interface of the scheduler to the layer above
 *
 * The scheduler runs Gs (goroutines: a stack, a context, a state) on Ms (kernel threads) that
 * hold a P (run queue and caches). It names no POSIX type: the shim builds threads, mutexes and
 * conditions on what stands here. The idea and most names are those of Go's runtime (proc.go).
 *
 * Who may call: "G" means on a goroutine with its P, "any" any thread at all, also one without a
 * G (before the runtime starts, or made by glibc behind our back).
 */
#ifndef GTHREAD_SCHED_H
#define GTHREAD_SCHED_H

#include "sched/chaos.h"
#include "sched/lock.h"

#include <stddef.h>

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

/* Deadlines are absolute nanoseconds: of CLOCK_MONOTONIC, or with DEADLINE_REAL of CLOCK_REALTIME,
 * and then they move when that clock is set. DEADLINE_MAX: the last one of either clock, with room
 * for what is added to it. */
#define TIME_FOREVER UINT64_MAX /* no deadline */
#define DEADLINE_REAL (1ULL << 63)
#define DEADLINE_MAX (DEADLINE_REAL - 1 - NSEC_PER_SEC)

static inline bool deadline_is_real(uint64_t deadline) {
    return deadline & DEADLINE_REAL && deadline != TIME_FOREVER;
}

struct g;
struct m;
struct p;
struct waiter;

/* The G of the running thread: the goroutine; on an M's own stack its g0; NULL where no runtime
 * is (before the first create, foreign threads). One word of TLS, so that a stack keeps its page
 * (docs/HACKING.md, identity). */
extern __thread struct g *g_self __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline struct g *getg(void) { return g_self; }

/* ---- what the layer above supplies ---- */

/* The scheduler knows neither TCBs nor how kernel threads are made; it is told at start. */
struct sched_host {
    /* Signals that no kernel thread blocks at any time: those by which libc reaches all of them. */
    uint64_t never_blocked;
    /* Makes a kernel thread that runs fn(arg) on the given stack, with a thread identity of its
     * own. Called by sched_start on the program's first thread and afterwards only by the
     * template thread, or by g_launch_wired with what that was given (else how is NULL); may take
     * libc's and the program's locks. It begins with all signals blocked. 0 or an errno. */
    int (*thread_spawn)(void (*fn)(void *), void *arg, void *stack, size_t size, const void *how);
    /* The same without any lock, as sysmon, with an identity that is enough for the scheduler. */
    int (*thread_spawn_bare)(int (*fn)(void *), void *arg, void *stack, size_t size);
    /* Runs after the last switch away from a G that called g_exit: its stack is no longer in
     * use. On another G's stack or g0: must not block, nor call the program or libc. */
    void (*g_exited)(struct g *g);
    /* Drops the thread identity at tp, of a free G. Template thread: may take libc's locks. */
    void (*identity_drop)(uintptr_t tp);
    /* Gets the memory that the M with this ext needs, before its kernel thread is made. False:
     * there is none. May be called again. */
    bool (*m_prepare)(void *m_ext);
    /* The M with this ext has ended: what it has in memory may go back to the system. */
    void (*m_cool)(void *m_ext);
    /* First thing on a new M's own stack, with all signals blocked: nothing of the M is in use. */
    void (*m_started)(void);
    /* On a G without a section, or on the g0 of an M that holds no P: m_attention was called, or
     * the G has a signal that it does not block. */
    void (*attend)(void);
    /* sysmon's: interrupts the kernel thread, so that its G lets others run (sched_preempted). By
     * system calls only. False: not now (the user's queue of signals is full). */
    bool (*preempt_m)(int32_t kernel_tid);
    /* One line about g for dumps: name and the like. Writes at most size bytes. */
    void (*g_describe)(struct g *g, char *buf, size_t size);
    /* sysmon's: no G can run, none will unless a handler of the program's wakes it (deadlock.c).
     * Says so, or returns false: one could. By system calls only. */
    bool (*deadlocked)(void);
};

/* ---- start ---- */

/* Settings read from the environment by the layer above; see README, switches. */
struct sched_config {
    uint32_t procs;         /* number of Ps, 1..SCHED_MAX_PROCS */
    uint32_t schedtrace_ms; /* 0: no trace */
    bool stats;             /* counters at exit */
    bool sigquit;           /* SIGQUIT dumps all Gs */
    bool fs_by_syscall;     /* never wrfsbase */
    bool no_deadlock;       /* deadlocks are not reported */
    uint32_t preempt_us;    /* preempt all that run every so often; 0: by the usual rules */
    int32_t trace_pid;      /* the process that waits for `gthread trace` at its start; 0: none */
    struct chaos_config chaos;
};

#define SCHED_MAX_PROCS 1024

/* Space a P's, M's and G's owner may use as it likes; the shim keeps its thread there. */
#define G_EXT_SIZE 216

/* Makes the calling thread (which must have no G) the first goroutine, creates g0, the Ps, the
 * template thread, sysmon and a spare M. g0_tp: a thread identity for the first kernel thread's
 * g0, whose stack is [g0_lo, g0_hi). The caller has blocked all signals but never_blocked: so the
 * new threads take none from their first instruction on, and Ms none before signals_want says
 * which. Returns 0 or an errno; after an error nothing is changed but memory. */
int sched_start(const struct sched_config *cfg, const struct sched_host *host, uintptr_t g0_tp,
                void *g0_lo, void *g0_hi);

/* After fork, in the child, on its only thread: forgets every M, P, G, queue and waiter. The
 * runtime is then as before sched_start. */
void sched_reset_child(void);

bool sched_running(void);

/* ---- goroutines ---- */

/* What a G's stack is made from. */
struct stack_want {
    size_t size;  /* bytes above the guard, page multiple */
    size_t guard; /* bytes, page multiple, may be 0 */
    void *user;   /* the program's own memory, or NULL */
    size_t hot;   /* bytes at the top that every thread touches at once; 0: not known */
};

/* Takes a G with a stack: a warm one of the same shape, whose identity is still set
 * (g_tp(g) != 0), or a fresh one. G context. NULL: no memory. Release with g_free. */
struct g *g_alloc(const struct stack_want *want);

/* Gives a G that does not run (fresh, or exited) back to the free lists. Any context with a P. */
void g_free(struct g *g);

/* Lets g run entry(g) as soon as a P is free; thread pointer tp, stack top `top`. entry begins in a
 * section, which it ends when handlers may run in its thread. */
void g_launch(struct g *g, uintptr_t tp, uintptr_t top, void (*entry)(struct g *g));

/* ---- wired goroutines (wired.c): a kernel thread of one's own, without a P ---- */

/* The calling G is from now on alone on its M, whose kernel state may be changed for it; at once if
 * it is so already. first: it is the program's first thread, which keeps the process's first kernel
 * thread for itself if it can; nobody else gets that. False: no other M came within a second. No
 * section, in a call's bracket or outside. */
bool g_wire(bool first);
/* It takes part in the scheduler again, and so does its M, whose state must be what all have. */
void g_unwire(void);
/* The kernel's id of the M to which g is wired; 0: it is not. Any. */
int32_t g_wired_tid(const struct g *g);
/* The caller, which is wired, is about to end, and its kernel thread has to end with it also if it
 * is the process's first one: as in NPTL the process is then a zombie to others until it ends. */
void g_ends_first_m(void);
/* Numbers of the runtime's descriptors: before the caller's kernel thread gets a descriptor table
 * of its own (unshare(2)), and when it has one, where they are closed again. The caller is wired,
 * and stays so. From then on net_serves_me says no for it, and for the threads that it makes. */
struct runtime_fds {
    int fd[3];
};
void table_leaving(struct runtime_fds *were);
void table_left(const struct runtime_fds *were);
bool table_is_own(void); /* Any */
/* Has it ended, or will it at once? The kernel still lists it. */
bool sched_first_m_ended(void);
/* The G that is wired to the M of that id; NULL: none. Any. */
struct g *g_wired_to(int32_t kernel_tid);
/* The G to which the running M is wired, also on its g0; NULL: it is not. */
struct g *g_of_wired_m(void);
/* g_launch on an M that is made now, by the caller's own kernel thread, whose state it inherits:
 * host->thread_spawn gets `how`. born, before g runs, learns the M's id. 0 or an errno. */
int g_launch_wired(struct g *g, uintptr_t tp, uintptr_t top, void (*entry)(struct g *),
                   const void *how, void (*born)(struct g *g, int32_t kernel_tid));
/* A kernel thread whose state nobody has changed. */
int32_t sched_clean_tid(void);
/* True while the kernel refuses the threads without which one blocking call would stop everybody:
 * no thread should be made. Any thread, no lock. */
bool m_none_yet(void);

/* The calling G is about to end: it no longer counts as live. True if it was the last. */
bool g_leave(void);

/* Ends the calling G, after g_leave: never returns. host->g_exited runs once the stack is free.
 * heir_of: an address in the parking lot, or 0: the first who waits there goes on in our place, by
 * a direct switch, whose other side calls g_exited. It may also run before that, on another M: then
 * it must wait again, and g_exited wake it. */
_Noreturn void g_exit(uintptr_t heir_of);

/* Calls fn for every G ever made until it returns false. No lock: fields may change under it, also
 * in free ones. Any. */
void g_each(bool (*fn)(struct g *g, void *arg), void *arg);
struct g *g_at(uint32_t index); /* the inverse of g_index; NULL: there was none */
/* Memory for good, page-mapped: never malloc's. NULL: none. No lock held. */
void *mem_permanent(size_t size, size_t align);

void *g_ext(struct g *g); /* the owner's G_EXT_SIZE bytes */
const struct waiter *
g_waiter(const struct g *g);         /* what it waits for; may change under the caller */
uint32_t g_index(const struct g *g); /* place in the slabs: unique among live Gs, dense from 0 */
uint32_t g_generation(const struct g *g); /* how often it was freed */
bool g_on_class_stack(const struct g *g); /* its stack and identity stay with it after g_free */
int32_t g_kernel_tid(const struct g *g);  /* of the M it runs on; 0: it does not run now */
uintptr_t g_tp(const struct g *g);        /* thread pointer, 0 before the first g_launch */
void g_set_tp(struct g *g, uintptr_t tp);
/* CPU time that it has used, ns; of one that has not ended. Never less than it said before. What it
 * used before the first call of this function is an estimate (cputime.c). Any. */
uint64_t g_cpu_time(struct g *g);
uintptr_t g_stack_lo(const struct g *g); /* lowest usable byte (above the guard) */
uintptr_t g_stack_hi(const struct g *g); /* one past the highest */

/* The G whose thread pointer is tp, or NULL. tp must be readable memory; a foreign thread, a
 * freed G and memory that was never a thread give NULL. */
struct g *g_from_tp(uintptr_t tp);

/* ---- signals, as far as the scheduler has to know ----
 *
 * Sets are in the kernel's form: bit n-1 is signal n. A G's sets are the layer above's; the
 * scheduler looks whether a G that comes in, or is about to wait, has some to take, and then calls
 * host->attend as soon as no section is open. How the sets and a G's states meet without a lost
 * signal stands at the head of signal.c.
 *
 * In the kernel an M blocks only what no G lets through at all: mostly nothing, so that a switch
 * needs no system call. */
struct g_signals {
    _Atomic uint64_t blocked; /* written by the G itself */
    _Atomic uint64_t pending; /* sent to it, not yet taken; under the layer above's lock */
};
struct g_signals *g_signals(struct g *g);

/* Opens and closes a section of the calling G or g0: no handler of the program runs in it. It may
 * span no call of the program or of libc that blocks or does not return. Nothing without a G. */
void section_begin(void);
void section_end(void);

/* The same in the kernel's signal handler, where section_inside says no and nothing may switch: the
 * G may have no P in it. What was to be attended to is not. */
void handler_section_begin(void);
void handler_section_end(void);

/* Is this thread in a section, or a g0 with a P? Then a signal handler may take no runtime lock.
 * In a handler; false on threads without a G. */
bool section_inside(void);
/* In exactly one section, without a runtime lock? In a handler on a G. */
bool section_only_one(void);
bool g_is_g0(const struct g *g);

/* The running M has something for host->attend. In a signal handler or a section. */
void m_attention(void);
bool m_has_attention(void);
/* ..and, from any thread, the M on which g runs now, if it runs. */
void g_attention(struct g *g);
/* attend has seen it. */
void m_attention_clear(void);
/* The layer above's M_EXT_SIZE bytes of the running M. In a section or a handler: else the caller
 * may be on another M at once. */
#define M_EXT_SIZE 1280
void *m_ext(void);

/* The signals that are blocked in the kernel on all Ms since nobody wants them (more may be,
 * on an M that has not run a G since). */
uint64_t signals_unwanted(void);
/* Somebody may want these from now on: the running M, at least, takes them. G. */
void signals_want(uint64_t set);
/* Nobody wants these. The caller has to look once more whether that is so, and if not call
 * signals_want. An M that does not block one yet does so when m_mask_follow is called on it. */
void signals_unwant(uint64_t set);
/* What the kernel blocks on the running M becomes `set`, until the G's next switch at most. For
 * calls that read or pass on the kernel's set (fork, exec, getcontext). In a section. */
void m_mask_set(uint64_t set);
/* ..or what it is to be again: what is unwanted. In a section. */
void m_mask_follow(void);
/* The kernel's set for the running M is about to become this, by other means. In a section or in
 * a handler. */
void m_mask_note(uint64_t set);
/* Calls fn with the kernel's id of every M, and what that blocks or is about to. */
void m_each(void (*fn)(int32_t tid, uint64_t mask, uint64_t arg), uint64_t arg);

/* After a change that a G is to see when it comes in, and before reading its state: a full
 * barrier for this thread and, if there is one to be had, for all others that run. */
void barrier_all(void);

/* Lets others run first. Returns false if there was nothing else to run anywhere. G. */
bool g_yield(void);

/* host->preempt_m's interruption has arrived. In the handler, on any M. */
void m_preempt_arrived(void);
/* A G that was stopped anywhere in its code goes behind all others. On the G, without a section. */
void sched_preempted(void);

/* Yields if sysmon has found that this G has had its P for 10 ms while others wait. Calls that a
 * program may repeat in a loop until another thread has done something make use of it. Any. */
void g_yield_if_asked(void);

/* After a call on a descriptor: the same, and now and then a look for the events that others wait
 * for. G. */
void g_io_done(void);

/* ---- the parking lot ---- */

enum park_result {
    PARK_WOKEN,       /* somebody dequeued us */
    PARK_TIMEOUT,     /* the deadline passed */
    PARK_INTERRUPTED, /* g_interrupt */
};

/* Why a G waits; shown in dumps. park_reason_name gives the text. */
enum park_reason {
    WAIT_NONE,
    WAIT_MUTEX,
    WAIT_COND,
    WAIT_RWLOCK,
    WAIT_SEM,
    WAIT_BARRIER,
    WAIT_ONCE,
    WAIT_JOIN,
    WAIT_SLEEP,
    WAIT_FUTEX,
    WAIT_NET_IN,
    WAIT_NET_OUT,
    WAIT_POLL,
    WAIT_SYSCALL,
    WAIT_SIGNAL,
    WAIT_LIBC,
    WAIT_REASONS
};
const char *park_reason_name(enum park_reason r);

/* One waiting thread. A G's waiter lies in struct g, so that waiting touches no stack page; a
 * thread without a G has it on its stack. While it is queued its fields belong to the lock of the
 * bucket that `addr` hashes to; before and after to the waiting thread. */
struct waiter {
    struct waiter *next, *prev; /* ring of the waiters of one address, FIFO from the head on */
    struct waiter *head_next;   /* of the head: head of the next address in the bucket */
    _Atomic(uintptr_t) addr;    /* what it waits for; 0: not queued */
    struct g *g;                /* NULL: a thread without a G */
    uint64_t since;             /* arch_cycles() when it began to wait */
    _Atomic uint32_t futex;     /* a thread without a G sleeps here: 0 waiting, 1 woken */
    uint32_t seq;               /* number of this wait, so that a late timer is recognised */
    uint32_t tag;               /* the waker's: what it waits for (reader, bit set) */
    uintptr_t aux;              /* the waker's: what to wait for next (a condition's mutex) */
    uint8_t is_head;
    uint8_t result;     /* enum park_result */
    uint8_t token;      /* what the waker has to say (ownership handed over) */
    uint8_t reason;     /* enum park_reason; a waker that shares addr with others looks at it */
    bool interruptible; /* g_interrupt may end the wait without a signal */
};

/* Waiting is: lot_lock, check that there is still a reason to wait, lot_enqueue, lot_unlock,
 * lot_wait. Waking is: lot_lock, change state, lot_dequeue, lot_unlock, lot_ready. Since the
 * check and the change are made under the same bucket lock, no wake-up is lost. */
struct bucket;
struct bucket *lot_lock(uintptr_t addr);
void lot_unlock(struct bucket *b); /* a full barrier */
/* A second bucket while `held` is locked; may be the same one. NULL if somebody has it: waiting
 * for it could deadlock. Drop it with lot_unlock_second before `held`. */
struct bucket *lot_try_lock_second(struct bucket *held, uintptr_t addr);
void lot_unlock_second(struct bucket *held, struct bucket *second);

/* The caller's waiter: its G's, or *local (for a thread without a G), made ready for use. */
struct waiter *lot_self(struct waiter *local);
/* Appends w to the queue of addr. Bucket lock. From here on w is visible to wakers: the caller
 * must go on to lot_wait. A section of the G begins, which lot_wait ends. */
void lot_enqueue(struct bucket *b, struct waiter *w, uintptr_t addr, enum park_reason why);
/* The same for a wait that g_interrupt may end without a signal: a cancellation point. */
void lot_enqueue_interruptible(struct bucket *b, struct waiter *w, uintptr_t addr,
                               enum park_reason why);
/* First waiter of addr, still queued; NULL if none. The next one after w. Bucket lock. */
struct waiter *lot_first(struct bucket *b, uintptr_t addr);
struct waiter *lot_next(struct waiter *w);
/* Moves the queued waiter w from its address to `to`'s queue (wait morphing). Both locks. */
void lot_requeue(struct bucket *from, struct waiter *w, struct bucket *to_bucket, uintptr_t to);
/* Takes w out. Bucket lock. The caller must lot_ready it afterwards: a section lasts from here to
 * there, since a handler that came between could keep the waiter from running, for ever if it
 * jumps out. */
void lot_dequeue(struct bucket *b, struct waiter *w);
/* Sleeps until dequeued, the deadline, or an interrupt. Returns an enum park_result; w->token is
 * the waker's. After PARK_TIMEOUT and PARK_INTERRUPTED w is queued nowhere. No lock held. Handlers
 * of signals that have come meanwhile run before it returns: whatever the caller waits for, it
 * may return PARK_INTERRUPTED. */
enum park_result lot_wait(struct waiter *w, uint64_t deadline);
/* Makes a dequeued waiter run: next on this P where the caller has one. No bucket lock held.
 * Any thread. w may be gone when it returns. */
void lot_ready(struct waiter *w);

/* Wakes the first waiter of addr, if there is one. */
void lot_wake_first(uintptr_t addr);

/* Is this the process whose threads the lot knows? Not before sched_start, nor from the first
 * instruction of a fork's child on. Always false where the kernel cannot say so (Linux < 4.14). */
bool lot_here(void);

/* Waiters taken out under a bucket lock, to be readied after it: start with {0}. */
struct wake_list {
    struct waiter *first, *last;
};
void wake_list_take(struct wake_list *l, struct bucket *b, struct waiter *w); /* lot_dequeue */
void wake_list_take_all(struct wake_list *l, struct bucket *b, uintptr_t addr);
void wake_list_ready(struct wake_list *l);

/* A handler of the program runs on g, and may wait; before it g's waiter is saved, after it put
 * back. g itself, in no wait. */
struct waiter lot_save(struct g *g);
void lot_restore(struct g *g, const struct waiter *saved);

/* True if w has waited longer than ns nanoseconds (a rough clock). */
bool lot_waited(const struct waiter *w, uint64_t ns);

/* Ends g's wait with PARK_INTERRUPTED; for a signal any wait, else only one that was enqueued as
 * interruptible. Any thread without a runtime lock; true if it was parked. */
bool g_interrupt(struct g *g, bool for_signal);

/* ---- blocking in the kernel ---- */

/* Brackets a system call that may block. The P stays with the G; sysmon takes it if the call
 * lasts (docs/HACKING.md, system calls). In between the G must not call into the scheduler.
 * True: the caller is to call syscall_exit. False on threads without a G, and in a bracket: one is
 * enough. Errno survives. */
bool syscall_enter(void);
/* The same for a call that is known to block long: gives the P away at once. */
bool syscall_enter_block(void);

/* What the calls from one place have lately been like: a zero-initialised static of the caller's.
 * syscall_enter_habit keeps the P where they are mostly short, and gives it away at once where they
 * mostly last and others wait. syscall_exit_habit learns, and ends the bracket. */
struct call_habit {
    _Atomic uint8_t slow; /* 0..HABIT_MAX, see syscall.c */
};
bool syscall_enter_habit(struct call_habit *h);
void syscall_exit_habit(struct call_habit *h);
/* Will they mostly last, and has the caller a P that it would give away? */
bool habit_gives(const struct call_habit *h);
/* Ends the bracket; nothing if the caller is in none. */
void syscall_exit(void);
/* Is the caller in a bracket: a signal handler, or libc's own code in it? */
bool syscall_inside(void);
/* May the caller park: a goroutine outside of any bracket? If not, a blocking call is the kernel's
 * business. */
bool g_may_park(void);
/* Is the caller wired, so that it had better wait in the kernel where it can? */
bool g_waits_alone(void);

/* ---- time and counters ---- */

uint64_t nanotime(void); /* CLOCK_MONOTONIC, ns */
uint64_t realtime(void); /* CLOCK_REALTIME, ns, without DEADLINE_REAL */
/* libc's clock_gettime, which goes to the vdso and takes no lock; before sched_start, once. Until
 * then the kernel is asked. */
struct timespec;
void nanotime_by(int (*source)(int clock, struct timespec *now));

/* Events of the layer above that the statistics show. Any. */
enum stat_event { STAT_CREATE, STAT_EXIT, STAT_EVENTS };
void stat_count(enum stat_event e);

/* Prints the counters to stderr; takes no lock. */
void stats_print(void);
/* Prints every G with state, wait reason and since when to fd. Any thread; takes no lock. */
void dump_goroutines(int fd);

/* The number of Ps. */
uint32_t sched_procs(void);

/* Prints `gthread: fatal: msg` with a state dump and aborts. */
_Noreturn void throw(const char *msg);
/* One line `gthread: ...` to stderr, without allocating or locking. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
