/* park.c - the parking lot: threads that wait, by the address they wait for
 *
 * All waiting in memory (mutex, condition, semaphore, join, futex) goes through one hash table of
 * wait queues keyed by address, after WTF::ParkingLot. An object needs no queue of its own, so its
 * state fits the words glibc gives it.
 *
 * A bucket holds a list of addresses, each represented by the first waiter of its FIFO ring. So a
 * million waiters of one condition cost the others in the bucket one step.
 *
 * No wake-up is lost:
 *   1. The waiter takes the bucket lock, sees that it must wait, sets its state to PARKING, links
 *      itself and drops the lock.
 *   2. A waker changes the object's state under the same lock, so either the waiter saw the change
 *      in 1, or the waker finds it linked. It unlinks it and calls lot_ready after the lock.
 *   3. lot_ready on a G that is still on its way out (PARKING) makes it READIED; the side that
 *      comes in after the switch (FIN_PARK) then queues it instead of leaving it WAITING. Both
 *      changes are compare-exchanges of one word, so exactly one of the two queues the G.
 *   4. A deadline is armed only after 1, so the timer always finds the waiter; a timer that fires
 *      late finds another seq and does nothing. seq is read under the bucket lock while linked.
 */
#include "sched/debug.h"
#include "sched/event.h"
#include "sched/runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* 16 bytes each: 1 MB of untouched zero pages. A page serves 256 addresses' buckets. */
struct bucket {
    struct lock lock;
    struct waiter *heads;
};
#define BUCKET_BITS 16
static _Alignas(4096) struct bucket buckets[1 << BUCKET_BITS];

static struct bucket *bucket_of(uintptr_t addr) {
    /* Fibonacci hashing; objects are at least 4-byte aligned. */
    return &buckets[((uint64_t)addr >> 2) * 0x9e3779b97f4a7c15ULL >> (64 - BUCKET_BITS)];
}

struct bucket *lot_lock(uintptr_t addr) {
    struct bucket *b = bucket_of(addr);
    lock_acquire(&b->lock);
    return b;
}

void lot_unlock(struct bucket *b) { lock_release(&b->lock); }

struct bucket *lot_try_lock_second(struct bucket *held, uintptr_t addr) {
    struct bucket *b = bucket_of(addr);
    if (chaos(4, "fails to lock a second bucket"))
        return NULL;
    return b == held || lock_try(&b->lock) ? b : NULL;
}

void lot_unlock_second(struct bucket *held, struct bucket *second) {
    if (second != held)
        lock_release(&second->lock);
}

/* The link that points to the head of addr's ring, or the NULL at the list's end. */
static struct waiter **head_link(struct bucket *b, uintptr_t addr) {
    struct waiter **l = &b->heads;
    while (*l && atomic_load_explicit(&(*l)->addr, memory_order_relaxed) != addr)
        l = &(*l)->head_next;
    return l;
}

static void link_waiter(struct bucket *b, struct waiter *w, uintptr_t addr) {
    struct waiter **l = head_link(b, addr), *head = *l;
    w->is_head = !head;
    if (!head) {
        w->next = w->prev = w;
        w->head_next = NULL;
        *l = w;
    } else {
        w->next = head;
        w->prev = head->prev;
        head->prev->next = w;
        head->prev = w;
    }
    atomic_store_explicit(&w->addr, addr, memory_order_relaxed);
}

static void unlink_waiter(struct bucket *b, struct waiter *w) {
    if (w->is_head) {
        struct waiter **l = head_link(b, atomic_load_explicit(&w->addr, memory_order_relaxed));
        if (w->next == w) {
            *l = w->head_next;
        } else {
            w->next->is_head = true;
            w->next->head_next = w->head_next;
            *l = w->next;
        }
    }
    w->next->prev = w->prev;
    w->prev->next = w->next;
}

struct waiter *lot_self(struct waiter *local) {
    struct g *g = getg();
    /* In a signal handler that interrupted a bracketed call, or g0, there is no P to park with. */
    if (!g || g->is_g0 || !g_runs(g)) {
        memset(local, 0, sizeof *local);
        local->since = arch_cycles();
        return local;
    }
    g->w.seq++;
    g->w.token = 0;
    g->w.since = arch_cycles();
    return &g->w;
}

