/* thread.c - pthread_create, join, detach, exit: the life of a thread */
#include "shim/inherit.h"
#include "shim/signal.h"
#include "shim/wire.h"

#include <limits.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct thread *thread_self(void) {
    struct g *g = getg();
    return g ? thread_of(g) : NULL;
}

int32_t kernel_tid(void) { return (int32_t)sys(SYS_gettid); }

struct thread *thread_find(pthread_t t) {
    struct g *g = t ? g_from_tp((uintptr_t)t) : NULL;
    return g ? thread_of(g) : NULL;
}

/* ---- ids ----
 * tid: above every kernel tid (pid_max is at most 2^22), below 2^30 (FUTEX_TID_MASK), unique among
 * live threads since the index is, and different for the next TID_LIVES threads in the same slot.
 *
 * Locks that processes share know their owner by it (DANGERS X1), so it must differ between
 * processes too. Each begins at a place of its own in the range: its pid with the bits reversed, so
 * that the places of the pids below 2^k are as far apart as can be, 2^(30-k). With 1000 threads,
 * which take 2^15 ids, only processes whose pids are equal in the low 15 bits meet. */
#define PID_BITS 22
#define TID_BASE (1u << PID_BITS)
#define TID_LIMIT (1u << 30)
#define TID_RANGE (TID_LIMIT - TID_BASE - 1)
#define TID_LIVES 32

static uint32_t tid_place(void) {
    static _Atomic uint64_t known; /* place, and above it the pid it is for */
    uint64_t pid = (uint32_t)signal_pid, k = atomic_load_explicit(&known, memory_order_relaxed);
    if (likely(k >> 32 == pid))
        return (uint32_t)k;
    uint32_t reversed = 0;
    for (int i = 0; i < PID_BITS; i++)
        reversed |= ((uint32_t)pid >> i & 1) << (PID_BITS - 1 - i);
    reversed *= TID_RANGE >> PID_BITS;
    atomic_store_explicit(&known, pid << 32 | reversed, memory_order_relaxed);
    return reversed;
}

static int32_t tid_make(const struct g *g) {
    uint64_t n = (uint64_t)g_index(g) * TID_LIVES + g_generation(g) % TID_LIVES + tid_place();
    return (int32_t)(TID_BASE + 1 + n % TID_RANGE);
}

/* The index of its G. */
static uint32_t tid_index(int32_t tid) {
    uint32_t n = (uint32_t)tid - TID_BASE - 1;
    return (n + TID_RANGE - tid_place()) % TID_RANGE / TID_LIVES;
}

struct thread *thread_of_tid(int32_t tid) {
    struct thread *t = thread_first();
    if (t && t->tid == tid)
        return t;
    /* Those that are born wired have the kernel's id. */
    struct g *g = tid > (int32_t)TID_BASE ? g_at(tid_index(tid)) : g_wired_to(tid);
    t = g ? thread_of(g) : NULL;
    bool live = t && t->g == g && t->tid == tid &&
                !(atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED);
    return live ? t : NULL;
}

/* ---- exit ---- */

_Noreturn void thread_end(void) {
    tcb_leave(arch_tp());
    /* A process whose threads have all ended; or a child of a fork, whose one thread this is. */
    struct thread *t = thread_self();
    if (t) {
        signal_thread_end(t);
        robust_thread_end(t);
        kernel_owner_thread_end(t);
        tid_address_clear(t);
    }
    if (!t || g_leave())
        exit(0);
    /* A stack that does not stay with its G takes its identity along (it is the program's
     * memory, or unmapped). glibc's lock and free are for Gs, so it is done here. The first
     * thread's identity is the process's and stays. */
    if (!g_on_class_stack(t->g) && g_stack_lo(t->g))
        tcb_drop(t->tcb);
    stat_count(STAT_EXIT);
    bool joiner = atomic_load_explicit(&t->state, memory_order_relaxed) & THREAD_JOINED;
    g_exit(joiner ? (uintptr_t)&t->state : 0);
}

