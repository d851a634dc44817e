/* runtime.h - the private header of sched/: struct g, m, p and the scheduler's globals
 *
 * One file holds all three, since what makes them right is how they point at each other:
 *
 *   g->m    the M that runs g (set just before the switch to it); stale while g does not run
 *   m->curg the goroutine on M, NULL while M runs g0
 *   m->p    the P that M holds, NULL while M is idle, its P was taken in a system call, or its G
 *           runs without one (wired.c, loose.c)
 *   p->m    the M that holds P, NULL while P is idle
 *
 * After any switch a G may be on another M: never keep m or p in a local over a park.
 */
#ifndef GTHREAD_RUNTIME_H
#define GTHREAD_RUNTIME_H

#include "arch.h"
#include "sched/netpoll.h"
#include "sched/sched.h"
#include "syscall.h"

#include <sys/epoll.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- G ---- */

/* State table of g->status. "queued": on a run queue; "owner": who may leave the state.
 *
 *   state        queued  stack in use  M    left by
 *   G_FREE       no      no            no   g_alloc (it is on a free list, or fresh)
 *   G_RUNNABLE   yes     no            no   the M that takes it from a queue
 *   G_RUNNING    no      yes           yes  itself
 *   G_PARKING    no      yes           yes  itself on its way to sleep: the finisher of the
 *                                           switch makes it WAITING; a waker makes it READIED
 *   G_READIED    no      yes           yes  woken before it was off its stack: the finisher
 *                                           queues it (or the G itself goes on)
 *   G_WAITING    no      no            no   g_ready
 *   G_SYSCALL    no      yes           yes  itself (its P may be taken: see p->sysword)
 *   G_WIRED      no      yes           yes  itself: runs on an M of its own, without a P (wired.c)
 *   G_LOOSE      no      yes           yes  itself: goes on without a P after a call (loose.c)
 *   G_WIRED_WAITING no   no            yes  g_ready: to READIED; its M's g0 sleeps on this word
 *   G_DEAD       no      no            no   g_free
 *
 * PARKING/READIED is what lets a G be woken between the moment it is visible in a queue of the
 * parking lot and the moment its context is saved, without holding a lock over the switch. */
enum g_status {
    G_FREE,
    G_RUNNABLE,
    G_RUNNING,
    G_WIRED, /* these three in a row: g_runs */
    G_LOOSE,
    G_PARKING,
    G_READIED,
    G_WAITING,
    G_SYSCALL,
    G_WIRED_WAITING,
    G_DEAD,
    G_STATUSES
};

/* A G has at most one timer: the deadline of what it waits for. A node of a pairing heap
 * (timer.c); all fields belong to the lock of the heap's P. */
struct timer {
    uint64_t when; /* the deadline: of CLOCK_MONOTONIC, or with DEADLINE_REAL */
    struct timer *child, *next, *prev;
    struct p *_Atomic heap; /* the P whose heap it is in; NULL: in none */
    uint32_t seq;           /* waiter.seq of the wait that it ends */
};

#define G_NO_CLASS 0xff

struct g {
    /* touched by every switch */
    struct arch_ctx ctx;
    struct m *m;
    struct g *schedlink; /* next on the global queue or on a free list */
    _Atomic uint32_t status;
    uint32_t locks; /* runtime locks and sections (LOCK_ONE, SECTION_ONE): not 0: no handler runs */
    uint32_t slice_us; /* on the queue of computing Gs: how long it may run next; else 0 */
    struct g_signals signals;
    uint64_t id;
    void (*entry)(struct g *);
    uint64_t lone_cycles; /* when it last readied a lone G; 0: not since it was switched in */
    /* waiting */
    struct waiter w;
    struct timer timer;
    /* what it is made of */
    uintptr_t tp;
    uintptr_t stack_lo, stack_hi;
    size_t own_map;     /* bytes mapped for this G alone, guard included; else 0 */
    uint32_t gen;       /* bumped by g_free */
    uint32_t index;     /* place in the slabs */
    uint8_t slot_class; /* index of its stack class, G_NO_CLASS: own or user's mapping */
    bool is_g0;
    uint8_t lone_wakes; /* for so many lone Gs that it readies it wakes an M at once */
    bool slice_left;    /* on the queue of computing Gs: it goes on with its slice, out of turn */
    int32_t owed_us;    /* what its slices gave it less, in CPU time, than they should (proc.c) */
    uint32_t events;    /* of the event log that were about it (eventlog.h, order) */
    /* cputime.c */
    _Atomic uint64_t cpu_ns, cpu_cycles, cpu_told;
    uint64_t ext[G_EXT_SIZE / 8];
};
/* Type-stable in dense slabs: a million of them must stay small (DANGERS C3). */
_Static_assert(sizeof(struct g) <= 512, "struct g");