void lot_enqueue(struct bucket *b, struct waiter *w, uintptr_t addr, enum park_reason why) {
    w->reason = (uint8_t)why;
    w->interruptible = false;
    struct g *g = w->g;
    if (unlikely(!g)) {
        link_waiter(b, w, addr);
        return;
    }
    section_enter(g);
    status_set(g, G_PARKING);
    link_waiter(b, w, addr);
    event_park(w); /* the bucket's lock hides w until then */
}

void lot_enqueue_interruptible(struct bucket *b, struct waiter *w, uintptr_t addr,
                               enum park_reason why) {
    lot_enqueue(b, w, addr, why);
    w->interruptible = true;
}

struct waiter *lot_first(struct bucket *b, uintptr_t addr) {
    return *head_link(b, addr);
}

struct waiter *lot_next(struct waiter *w) {
    return w->next->is_head ? NULL : w->next;
}

void lot_dequeue(struct bucket *b, struct waiter *w) {
    section_enter_any(); /* lot_ready ends it */
    unlink_waiter(b, w);
    w->result = PARK_WOKEN;
    atomic_store_explicit(&w->addr, 0, memory_order_relaxed);
}

struct waiter lot_save(struct g *g) {
    return g->w;
}

void lot_restore(struct g *g, const struct waiter *saved) {
    uint32_t seq = g->w.seq; /* a late timer of the handler's waits must not match */
    g->w = *saved;
    g->w.seq = seq;
}

void lot_requeue(struct bucket *from, struct waiter *w, struct bucket *to_bucket, uintptr_t to) {
    unlink_waiter(from, w);
    link_waiter(to_bucket, w, to);
}

/* Ends a wait from outside: wait number *seq, or if seq is NULL whichever it is in, if it is
 * interruptible or need not be. */
static bool lot_end(struct waiter *w, const uint32_t *seq, enum park_result result, bool any) {
    for (;;) {
        uintptr_t addr = atomic_load_explicit(&w->addr, memory_order_relaxed);
        if (!addr)
            return false;
        struct bucket *b = lot_lock(addr);
        /* It may have been woken or requeued before we had the lock. */
        bool here = atomic_load_explicit(&w->addr, memory_order_relaxed) == addr;
        bool ours = here && (!seq || w->seq == *seq) && (any || w->interruptible);
        if (ours) {
            lot_dequeue(b, w);
            w->result = (uint8_t)result;
        }
        lot_unlock(b);
        if (ours && w->g)
            lot_ready(w);
        else if (ours)
            section_leave_any();
        if (here)
            return ours;
    }
}

void lot_timeout(struct g *g, uint32_t seq) {
    if (lot_end(&g->w, &seq, PARK_TIMEOUT, true)) {
        struct p *p = p_self();
        if (p)
            p_count(p, CNT_TIMER);
    }
}

bool g_interrupt(struct g *g, bool for_signal) {
    return lot_end(&g->w, NULL, PARK_INTERRUPTED, for_signal);
}

void lot_ready(struct waiter *w) {
    chaos_late("lot_ready");
    if (w->g) {
        event_ready(w->g);
        g_ready(w->g);
    } else {
        /* After the store the thread may return and its stack be reused: a futex_wake of an address
         * that is no longer ours wakes at most somebody who has to check anyway. */
        atomic_store_explicit(&w->futex, 1, memory_order_release);
        futex_wake(&w->futex, 1);
    }
    section_leave_any();
}

void lot_wake_first(uintptr_t addr) {
    struct bucket *b = lot_lock(addr);
    struct waiter *w = lot_first(b, addr);
    if (w)
        lot_dequeue(b, w);
    lot_unlock(b);
    if (w)
        lot_ready(w);
}

void wake_list_take(struct wake_list *l, struct bucket *b, struct waiter *w) {
    lot_dequeue(b, w);
    w->next = NULL;
    if (l->last)
        l->last->next = w;
    else
        l->first = w;
    l->last = w;
}

void wake_list_take_all(struct wake_list *l, struct bucket *b, uintptr_t addr) {
    struct waiter *w;
    while ((w = lot_first(b, addr)))
        wake_list_take(l, b, w);
}

void wake_list_ready(struct wake_list *l) {
    while (l->first) {
        struct waiter *w = l->first;
        l->first = w->next; /* w may be gone once it is ready */
        lot_ready(w);
    }
    l->last = NULL;
}