/* First program code of a thread, on its own stack. */
static void thread_main(struct g *g) {
    struct thread *t = thread_of(g);
    __pthread_unwind_buf_t buf;
    tcb_enter(t->tcb);
    /* pthread_exit and cancellation unwind with the program's own unwinder and then jump here, as
     * in glibc's start_thread. */
    memset(buf.__pad, 0, sizeof buf.__pad);
    *tcb_result(t->tcb) = PTHREAD_CANCELED; /* libc's pthread_setcanceltype does not say so */
    if (!__sigsetjmp_cancel(buf.__cancel_jmp_buf, 0)) {
        tcb_set_unwind_buf(t->tcb, &buf);
        if (unlikely(t->wire))
            wire_born(t);
        section_end(); /* g_launch: a handler may use all of the thread, and end it */
        void *r;
        if (t->returns_int)
            r = (void *)(intptr_t)((int (*)(void *))(void (*)(void))t->start)(t->arg);
        else
            r = t->start(t->arg);
        *tcb_result(t->tcb) = r;
    }
    thread_end();
}

/* sched_host.g_exited: the stack is free. On g0 or another G; must not block. */
void thread_exited(struct g *g) {
    struct thread *t = thread_of(g);
    uint32_t old = atomic_fetch_or_explicit(&t->state, THREAD_EXITED, memory_order_acq_rel);
    if (old & THREAD_DETACHED) {
        g_free(g);
        return;
    }
    if (!(old & THREAD_JOINED))
        return;
    lot_wake_first((uintptr_t)&t->state);
}

/* ---- create ---- */

struct create_attr {
    struct stack_want stack;
    bool detached;
    bool has_mask;
    uint64_t mask;  /* signals that it blocks; else those of its creator */
    bool has_sched; /* these; else it has its creator's */
    int policy;
    struct sched_param param;
    const pthread_attr_t *cpus; /* the attributes, if they name CPUs */
};

/* Settings that are not in the attributes come from here. Changed only by
 * pthread_setattr_default_np, so one copy serves every create. */
static struct create_attr dflt;
static _Atomic bool dflt_known;

static size_t round_page(size_t n) {
    size_t mask = (size_t)sysconf(_SC_PAGESIZE) - 1;
    return (n + mask) & ~mask;
}

/* The identity, and what glibc's allocate_stack leaves a thread besides. */
static size_t stack_min(void) { return tcb_overhead() + 2048 + round_page(1); }

static int attr_read(const pthread_attr_t *attr, struct create_attr *out);

static int attr_default(struct create_attr *out) {
    if (!atomic_load_explicit(&dflt_known, memory_order_acquire)) {
        pthread_attr_t attr;
        int err = pthread_getattr_default_np(&attr);
        if (err)
            return err;
        err = attr_read(&attr, &dflt);
        dflt.cpus = NULL;
        pthread_attr_destroy(&attr);
        if (err)
            return err;
        atomic_store_explicit(&dflt_known, true, memory_order_release);
    }
    *out = dflt;
    return 0;
}

SHIM_API int shim_setattr_default(const pthread_attr_t *attr) {
    int err = next(pthread_setattr_default_np)(attr);
    atomic_store_explicit(&dflt_known, false, memory_order_release);
    return err;
}

/* Where in a pthread_attr_t glibc has the pointer to the rarer attributes, in words; -1: not found.
 * Found out, since it is private. */
static int attr_extras_at(void) {
    static _Atomic int known = -2;
    int at = atomic_load_explicit(&known, memory_order_relaxed);
    if (likely(at != -2))
        return at;
    union {
        pthread_attr_t attr;
        uintptr_t words[sizeof(pthread_attr_t) / sizeof(uintptr_t)];
    } before = {0}, after;
    sigset_t mask;
    sigemptyset(&mask);
    pthread_attr_init(&before.attr);
    after = before;
    at = -1;
    if (pthread_attr_setsigmask_np(&after.attr, &mask) == 0)
        for (int i = 0; i < (int)(sizeof before / sizeof *before.words); i++)
            if (!before.words[i] && after.words[i])
                at = i;
    pthread_attr_destroy(&after.attr);
    atomic_store_explicit(&known, at, memory_order_relaxed);
    return at;
}

/* Signal mask and CPUs. Without CPUs libc gives a set of ones. */
static void attr_read_extras(const pthread_attr_t *attr, struct create_attr *out) {
    static const cpu_set_t none = {{[0 ... CPU_SETSIZE / __NCPUBITS - 1] = ~0UL}};
    sigset_t mask;
    cpu_set_t cpus;
    int at = attr_extras_at();
    out->has_mask = false;
    out->cpus = NULL;
    if (likely(at >= 0 && !((const uintptr_t *)attr)[at]))
        return;
    out->has_mask = pthread_attr_getsigmask_np(attr, &mask) == 0;
    if (out->has_mask)
        out->mask = sig_set_of(&mask);
    if (pthread_attr_getaffinity_np(attr, sizeof cpus, &cpus) == EINVAL || /* it names more */
        memcmp(&cpus, &none, sizeof none) != 0)
        out->cpus = attr;
}