/* ---- M ---- */

/* What the side that comes in after a switch has to do for the G that went out. */
enum finish {
    FIN_NONE,     /* the outgoing side is a g0 */
    FIN_PARK,     /* PARKING -> WAITING, or queue it if it was READIED meanwhile */
    FIN_YIELD,    /* to the tail of the local queue */
    FIN_GLOBAL,   /* to the tail of the global queue */
    FIN_COMPUTES, /* to the queue of computing Gs, with its slice_us */
    FIN_NO_P,     /* came out of a system call without a P: to the global queue */
    FIN_EXIT,     /* its stack is free now */
    FIN_WIRED,    /* PARKING -> WIRED_WAITING, unless it was READIED meanwhile */
    FIN_MOVE,     /* to the M m->move_to, to which it is wired */
};

struct m {
    struct g *g0;
    struct g *curg;
    struct p *p;
    struct p *nextp; /* the P that startm hands over with the wake-up */
    /* set by the outgoing side just before arch_switch, read by the incoming one */
    struct g *prev;
    enum finish finish;
    uint64_t
        sigmask; /* what the kernel blocks on this M (signal.c); by the M itself, in a section */
    /* Something is to be done as soon as no section is open on this M: host->attend. Set by this M
     * (also in a signal handler), cleared by attend. */
    _Atomic bool attention;
    _Atomic uint32_t p_taken;  /* P_NONE and so on: see unseen.c */
    _Atomic bool preempt_sent; /* sysmon has sent an interruption that has not arrived yet */
    uint8_t linger_credit;     /* see linger in proc.c */
    bool spinning;             /* looks for work without having any; counted in sched.nmspinning */
    /* 0: asleep or about to; 1: woken. startm stores 1, the M itself 0. */
    _Atomic uint32_t park;
    struct m *schedlink; /* on sched.midle, mended, mbare */
    /* wired.c: the G that this M is for, and the deadline of what that waits for */
    struct g *wired; /* set while the M is the G's own or idle; to NULL by the G, or at its end */
    bool ending;   /* wired: that has ended; else set by mfree.c before it wakes it: it is to end */
    bool is_first; /* the process's first kernel thread, whose id is the process's */
    bool first_ends; /* ..also that is to end with its G */
    bool own_table;  /* its descriptors are not those of the process (wired.c) */
    uint32_t wired_seq;
    uint64_t wired_until;
    struct m *move_to;
    /* loose.c: not 0: the G runs without a P, since it came out of so many calls that lasted */
    _Atomic uint32_t loose;
    uint32_t loose_count;
    uint32_t loose_seen; /* sysmon's: what it was at the last look */
    uint64_t loose_cpu;  /* and the M's CPU time then, 0: not asked */
    void *stack;         /* of M_STACK bytes; NULL: the process's own */
    struct m *alllink;
    uint32_t id;
    int32_t tid;          /* the kernel's; 0: it does not run yet, or has ended */
    int32_t ended_tid;    /* what it was: the stack is free when the kernel knows it no more */
    uint64_t syscall_seq; /* the value of p->sysword that our call has set */
    /* cputime.c: its CPU clock when that was last settled, the cycles that Gs have got since, and
     * when the running one began */
    struct lock cpu_lock;
    uint64_t cpu_ns, cpu_since;
    _Atomic uint64_t cpu_cycles;
    uint64_t ext[M_EXT_SIZE / 8];
    struct g g0_storage;
};

