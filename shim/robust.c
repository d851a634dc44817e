/* robust.c - robust mutexes of goroutines: given up when the thread ends, and when the process dies
 *
 * The kernel gives up what a kernel thread owns when that ends, however it does: it walks the list
 * that the thread has registered (set_robust_list(2)), and what there says the thread's id becomes
 * FUTEX_OWNER_DIED. A goroutine has no kernel thread of its own, and when the process is killed
 * mostly none at all. So one kernel thread that lives as long as the process, the template thread,
 * owns all robust mutexes that goroutines have locked, in the kernel's eyes and in those of other
 * processes: they say its id, and are in its list. Which goroutine it really is stands in a word
 * that libc does not use of robust mutexes.
 *
 *   __lock     as glibc and the kernel have it: keeper's id | FUTEX_WAITERS | FUTEX_OWNER_DIED
 *   __owner    as glibc has it: INCONSISTENT after EOWNERDEAD, NOT_RECOVERABLE after an unlock of
 *              such a one
 *   __spins    with __elision: the id of the goroutine, of meaning only while __lock says the
 * keeper
 *
 * The list belongs to the keeper, which does not touch it itself, under `list_lock`. As the kernel
 * wants it: (1) list_op_pending = the mutex, (2) __lock, (3) the list, (4) list_op_pending = NULL.
 * Waiting is done outside, in the kernel, since others wake there: by futexes that are not private,
 * as libc's. Mutexes with a protocol (PRIO_INHERIT, PRIO_PROTECT), and those that a thread of
 * libc's locks, are libc's; it may also have locked one of these before there was a runtime.
 */
#include "shim/mutex.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#define INCONSISTENT 0x7fffffff    /* PTHREAD_MUTEX_INCONSISTENT, nptl/pthreadP.h */
#define NOT_RECOVERABLE 0x7ffffffe /* PTHREAD_MUTEX_NOTRECOVERABLE */

/* The kernel's struct robust_list_head, with the word before it that makes it a node as glibc's. */
struct head {
    void *prev;
    struct node *list;
    long futex_offset;
    struct node *pending;
};

/* What lies in a mutex: glibc's __pthread_internal_list. The lists point at `next`. */
struct node {
    struct node *next;
};
struct links {
    struct node *prev;
    struct node next;
};

static struct lock list_lock;
static _Atomic uintptr_t keeper_tcb; /* 0: none yet */
static int32_t keeper_tid;

static _Atomic uint32_t *word(mutex *m) { return (_Atomic uint32_t *)&m->__lock; }
static struct links *links_of(mutex *m) { return (struct links *)&m->__list; }
static struct links *links_at(struct node *n) {
    return (struct links *)((char *)n - offsetof(struct links, next));
}
static mutex *mutex_at(struct node *n) {
    return (mutex *)((char *)links_at(n) - offsetof(mutex, __list));
}
static struct head *head_of(uintptr_t tcb) { return (struct head *)(tcb + glibc.off_robust_prev); }

static int32_t mark_of(const mutex *m) {
    int32_t tid;
    memcpy(&tid, &m->__spins, sizeof tid);
    return tid;
}
static void mark(mutex *m, int32_t tid) { memcpy(&m->__spins, &tid, sizeof tid); }

/* ---- the keeper ---- */

/* libc has registered its list by now. */
void robust_keeper(void) {
    keeper_tid = kernel_tid();
    atomic_store(&keeper_tcb, arch_tp());
}

void robust_reset_child(void) {
    list_lock = (struct lock){0};
    atomic_store(&keeper_tcb, 0);
}

bool robust_is_ours(const pthread_mutex_t *mp) {
    struct thread *t = thread_self();
    if ((kind_of(&mp->__data) & (KIND_ROBUST | KIND_PI | KIND_PP)) != KIND_ROBUST || !t ||
        t->vforked || passthrough())
        return false;
    while (unlikely(!atomic_load_explicit(&keeper_tcb, memory_order_acquire)))
        sys(SYS_sched_yield); /* it has been made, and is about to begin */
    return true;
}

/* ---- the lists ---- */

static void link_to(struct head *h, mutex *m) {
    struct links *l = links_of(m);
    links_at(h->list)->prev = &l->next;
    l->next.next = h->list;
    l->prev = (struct node *)&h->list;
    atomic_signal_fence(memory_order_seq_cst); /* the kernel may look at any time */
    h->list = &l->next;
}