/* Has a policy or priority been set in it? glibc inherits what has not, also with EXPLICIT_SCHED,
 * and no function tells: a bit of the word behind parameters and policy does. Which is found out.
 */
static bool attr_sets_sched(const pthread_attr_t *attr) {
    static _Atomic uint32_t bits;
    const size_t at = sizeof(struct sched_param) + sizeof(int);
    uint32_t mask = atomic_load_explicit(&bits, memory_order_relaxed), word;
    if (!mask) {
        pthread_attr_t probe;
        struct sched_param param = {0};
        uint32_t before;
        pthread_attr_init(&probe);
        memcpy(&before, (const char *)&probe + at, sizeof before);
        pthread_attr_setschedpolicy(&probe, SCHED_OTHER);
        pthread_attr_setschedparam(&probe, &param);
        memcpy(&mask, (const char *)&probe + at, sizeof mask);
        pthread_attr_destroy(&probe);
        mask ^= before;
        atomic_store_explicit(&bits, mask, memory_order_relaxed);
    }
    memcpy(&word, (const char *)attr + at, sizeof word);
    return !mask || word & mask;
}

/* What the attributes ask for; 0 or the error of pthread_create. */
static int attr_read(const pthread_attr_t *attr, struct create_attr *out) {
    int detach = 0;
    size_t size = 0, guard = 0;
    void *addr = NULL;
    pthread_attr_getdetachstate(attr, &detach);
    pthread_attr_getstack(attr, &addr, &size);
    pthread_attr_getguardsize(attr, &guard);
    int inherits = PTHREAD_INHERIT_SCHED;
    pthread_attr_getinheritsched(attr, &inherits);
    out->has_sched = inherits == PTHREAD_EXPLICIT_SCHED && attr_sets_sched(attr);
    if (out->has_sched) {
        pthread_attr_getschedpolicy(attr, &out->policy);
        pthread_attr_getschedparam(attr, &out->param);
    }
    out->detached = detach == PTHREAD_CREATE_DETACHED;
    attr_read_extras(attr, out);
    /* Where no address was set, glibc computes addr = 0 - size. */
    if ((uintptr_t)addr + size != 0) {
        out->stack = (struct stack_want){.user = addr, .size = size};
        return size < stack_min() ? EINVAL : 0;
    }
    if (!size) { /* the default, which follows RLIMIT_STACK at program start */
        struct create_attr d = {0};
        int err = attr_default(&d);
        out->stack = d.stack;
        out->stack.guard = round_page(guard);
        return err;
    }
    if (guard > SIZE_MAX / 4 || size > SIZE_MAX / 4 || size < stack_min())
        return EINVAL;
    /* Its identity lies in it, as on NPTL: a program that asks for the least must find the guard
     * where it expects it. That and the first frames, well under 1 KB, are touched at once. */
    out->stack = (struct stack_want){.size = round_page(size),
                                     .guard = round_page(guard),
                                     .hot = round_page(tcb_overhead() + 1024)};
    return 0;
}

static int thread_new(struct thread **out, const struct create_attr *a) {
    struct g *g = g_alloc(&a->stack);
    if (!g)
        return EAGAIN;
    struct thread *t = thread_of(g);
    uintptr_t tcb = g_tp(g);
    memset(t, 0, offsetof(struct thread, g));
    t->g = g;
    t->tid = tid_make(g);
    if (tcb) {
        tcb_reuse(tcb, t->tid);
    } else {
        tcb = tcb_make(g_stack_lo(g), g_stack_hi(g), a->stack.guard, t->tid);
        if (!tcb) {
            g_free(g);
            return EAGAIN;
        }
        g_set_tp(g, tcb);
    }
    t->tcb = tcb;
    t->guard = a->stack.guard;
    inherit_from(t, thread_self());
    uint64_t mask = a->mask;
    bool has_mask = a->has_mask || wire_kernel_mask(thread_self(), &mask);
    signal_thread_start(t, has_mask ? &mask : NULL);
    atomic_store_explicit(&t->state, a->detached ? THREAD_DETACHED : 0, memory_order_relaxed);
    *out = t;
    return 0;
}