/* ---- P ---- */

#define RUNQ_SIZE 256 /* as Go; a power of two */
/* How long a G may compute (runq.c): while others compute too, as Go's forcePreemptNS; and what it
 * has in any case, though somebody has woken up. An interruption and the two switches cost some
 * 10 us, so 2 % of the least. */
#define SLICE_NS (10 * NSEC_PER_MSEC)
#define SLICE_US 10000
#define TURN_MIN_NS (500 * NSEC_PER_USEC)
/* So much earlier sysmon may end a slice, if it looks anyway: the slices of several Ps come to end
 * at one time, and one look does for all. */
#define SLICE_EARLY(slice) ((slice) / 4)
/* So long before a deadline sysmon stops a G for it: half of what passes between its own waking up
 * and the arrival of the interruption. */
#define TIMER_LEAD_NS (20 * NSEC_PER_USEC)
#define SLOT_CLASSES 32
#define GFREE_MAX 64 /* as Go: more move to the class's global list by halves */

struct gfree {
    struct g *head;
    uint32_t n;
};

/* What a P that is never out of work is to look at out of turn (look_around in proc.c). */
enum due { DUE_NOTHING, DUE_GLOBAL, DUE_SHARE, DUE_COMPUTING };

enum p_counter {
    CNT_SWITCH, /* to a G, from g0 or directly */
    CNT_DIRECT, /* of these G to G */
    CNT_PARK,
    CNT_YIELD,
    CNT_STEAL, /* Gs taken from another P */
    CNT_SYSCALL,
    CNT_HANDOFF, /* P given away before or during a system call */
    CNT_TIMER,   /* deadlines that fired */
    CNT_PREEMPT, /* Gs stopped in the middle of their code */
    CNT_UNSEEN,  /* Ps taken from Ms that slept unannounced */
    CNT_NETPOLL, /* looks at epoll that found something */
    CNT_CREATE,
    CNT_EXIT,
    P_COUNTERS
};

struct p {
    /* owner M only, or with a lock named here */
    uint32_t id;
    bool idle; /* sched.lock: on sched.pidle */
    struct p *idlelink;
    struct m *_Atomic m;
    uint64_t rng;
    int32_t io_in;   /* calls on descriptors until the next look for events */
    int32_t look_in; /* switches until the next look around (proc.c) */
    uint32_t looks;
    enum due due;                     /* g0 is to look there first */
    uint32_t runnext_streak;          /* Gs taken from runnext in a row, bounded by RUNNEXT_MAX */
    uint32_t round_end;               /* the ring's tail when a computing G last began */
    uint64_t global_at, computing_at; /* arch_cycles: the last share of, and G of, either queue */

    /* The turn of a computing G (runq.c): written by the owner, read by sysmon. */
    _Atomic uint32_t slice_us; /* how long it may last; 0: the G is not from that queue */
    _Atomic uint64_t turn_at;  /* when it began, ns */
    uint64_t turn_cpu;         /* the M's CPU time then; 0: not known. The owner's */
    /* The G that came in with switch number asked_switch is to let others run at the next chance.
     * Set by sysmon, or by a G on p itself. Means nothing once another has come in. */
    _Atomic bool preempt;
    _Atomic uint64_t asked_switch;

    /* System calls (syscall.c). Bit 0: the M that holds this P is in a system call. The rest is
     * a number that never repeats. Leaving the value `seq|1` by compare-exchange decides who owns
     * the P: the returning G (to seq+2) or sysmon (to seq+2 as well, then it is sysmon's). */
    _Alignas(ARCH_CACHE_LINE) _Atomic uint64_t sysword;

    /* run queue (runq.c): head is advanced by anyone, tail by the owner only */
    _Alignas(ARCH_CACHE_LINE) _Atomic uint32_t runqhead;
    _Atomic uint32_t runqtail;
    struct g *_Atomic runnext; /* set by the owner; anybody may take it to NULL */
    struct g *_Atomic runq[RUNQ_SIZE];