/* A thread without a G sleeps in the kernel. */
static enum park_result wait_in_kernel(struct waiter *w, uint64_t deadline) {
    while (!atomic_load_explicit(&w->futex, memory_order_acquire)) {
        int r = futex_sleep(&w->futex, 0, deadline);
        if (!r)
            continue;
        if (lot_end(w, NULL, r == -EINTR ? PARK_INTERRUPTED : PARK_TIMEOUT, true))
            return w->result;
        /* A waker has dequeued us: it will still write to w, which is on our stack. */
        deadline = TIME_FOREVER;
    }
    return w->result;
}

enum park_result lot_wait(struct waiter *w, uint64_t deadline) {
    struct g *g = w->g;
    if (!g)
        return wait_in_kernel(w, deadline);
    struct p *p = g->m->p;
    if (unlikely(!p) && g->m->wired)
        return wired_wait(g, w, deadline);
    if (likely(p))
        p_count(p, CNT_PARK);
    if (deadline != TIME_FOREVER)
        timer_add(p ? p : loose_timers(g->m), g, deadline, w->seq);
    if (g_has_signals(g)) /* signal.c, parker (2) */
        g_interrupt(g, true);
    chaos_late("lot_wait");
    uint32_t readied = G_READIED;
    if (likely(status_of(g) != G_READIED) ||
        !atomic_compare_exchange_strong_explicit(&g->status, &readied, p ? G_RUNNING : G_LOOSE,
                                                 memory_order_acq_rel, memory_order_relaxed))
        sched_switch(g, FIN_PARK);
    else
        event_stay(g);
    if (deadline != TIME_FOREVER)
        timer_del(g);
    w->reason = WAIT_NONE;
    enum park_result result = w->result;
    if (g_has_signals(g))
        atomic_store_explicit(&g->m->attention, true, memory_order_relaxed);
    section_leave(g);
    return result;
}

bool lot_waited(const struct waiter *w, uint64_t ns) {
    if (unlikely(chaos_on)) /* real time would make two runs differ */
        return chaos_draw(4, "hands over");
    uint64_t cycles = arch_cycles() - w->since;
    /* cycles/ns * ns, with the rate since the start; before that the guess of 2 GHz. */
    static _Atomic uint64_t per_us = 2000;
    static _Atomic uint32_t calls;
    if ((atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) & 0xfff) == 0xfff) {
        uint64_t us = (nanotime() - sched.start_ns) / NSEC_PER_USEC;
        if (us)
            atomic_store_explicit(&per_us, (arch_cycles() - sched.start_cycles) / us,
                                  memory_order_relaxed);
    }
    return cycles > atomic_load_explicit(&per_us, memory_order_relaxed) * (ns / NSEC_PER_USEC);
}

static const char *const reason_names[WAIT_REASONS] = {
    [WAIT_NONE] = "none",      [WAIT_MUTEX] = "mutex",     [WAIT_COND] = "cond",
    [WAIT_RWLOCK] = "rwlock",  [WAIT_SEM] = "semaphore",   [WAIT_BARRIER] = "barrier",
    [WAIT_ONCE] = "once",      [WAIT_JOIN] = "join",       [WAIT_SLEEP] = "sleep",
    [WAIT_FUTEX] = "futex",    [WAIT_NET_IN] = "net read", [WAIT_NET_OUT] = "net write",
    [WAIT_POLL] = "poll",      [WAIT_SYSCALL] = "syscall", [WAIT_SIGNAL] = "signal",
    [WAIT_LIBC] = "libc lock",
};
DEBUG_NAMES("reason.names", reason_names);

const char *park_reason_name(enum park_reason r) {
    return r < WAIT_REASONS ? reason_names[r] : "?";
}

/* A page that the kernel empties for a fork's child. */
static _Alignas(4096) struct {
    _Atomic bool here;
    char rest[4095];
} own;

void lot_start(void) {
    if (sys(SYS_madvise, &own, sizeof own, MADV_WIPEONFORK) == 0)
        atomic_store_explicit(&own.here, true, memory_order_release);
}

bool lot_here(void) { return atomic_load_explicit(&own.here, memory_order_acquire); }

/* Waiters of the parent are gone. Zero pages again, without touching a megabyte. */
void lot_reset_child(void) {
    if (sys(SYS_madvise, buckets, sizeof buckets, MADV_DONTNEED) < 0)
        memset(buckets, 0, sizeof buckets);
}