/* Why the new thread t is to be wired from its birth on; how: what its kernel thread is made with.
 * An errno in *err. */
static unsigned wire_from_birth(struct thread *t, const struct thread *creator,
                                const struct create_attr *a, struct wire_how *how, int *err) {
    unsigned why = wire_inherited(creator);
    bool all = false;
    if (creator) {
        t->sched_policy = creator->sched_policy;
        t->sched_param = creator->sched_param;
    }
    if (a->has_sched) {
        *how = (struct wire_how){.has_sched = true, .policy = a->policy, .param = a->param};
        t->sched_policy = a->policy;
        t->sched_param = a->param;
        why = policy_is_default(a->policy, &a->param) ? why & ~(unsigned)WIRE_SCHED
                                                      : why | WIRE_SCHED;
    }
    if (a->cpus && pthread_attr_getaffinity_np(a->cpus, sizeof how->cpus, &how->cpus) == 0 &&
        !(*err = inherit_attr_affinity(t, &how->cpus, &all))) {
        how->has_cpus = true;
        why = all ? why & ~(unsigned)WIRE_AFFINITY : why | WIRE_AFFINITY;
    }
    return why;
}

static void born_wired(struct g *g, int32_t kernel_tid) {
    struct thread *t = thread_of(g);
    t->tid = kernel_tid;
    tcb_set_tid(t->tcb, kernel_tid);
}

/* It never runs. */
static int create_failed(struct thread *t, int err) {
    signal_thread_end(t);
    atomic_store_explicit(&t->state, THREAD_EXITED, memory_order_relaxed);
    g_free(t->g);
    return err;
}

static __attribute__((noinline)) int start_unusual(struct thread *t, struct thread *creator,
                                                   const struct create_attr *a) {
    struct wire_how how = {0};
    int err = 0;
    unsigned why = wire_from_birth(t, creator, a, &how, &err);
    if (wire_wants(t->start)) {
        why |= WIRE_GO;
        if (creator && !wire_self(WIRE_GO))
            err = EAGAIN;
    }
    if (!why && !err) {
        g_launch(t->g, t->tcb, tcb_stack_top(t->tcb), thread_main);
        return 0;
    }
    t->wire = (uint8_t)(why | WIRE_BORN);
    if (!err)
        err = g_launch_wired(t->g, t->tcb, tcb_stack_top(t->tcb), thread_main, &how, born_wired);
    return err ? create_failed(t, err) : 0;
}

/* Lets t run, as what it is to be. 0 or an errno: then t is gone. */
static int thread_start(struct thread *t, struct thread *creator, const struct create_attr *a) {
    if (unlikely(a->has_sched || a->cpus || (creator && creator->wire) || wire_wants(t->start)))
        return start_unusual(t, creator, a);
    g_launch(t->g, t->tcb, tcb_stack_top(t->tcb), thread_main);
    return 0;
}

int thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *), void *arg,
                  bool returns_int) {
    struct create_attr a;
    struct thread *t;
    int err = attr ? attr_read(attr, &a) : attr_default(&a);
    if (!err)
        err = unlikely(m_none_yet()) ? EAGAIN : thread_new(&t, &a);
    if (err)
        return err;
    t->start = start;
    t->arg = arg;
    t->returns_int = returns_int;
    struct thread *creator = thread_self();
    if (creator)
        memcpy(t->name, creator->name, sizeof t->name);
    stat_count(STAT_CREATE);
    chaos_point("a create");
    /* *out is written before the thread runs, as glibc does: it may look at it. */
    *out = (pthread_t)t->tcb;
    return thread_start(t, creator, &a);
}

SHIM_API int shim_thread_create(pthread_t *out, const pthread_attr_t *attr, void *(*start)(void *),
                                void *arg) {
    if (!runtime_start())
        return next(pthread_create)(out, attr, start, arg);
    return thread_create(out, attr, start, arg, false);
}

/* ---- join ---- */

/* Returns the joined thread's memory. */
static void thread_reap(struct thread *t, void **result) {
    if (result)
        *result = *tcb_result(t->tcb);
    g_free(t->g);
}