    /* timers (timer.c) */
    _Alignas(ARCH_CACHE_LINE) struct lock timer_lock;
    struct timer *timer_root; /* of CLOCK_MONOTONIC */
    struct timer *real_root;  /* of CLOCK_REALTIME */
    /* readable without lock; TIME_FOREVER if none */
    _Atomic uint64_t timer0; /* when the first is due, by CLOCK_MONOTONIC */
    _Atomic uint64_t real0;  /* when of real_root */

    /* caches of the owner */
    _Alignas(ARCH_CACHE_LINE) struct gfree gfree[SLOT_CLASSES];
    _Atomic uint64_t counter[P_COUNTERS];
};

static inline void p_count(struct p *p, enum p_counter c) {
    atomic_store_explicit(&p->counter[c],
                          atomic_load_explicit(&p->counter[c], memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Of p, since the start. */
static inline uint64_t switches_of(struct p *p) {
    return atomic_load_explicit(&p->counter[CNT_SWITCH], memory_order_acquire);
}

/* The G that has come in with that switch is to let others run when it next can. */
static inline void ask_to_yield(struct p *p, uint64_t switch_number) {
    atomic_store_explicit(&p->asked_switch, switch_number, memory_order_relaxed);
    atomic_store_explicit(&p->preempt, true, memory_order_relaxed);
}

/* ---- the scheduler's globals ---- */

struct gqueue {
    struct g *head, *tail; /* linked by schedlink */
};

struct sched {
    struct sched_config cfg;
    const struct sched_host *host;
    _Atomic bool running;
    uint64_t start_ns;
    _Atomic bool cpu_exact; /* cputime.c: somebody has asked for a G's CPU time */
    struct p *allp;         /* cfg.procs of them */
    struct m *_Atomic allm;

    /* Guards the idle lists and the global queue, nothing else. Never on a hot path. */
    _Alignas(ARCH_CACHE_LINE) struct lock lock;
    struct p *pidle;
    _Atomic uint32_t npidle; /* written under lock, readable without */
    struct m *midle;
    uint32_t nmidle;
    uint32_t midle_lowest; /* of nmidle since the template thread's last look */
    /* Ms that have ended, to be used again: with their stacks, which the kernel threads may still
     * use; and without */
    struct m *mended, *mbare;
    uint32_t nmended, nmbare;
    _Atomic uint32_t nm; /* Ms with a kernel thread, or about to have one */
    struct gqueue globq, computing;
    uint32_t computing_taken;    /* how often from there, roughly */
    _Atomic uint32_t ncomputing; /* length of `computing` */
    _Atomic uint32_t runqsize;   /* of both */

    _Alignas(ARCH_CACHE_LINE) _Atomic uint32_t nmspinning;

    /* the idle M that sleeps until the next timer (idle.c) */
    _Atomic uint64_t poll_until; /* 0: nobody polls */
    _Atomic uint32_t poll_seq;   /* bumped to wake it */
    _Atomic bool poll_on_futex;  /* it sleeps on poll_seq, not in epoll */
    _Atomic bool look_wanted;    /* sysmon is to look at all Ps before it sleeps as the poller */

    /* signals (signal.c) */
    _Atomic uint64_t unwanted; /* that no live G lets through: blocked in the kernel on all Ms */
    bool fence_switches;       /* there is no membarrier(2) */

    /* sysmon's deep sleep */
    _Atomic uint32_t sysmon_asleep; /* 1: sleeps until a P is taken from idle */
    struct g *goes_on;              /* deadlock.c: the one that was not stuck; sysmon's */
    bool deadlock_told;

    _Atomic uint64_t ngs;
    _Atomic uint64_t next_gid;
    uint64_t start_cycles; /* with start_ns: what arch_cycles is worth */
};
extern struct sched sched;

static inline uint32_t status_of(struct g *g) {
    return atomic_load_explicit(&g->status, memory_order_acquire);
}
static inline void status_set(struct g *g, enum g_status s) {
    atomic_store_explicit(&g->status, s, memory_order_release);
}

/* Does it run program code (or the library's for it), so that it may wait or begin a call? */
static inline bool g_runs(struct g *g) {
    return atomic_load_explicit(&g->status, memory_order_acquire) - G_RUNNING <=
           G_LOOSE - G_RUNNING;
}

/* The P of the running thread, or NULL: no G, no P, or inside a bracketed system call (where the
 * P may already be somebody else's; a signal handler can get here). */
static inline struct p *p_self(void) {
    struct g *g = getg();
    if (!g || atomic_load_explicit(&g->status, memory_order_relaxed) == G_SYSCALL)
        return NULL;
    return g->m->p;
}

/* ---- sections ----
 *
 * A signal handler of the program may run on a G wherever g->locks is 0, and may there park and
 * come back on another M. So whatever holds m or p in a local, or changes what belongs to the P,
 * is a section: code between section_enter and section_leave, of the running G or g0. A runtime
 * lock counts as one. A section may span a switch; the one that comes back leaves it.
 *
 * g->locks: runtime locks in the low half, sections in the high half. */
#define LOCK_ONE 1u
#define SECTION_ONE 0x10000u
#define LOCKS_HELD(locks) ((locks) & (SECTION_ONE - 1))

void section_attend(struct g *g);

enum { P_NONE, P_ASKED, P_TAKEN };
void section_without_p(struct g *g, uint32_t what);

static inline void section_open(struct g *g, uint32_t what) {
    g->locks += what;
    atomic_signal_fence(memory_order_seq_cst);
    /* unseen.c, M (2) */
    if (unlikely(atomic_load_explicit(&g->m->p_taken, memory_order_relaxed)) && g->locks == what)
        section_without_p(g, what);
}

static inline void section_close(struct g *g, uint32_t what) {
    atomic_signal_fence(memory_order_seq_cst);
    g->locks -= what;
    atomic_signal_fence(memory_order_seq_cst);
    /* A signal that came before is in `attention`; one that comes now finds no section. */
    if (!g->locks && unlikely(atomic_load_explicit(&g->m->attention, memory_order_relaxed)))
        section_attend(g);
}

static inline void section_enter(struct g *g) { section_open(g, SECTION_ONE); }
static inline void section_leave(struct g *g) { section_close(g, SECTION_ONE); }
/* section_begin and section_end, inline */
static inline void section_enter_any(void) {
    struct g *g = getg();
    if (g)
        section_enter(g);
}
static inline void section_leave_any(void) {
    struct g *g = getg();
    if (g)
        section_leave(g);
}

/* Has g signals that it would take? */
static inline bool g_has_signals(const struct g *g) {
    uint64_t pending = atomic_load_explicit(&g->signals.pending, memory_order_relaxed);
    return unlikely(pending != 0) &&
           (pending & ~atomic_load_explicit(&g->signals.blocked, memory_order_relaxed));
}

/* ---- between the files of sched/ ---- */

/* mem.c: page-aligned zeroed memory from the kernel, NULL if there is none; never malloc. Any. */
void *mem_map(size_t size);
void mem_unmap(void *p, size_t size);
size_t mem_round_page(size_t n);

/* g.c */
struct g *g_new(void); /* a fresh G without a stack, from the slabs; NULL: no memory */
void g_adopt(struct g *g, struct m *m, uintptr_t tp, uintptr_t lo, uintptr_t hi);
/* What g_launch does but for making it runnable. */
void g_prepare(struct g *g, uintptr_t tp, uintptr_t top, void (*entry)(struct g *));
void g_word_set(uintptr_t tp, struct g *g); /* the TLS word of the thread with that tp */
void g_init_offset(void);
void g_reset_child(void);
void mem_reset_child(void);
/* Gives the pages of a free G's stack back to the system; the slot stays its own. */
void slot_cool(struct g *g);
void slot_reset_child(void);

/* stack.c: slot classes; see the file's head for the layout */
int slot_class_of(const struct stack_want *want);
/* Prepares some adjacent slots of the class; returns how many, the first at *first. 0: no memory.
 */
uint32_t slot_batch(int class, const struct stack_want *want, uintptr_t *first);
/* The template thread: prepares one batch for whoever makes threads in numbers. False: none is due.
 */
bool slot_prepare_ahead(void);
size_t slot_stride(int class);
void slot_give(struct g *g, int class,
               uintptr_t at); /* g's stack is the slot at `at` from now on */
bool slot_own(struct g *g,
              const struct stack_want *want); /* a stack for g alone, or the program's */
void slot_drop(struct g *g);                  /* unmaps a stack that belongs to no class */
/* Stacks with a guard of the runtime's own threads; NULL: no memory. */
void *stack_map(size_t size);
void stack_unmap(void *stack, size_t size);

/* runq.c */
void runq_put(struct p *p, struct g *g, bool next);
struct g *runq_get(struct p *p);
bool runq_empty(struct p *p);
bool runq_has_room(struct p *p); /* for what a steal brings; sure only for p's owner */
/* The ring alone, without runnext. */
static inline bool ring_empty(struct p *p) {
    return atomic_load_explicit(&p->runqhead, memory_order_relaxed) ==
           atomic_load_explicit(&p->runqtail, memory_order_relaxed);
}
struct g *runq_steal(struct p *p, struct p *victim, bool take_next);
void globq_put_locked(struct g *g);
struct g *globq_get_locked(struct p *p, uint32_t max);
void computing_put_locked(struct g *g); /* g->slice_us and slice_left are set */
struct g *computing_get_locked(void);
/* Gs of the global queue; racy. */
static inline uint32_t globq_size(void) {
    uint32_t all = atomic_load_explicit(&sched.runqsize, memory_order_relaxed);
    uint32_t computing = atomic_load_explicit(&sched.ncomputing, memory_order_relaxed);
    return all > computing ? all - computing : 0;
}

/* proc.c */
void g_ready(struct g *g);
/* Readies all of the list, in its order, behind what is queued; returns how many. */
uint32_t ready_batch(struct wake_list *l);
void queue_runnable(struct g *g);                   /* status RUNNABLE, in no queue yet */
void queue_new(struct g *g);                        /* the same for one that has never run */
void sched_switch(struct g *from, enum finish fin); /* away from a G: to the next one */
void switch_finish(struct m *m);                    /* first thing on the incoming side */
void m_loop(struct m *m);                           /* returns when m is to end */
bool sched_by_clock(void); /* false: a seed is to decide, not the clock (chaos with one P) */
uint64_t rng_next(struct p *p);
/* slice.c */
void slice_ends(struct g *g); /* g, which runs, has been asked to yield. In a section */
/* The running G lets others run, if sysmon or itself has found that it is to. In a section. */
static inline void yield_if_asked(struct g *g) {
    struct p *p = g->m->p;
    if (p && unlikely(atomic_load_explicit(&p->preempt, memory_order_relaxed)))
        slice_ends(g);
}

/* wake.c */
static inline uint32_t npidle(void) {
    return atomic_load_explicit(&sched.npidle, memory_order_seq_cst);
}
void wakep(void);
void startm(struct p *p, bool spinning);
void handoffp(struct p *p);
bool stopm(struct m *m); /* false: m has been wired, or is to end */
void midle_put_locked(struct m *m);
struct m *midle_take_locked(struct m **at); /* *at, which is on the list */
void become_spinning(struct m *m);
void reset_spinning(struct m *m);
bool take_idle_p(struct m *m); /* true: m has one now */
void m_acquire_p(struct m *m, struct p *p);
struct p *m_release_p(struct m *m);
struct p *pidle_get_locked(void);
void pidle_put_locked(struct p *p);
bool m_needed(void);
bool any_queued(void); /* is there a G that an idle M should fetch? */
bool p_has_work(struct p *p);
#define LINGER_CREDIT_MAX 8 /* see linger in proc.c */

/* wired.c */
/* On g0: the life of an M that is wired. False: its G has ended; true: it is wired no more. */
bool wired_run(struct m *m);
/* lot_wait of a wired G. */
enum park_result wired_wait(struct g *g, struct waiter *w, uint64_t deadline) __attribute__((cold));
void wired_ready(struct g *g) __attribute__((cold));
void wired_finish(struct m *m, struct g *prev, enum finish fin)
    __attribute__((cold)); /* FIN_WIRED, FIN_MOVE */

/* loose.c */
void loose_begin(struct g *g); /* g, which has no P, goes on without. In a section */
void loose_end(struct m *m);   /* its G has a P, or leaves it. In a section */
struct p *loose_timers(const struct m *m);
bool loose_yields(struct g *g); /* g has no P. In a section. False: it is wired */
/* sysmon: Gs that have been loose for long, or all that are, are to get a P. True: look again soon
 */
bool loose_look(uint64_t now, bool all);

/* m.c */
#define M_STACK (128UL << 10) /* g0 runs the scheduler only; pages are used on demand */
struct m *m_of_first_thread(uintptr_t g0_tp, void *lo, void *hi);
void m_need_more(void); /* asks the template thread for one more idle M */
/* Has the template thread look at free lists and stacks (gfree.c, mfree.c, stack.c). */
void template_wake(void);
/* There is something that it may give back in a while. After it has been put there. No lock. */
void surplus_note(void);
/* The template thread's: gives back memory of free Gs if it is time to. Returns when to call it
 * again, TIME_FOREVER: when template_wake was called. */
uint64_t gfree_give_back(uint64_t now);
void gfree_reset_child(void);
/* sysmon: helps if the template thread cannot. True: there is work, and no M for it. */
bool m_rescue(uint64_t now);

/* mfree.c */
struct m *m_new(void);
struct m *m_get(void); /* one with a stack, fresh or ended; NULL: no memory */
void m_unget(struct m *m);
void m_started(struct m *m); /* first on its own kernel thread */
void m_leave(struct m *m);   /* the kernel thread is about to end: nobody looks for m any more */
void m_end(struct m *m);     /* the same, last: others may have m at once */
/* So many idle Ms are never too many, nor are so many stacks for new ones. */
#define M_KEEP 16
static inline uint32_t m_keep(void) { return sched.cfg.procs + M_KEEP; }
/* The template thread's, as gfree_give_back: ends Ms that have been idle for long. */
uint64_t m_give_back(uint64_t now);
void m_free_reset_child(void);

/* idle.c */
/* Sleeps as the poller, at most until then, and fetches events into b; false: somebody else polls,
 * or there is nothing to wait for. */
struct net_batch;
bool poller_wait(struct net_batch *b, uint64_t until);
void poller_timer_added(uint64_t when);
void poller_break(void);

/* netpoll.c */
void net_deliver(int fd, uint32_t tag, uint8_t dirs, bool hup, struct wake_list *woken);
bool net_rescues(void); /* are there any who may have to be helped? */
bool net_rescue(void);  /* true: somebody waits who may have to be helped at the next look */
void net_reset_child(bool own_table);

/* netpoll_epoll.c */
/* Events as epoll gave them. 64: more at once was measured to change nothing, and a look by a
 * running G stands on its stack. */
#define NET_BATCH 64
struct net_batch {
    int n;
    struct epoll_event ev[NET_BATCH];
};
bool net_running(void);
/* Fetches events; waits until the deadline, 0: not at all. */
void net_poll(struct net_batch *b, uint64_t deadline);
uint32_t net_batch_ready(struct net_batch *b); /* wakes whom they are for; how many Gs */
bool net_batch_broken(const struct net_batch *b);
uint32_t net_poll_now(void);        /* both, without waiting. Section */
bool net_poll_due(uint64_t cycles); /* nobody polls, and nobody has looked for so long */
void net_break(void);               /* makes the poller return, or not sleep */
void net_break_seen(void);
void net_own_fds(int fd[2]); /* the numbers of our descriptors; -1: none */
/* Asks epoll for one event of fd's. 0 or an errno. */
int net_arm_once(struct net_desc *d, int fd, uint8_t dirs);
void net_epoll_reset_child(bool own_table);

/* timer.c */
void timer_add(struct p *p, struct g *g, uint64_t when, uint32_t seq);
void timer_del(struct g *g);
bool timers_fire(struct p *p); /* fires what is due; true if something was */
static inline bool timers_check(struct p *p) {
    return atomic_load_explicit(&p->timer0, memory_order_relaxed) != TIME_FOREVER && timers_fire(p);
}
uint64_t timers_next(void); /* earliest of all Ps, by CLOCK_MONOTONIC */
/* Earliest of CLOCK_REALTIME, with DEADLINE_REAL; TIME_FOREVER if none. */
uint64_t timers_first_real(void);
/* Has CLOCK_REALTIME been set? Then those deadlines come earlier or later. sysmon. */
void timers_follow_clock(void);

/* park.c */
void lot_timeout(struct g *g, uint32_t seq);
void lot_start(void);
void lot_reset_child(void);

/* sysmon.c */
bool sysmon_prepare(void); /* before its start; false: no memory */
void sysmon_main(void *arg);
void sysmon_wake(void); /* if it is in deep sleep */
/* A G has been made runnable that has no P of its own, or waits behind one that computes: sysmon
 * looks at `when` (ns) at the latest if it is the poller. Any thread, no lock held. */
void sysmon_want_look(uint64_t when);
void send_preempt(struct m *m); /* sysmon's: interrupts m's G */

/* deadlock.c: sysmon's */
bool deadlock_look_due(void); /* all are idle: is it worth a look if they still are in a while? */
void deadlock_look(void);

/* unseen.c */
void unseen_start(void);
int unseen_fd(void);           /* its descriptor; -1: none */
uint32_t kernel_threads(void); /* of the process; 0: not known. sysmon, after unseen_start */
uint64_t m_cpu_time(const struct m *m);
/* Takes p from m, which holds it, if m sleeps in the kernel outside of all sections. long_still:
 * its clock has stood for so long that this is taken for sleep where the kernel cannot be asked. */
bool unseen_retake(struct p *p, struct m *m, bool long_still);
/* Does the kernel say that m sleeps? Some 10 us. */
bool m_sleeps(const struct m *m, bool if_unknown);
void section_await_decision(const struct m *m);

/* cputime.c */
void cpu_settle(struct m *m, struct g *g); /* what m has used lately is g's. Section, or sysmon */
/* m's G or g0 `out` stops here. With cpu_exact; in a section. */
void cpu_switch(struct m *m, struct g *out) __attribute__((cold));
void cpu_sample(struct m *m, uint64_t born_before);
void cpu_reset(struct g *g); /* one that has not run */
static inline void cpu_switch_if_exact(struct m *m, struct g *out) {
    if (unlikely(atomic_load_explicit(&sched.cpu_exact, memory_order_relaxed)))
        cpu_switch(m, out);
}

/* syscall.c: g, RUNNING, has no P: gets an idle one, or waits for its turn. In a section. */
void g_get_p(struct g *g);

/* signal.c */
void m_mask_follow_slow(struct m *m);
/* On the incoming side of every switch, in a section: the M's kernel mask, and what waits for the G
 * that comes in. Mostly three loads and three tests. */
static inline void m_signals_follow(struct m *m) {
    if (unlikely(m->sigmask != 0))
        m_mask_follow_slow(m);
    struct g *g = m->curg;
    if (unlikely(sched.fence_switches))
        atomic_thread_fence(memory_order_seq_cst);
    if (g && unlikely(g_has_signals(g)))
        atomic_store_explicit(&m->attention, true, memory_order_relaxed);
}
void signals_start(void);
void kernel_mask_set(const uint64_t *mask);
void helper_block_signals(void); /* sysmon, template thread: they take none */

/* trace.c */
void schedtrace_print(uint64_t now);

#endif