static void unlink_from(mutex *m) {
    struct links *l = links_of(m);
    links_at(l->next.next)->prev = l->prev;
    l->prev->next = l->next.next;
    atomic_signal_fence(memory_order_seq_cst);
    l->next.next = l->prev = NULL;
}

static void pend(struct head *h, mutex *m) {
    h->pending = m ? &links_of(m)->next : NULL;
    atomic_signal_fence(memory_order_seq_cst);
}

static void wake_one(mutex *m) { sys(SYS_futex, word(m), FUTEX_WAKE, 1); }

/* ---- locking ---- */

static bool is_keepers(uint32_t v) { return (v & FUTEX_TID_MASK) == (uint32_t)keeper_tid; }

bool robust_is_mine(const pthread_mutex_t *mp) {
    const mutex *m = &mp->__data;
    uint32_t v = atomic_load_explicit(word((mutex *)m), memory_order_relaxed);
    return (is_keepers(v) && mark_of(m) == thread_self()->tid) ||
           (v & FUTEX_TID_MASK) == (uint32_t)self_tid();
}

/* Takes it if nobody has it. waiters: FUTEX_WAITERS if there may be some. 0, EBUSY with what it is,
 * EOWNERDEAD or ENOTRECOVERABLE. list_lock. */
static int take_locked(mutex *m, struct thread *t, uint32_t waiters, uint32_t *v) {
    *v = atomic_load_explicit(word(m), memory_order_relaxed);
    do {
        if (!(*v & FUTEX_OWNER_DIED) && *v & FUTEX_TID_MASK)
            return EBUSY;
    } while (!atomic_compare_exchange_weak_explicit(
        word(m), v, (uint32_t)keeper_tid | (*v & FUTEX_WAITERS) | waiters, memory_order_acquire,
        memory_order_relaxed));
    mark(m, t->tid);
    if (m->__owner == NOT_RECOVERABLE)
        return ENOTRECOVERABLE;
    link_to(head_of(atomic_load(&keeper_tcb)), m);
    m->__count = 1;
    t->robust_held++;
    if (*v & FUTEX_OWNER_DIED) {
        m->__owner = INCONSISTENT;
        return EOWNERDEAD;
    }
    m->__owner = t->tid;
    m->__nusers++;
    return 0;
}

static int take(mutex *m, uint32_t waiters, uint32_t *v) {
    struct head *h = head_of(atomic_load(&keeper_tcb));
    lock_acquire(&list_lock);
    pend(h, m);
    int err = take_locked(m, thread_self(), waiters, v);
    uint32_t old = 0;
    if (err == ENOTRECOVERABLE)
        old = atomic_exchange_explicit(word(m), 0, memory_order_release);
    pend(h, NULL);
    lock_release(&list_lock);
    if (old & FUTEX_WAITERS)
        wake_one(m); /* that one learns the same */
    return err;
}

/* Of a recursive or error-checking one that is ours already. EBUSY: it is neither. */
static int again(mutex *m) {
    switch (kind_of(m) & KIND_TYPE) {
    case PTHREAD_MUTEX_ERRORCHECK_NP:
        return EDEADLK;
    case PTHREAD_MUTEX_RECURSIVE_NP:
        if (m->__count + 1 == 0)
            return EAGAIN;
        m->__count++;
        return 0;
    default:
        return EBUSY;
    }
}

int robust_trylock(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    uint32_t v = atomic_load_explicit(word(m), memory_order_relaxed);
    if ((v & FUTEX_TID_MASK) == (uint32_t)self_tid())
        return next(pthread_mutex_trylock)(mp);
    if (!(is_keepers(v) && mark_of(m) == thread_self()->tid))
        return take(m, 0, &v);
    int err = again(m);
    return err == EDEADLK ? EBUSY : err;
}

/* Sleeps while the word is v. 0 or ETIMEDOUT. */
static int sleep_on(mutex *m, uint32_t v, clockid_t clock, const struct timespec *abs) {
    int op = FUTEX_WAIT_BITSET | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);
    bool outer = syscall_enter_block();
    long r = sys(SYS_futex, word(m), op, v, clock < 0 ? NULL : abs, NULL, FUTEX_BITSET_MATCH_ANY);
    if (outer)
        syscall_exit();
    return r == -ETIMEDOUT ? ETIMEDOUT : 0;
}