/* The checks of pthread_join that need no waiting, and the claim to be the only joiner. */
static int join_claim(struct thread *t, struct thread *self) {
    if (atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_DETACHED)
        return EINVAL;
    /* No deadlock if one of the two is about to be cancelled; as glibc. */
    bool deadlock = t == self || (self && atomic_load(&t->joining) == self && !cancel_pending(t));
    if (deadlock && !cancel_pending(self))
        return EDEADLK;
    uint32_t old = atomic_fetch_or_explicit(&t->state, THREAD_JOINED, memory_order_acq_rel);
    return old & THREAD_JOINED ? EINVAL : 0;
}

/* Undone when the joiner goes away without having joined. */
static void join_unclaim(struct thread *t) {
    atomic_fetch_and_explicit(&t->state, ~THREAD_JOINED, memory_order_acq_rel);
}

/* Waits for the exit. PARK_WOKEN when it has come. A cancelled join is undone before acting. */
static enum park_result join_wait(struct thread *t, uint64_t deadline) {
    uintptr_t addr = (uintptr_t)&t->state;
    for (;;) {
        struct waiter local, *w = lot_self(&local);
        struct bucket *b = lot_lock(addr);
        if (atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED) {
            lot_unlock(b);
            return PARK_WOKEN;
        }
        lot_enqueue_interruptible(b, w, addr, WAIT_JOIN);
        lot_unlock(b);
        enum park_result r = cancel_wait(w, deadline);
        if (r == PARK_TIMEOUT)
            return r;
        struct thread *self = thread_self();
        if (r == PARK_INTERRUPTED && (!self || cancel_pending(self))) {
            if (self)
                atomic_store(&self->joining, NULL);
            join_unclaim(t);
            cancel_hold_end(self);
            cancel_test();
            cancel_hold(self);
            atomic_fetch_or_explicit(&t->state, THREAD_JOINED, memory_order_acq_rel);
            if (self)
                atomic_store(&self->joining, t);
        }
    }
}

static int join_until(struct thread *t, void **result, uint64_t deadline) {
    struct thread *self = thread_self();
    cancel_test();
    chaos_point("a join");
    int err = join_claim(t, self);
    if (err)
        return err;
    cancel_hold(self);
    if (self)
        atomic_store(&self->joining, t);
    enum park_result r = join_wait(t, deadline);
    if (self)
        atomic_store(&self->joining, NULL);
    if (r == PARK_WOKEN)
        thread_reap(t, result);
    else
        join_unclaim(t);
    cancel_hold_end(self);
    return r == PARK_WOKEN ? 0 : ETIMEDOUT;
}

SHIM_API int shim_thread_join(pthread_t th, void **result) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() ? ESRCH : next(pthread_join)(th, result);
    return join_until(t, result, TIME_FOREVER);
}

SHIM_API int shim_thread_tryjoin(pthread_t th, void **result) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() ? ESRCH : next(pthread_tryjoin_np)(th, result);
    if (!(atomic_load_explicit(&t->state, memory_order_acquire) & THREAD_EXITED)) {
        g_yield_if_asked();
        return EBUSY;
    }
    return join_until(t, result, TIME_FOREVER);
}

SHIM_API int shim_thread_clockjoin(pthread_t th, void **result, clockid_t clock,
                                   const struct timespec *abs) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() ? ESRCH : next(pthread_clockjoin_np)(th, result, clock, abs);
    uint64_t deadline;
    int err = deadline_abs(clock, abs, &deadline);
    return err ? err : join_until(t, result, deadline);
}

SHIM_API int shim_thread_timedjoin(pthread_t th, void **result, const struct timespec *abs) {
    return shim_thread_clockjoin(th, result, CLOCK_REALTIME, abs);
}

/* ---- detach, exit, yield ---- */

SHIM_API int shim_thread_detach(pthread_t th) {
    struct thread *t = thread_find(th);
    if (!t)
        return sched_running() ? ESRCH : next(pthread_detach)(th);
    uint32_t old = atomic_load_explicit(&t->state, memory_order_acquire);
    do {
        if (old & THREAD_DETACHED)
            return EINVAL;
    } while (!atomic_compare_exchange_weak_explicit(&t->state, &old, old | THREAD_DETACHED,
                                                    memory_order_acq_rel, memory_order_acquire));
    if (old & THREAD_EXITED)
        g_free(t->g);
    return 0;
}

SHIM_API int shim_yield(void) {
    if (!g_yield())
        sys(SYS_sched_yield); /* nothing to run here: let other processes */
    return 0;
}

SHIM_API pid_t shim_gettid(void) {
    struct g *g = getg();
    return g ? thread_of(g)->tid : (pid_t)sys(SYS_gettid);
}