int robust_lock(pthread_mutex_t *mp, clockid_t clock, const struct timespec *abs) {
    mutex *m = &mp->__data;
    uint32_t v = atomic_load_explicit(word(m), memory_order_relaxed), waiters = 0;
    if ((v & FUTEX_TID_MASK) == (uint32_t)self_tid()) /* from before the runtime began */
        return clock < 0 ? next(pthread_mutex_lock)(mp)
                         : next(pthread_mutex_clocklock)(mp, clock, abs);
    if (is_keepers(v) && mark_of(m) == thread_self()->tid) {
        int err = again(m);
        if (err != EBUSY)
            return err;
    }
    for (;;) {
        int err = take(m, waiters, &v);
        if (err != EBUSY)
            return err;
        if (clock >= 0 && (abs->tv_nsec < 0 || abs->tv_nsec >= (long)NSEC_PER_SEC))
            return EINVAL;
        if (clock >= 0 && abs->tv_sec < 0)
            return ETIMEDOUT;
        if (!(v & FUTEX_WAITERS) &&
            !atomic_compare_exchange_strong_explicit(word(m), &v, v | FUTEX_WAITERS,
                                                     memory_order_relaxed, memory_order_relaxed))
            continue;
        if (sleep_on(m, v | FUTEX_WAITERS, clock, abs))
            return ETIMEDOUT;
        waiters = FUTEX_WAITERS; /* others may wait too */
    }
}

/* Lets go of it with this word. Returns what it was. list_lock. */
static uint32_t let_go_locked(struct head *h, mutex *m, struct thread *t, uint32_t to) {
    pend(h, m);
    unlink_from(m);
    t->robust_held--;
    uint32_t v = atomic_exchange_explicit(word(m), to, memory_order_release);
    pend(h, NULL);
    return v;
}

int robust_unlock(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    struct thread *t = thread_self();
    uint32_t v = atomic_load_explicit(word(m), memory_order_relaxed);
    if ((v & FUTEX_TID_MASK) == (uint32_t)self_tid())
        return next(pthread_mutex_unlock)(mp);
    if (!is_keepers(v) || mark_of(m) != t->tid)
        return EPERM;
    if ((kind_of(m) & KIND_TYPE) == PTHREAD_MUTEX_RECURSIVE_NP && m->__count > 1) {
        m->__count--;
        return 0;
    }
    m->__count = 0;
    m->__owner = m->__owner == INCONSISTENT ? NOT_RECOVERABLE : 0;
    m->__nusers--;
    lock_acquire(&list_lock);
    v = let_go_locked(head_of(atomic_load(&keeper_tcb)), m, t, 0);
    lock_release(&list_lock);
    if (v & FUTEX_WAITERS)
        wake_one(m);
    return 0;
}

/* ---- the end of a thread ---- */

void robust_thread_end(struct thread *t) {
    while (unlikely(t->robust_held > 0)) {
        struct head *h = head_of(atomic_load(&keeper_tcb));
        lock_acquire(&list_lock);
        struct node *n = h->list;
        while (n != (struct node *)&h->list && mark_of(mutex_at(n)) != t->tid)
            n = n->next;
        mutex *m = n == (struct node *)&h->list ? NULL : mutex_at(n);
        uint32_t v = m ? let_go_locked(h, m, t, FUTEX_OWNER_DIED | FUTEX_WAITERS) : 0;
        lock_release(&list_lock);
        if (!m)
            return;
        if (v & FUTEX_WAITERS)
            wake_one(m);
    }
}

/* ---- for conditions of libc's ---- */

void robust_lend(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    struct thread *t = thread_self();
    uint32_t v = atomic_load_explicit(word(m), memory_order_relaxed);
    if (!robust_is_ours(mp) || !is_keepers(v) || mark_of(m) != t->tid)
        return;
    lock_acquire(&list_lock);
    unlink_from(m);
    link_to(head_of(t->tcb), m);
    t->robust_held--;
    while (!atomic_compare_exchange_weak(word(m), &v, (uint32_t)t->tid | (v & FUTEX_WAITERS)))
        continue;
    lock_release(&list_lock);
}

void robust_take_back(pthread_mutex_t *mp) {
    mutex *m = &mp->__data;
    struct thread *t = thread_self();
    uint32_t v = atomic_load_explicit(word(m), memory_order_relaxed);
    if (!robust_is_ours(mp) || (v & FUTEX_TID_MASK) != (uint32_t)t->tid)
        return;
    lock_acquire(&list_lock);
    unlink_from(m);
    mark(m, t->tid);
    link_to(head_of(atomic_load(&keeper_tcb)), m);
    t->robust_held++;
    while (!atomic_compare_exchange_weak(word(m), &v, (uint32_t)keeper_tid | (v & FUTEX_WAITERS)))
        continue;
    lock_release(&list_lock);
}
