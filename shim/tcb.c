/* tcb.c - making, reusing and dropping the identity of a thread (shared/SURFACE.md, D) */
#include "shim/shim.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <stdlib.h>

struct glibc_facts glibc;

/* The head of every TCB, which the x86-64 ABI and compiled code fix (tcbhead_t). */
struct tcb_head {
    void *tcb;
    void *dtv;
    void *self;
    int multiple_threads; /* malloc leaves out the lock prefix when it is 0 */
    int gscope_flag;
    uintptr_t sysinfo;
    uintptr_t stack_guard;
    uintptr_t pointer_guard;
    unsigned long vgetcpu_cache[2];
    unsigned feature_1;
};

struct list {
    struct list *next, *prev;
};

struct robust_head {
    void *list;
    long futex_offset;
    void *pending;
};

#define FIELD(tcb, off, type) (*(type *)((tcb) + (off)))

/* ---- glibc's list of threads ----
 * dlopen writes initial-exec TLS into every thread on it, so each identity must be there. */

static void stack_list_lock(void) { lll_lock(glibc.dl_stack_lock); }
static void stack_list_unlock(void) { lll_unlock(glibc.dl_stack_lock); }

static void stack_list_add(uintptr_t tcb) {
    struct list *head = glibc.dl_stack_user, *elem = &FIELD(tcb, glibc.off_list, struct list);
    stack_list_lock();
    elem->next = head->next;
    elem->prev = head;
    head->next->prev = elem;
    head->next = elem;
    stack_list_unlock();
}

static void stack_list_del(uintptr_t tcb) {
    struct list *elem = &FIELD(tcb, glibc.off_list, struct list);
    stack_list_lock();
    elem->next->prev = elem->prev;
    elem->prev->next = elem->next;
    stack_list_unlock();
}

/* ---- making ---- */

/* All fields that are not zero, except list, dtv and the stack's bounds. */
static void fill(uintptr_t tcb, int32_t tid) {
    struct tcb_head *h = (struct tcb_head *)tcb;
    const struct tcb_head *mine = (const struct tcb_head *)arch_tp();
    h->tcb = h->self = h;
    h->multiple_threads = 1;
    h->sysinfo = mine->sysinfo;
    h->stack_guard = mine->stack_guard;
    h->pointer_guard = mine->pointer_guard;
    h->feature_1 = mine->feature_1;
    FIELD(tcb, glibc.off_tid, int32_t) = tid;
    struct robust_head *robust = &FIELD(tcb, glibc.off_robust_head, struct robust_head);
    robust->list = robust;
    robust->futex_offset =
        FIELD((uintptr_t)mine, glibc.off_robust_head, struct robust_head).futex_offset;
    FIELD(tcb, glibc.off_robust_prev, void *) = robust;
    FIELD(tcb, glibc.off_specific, void *) = (void *)(tcb + glibc.off_specific_1st);
    FIELD(tcb, glibc.off_user_stack, bool) = true;
    /* Negative: sched_getcpu asks the kernel. The kernel knows only the M's own area. */
    if (glibc.off_rseq_cpu_id)
        FIELD(tcb, glibc.off_rseq_cpu_id, int32_t) = -2;
}

uintptr_t tcb_make(uintptr_t lo, uintptr_t hi, size_t guard, int32_t tid) {
    uintptr_t tcb = (hi - glibc.pthread_size) & ~(uintptr_t)(glibc.tls_align - 1);
    memset((void *)tcb, 0, glibc.pthread_size); /* the program's own memory may hold anything */
    fill(tcb, tid);
    FIELD(tcb, glibc.off_stackblock, uintptr_t) = lo - guard;
    FIELD(tcb, glibc.off_stackblock_size, size_t) = hi - lo + guard;
    FIELD(tcb, glibc.off_guardsize, size_t) = guard;
    if (!glibc.allocate_tls((void *)tcb))
        return 0;
    stack_list_add(tcb);
    return tcb;
}

/* A module's entry in the dynamic thread vector; [-1] holds its length, [0] the generation. */
struct dtv_entry {
    void *val;
    void *to_free;
};

void tcb_reuse(uintptr_t tcb, int32_t tid) {
    struct tcb_head *h = (struct tcb_head *)tcb;
    struct dtv_entry *dtv = h->dtv;
    size_t n = (size_t)dtv[-1].val;
    for (size_t i = 1; i <= n; i++)
        if (dtv[i].to_free)
            free(dtv[i].to_free);
    memset(dtv, 0, (n + 1) * sizeof *dtv);
    uintptr_t block = FIELD(tcb, glibc.off_stackblock, uintptr_t);
    size_t size = FIELD(tcb, glibc.off_stackblock_size, size_t);
    size_t guard = FIELD(tcb, glibc.off_guardsize, size_t);
    /* The list words are written by glibc under its lock whenever a neighbour comes or goes, so
     * everything around them is cleared, not they. */
    memset((void *)(tcb + sizeof *h), 0, glibc.off_list - sizeof *h);
    memset((void *)(tcb + glibc.off_list + sizeof(struct list)), 0,
           glibc.pthread_size - glibc.off_list - sizeof(struct list));
    FIELD(tcb, glibc.off_stackblock, uintptr_t) = block;
    FIELD(tcb, glibc.off_stackblock_size, size_t) = size;
    FIELD(tcb, glibc.off_guardsize, size_t) = guard;
    fill(tcb, tid);
    glibc.allocate_tls_init((void *)tcb, true);
}

uintptr_t tcb_copy_bare(uintptr_t hi) {
    uintptr_t tcb = (hi - glibc.pthread_size) & ~(uintptr_t)(glibc.tls_align - 1);
    size_t below = glibc.tls_size - glibc.pthread_size;
    memcpy((void *)(tcb - below), (const void *)(arch_tp() - below), below);
    memset((void *)tcb, 0, glibc.pthread_size);
    fill(tcb, 0);
    return tcb;
}

void tcb_set_tid(uintptr_t tcb, int32_t tid) { FIELD(tcb, glibc.off_tid, int32_t) = tid; }

void tcb_drop(uintptr_t tcb) {
    stack_list_del(tcb);
    glibc.deallocate_tls((void *)tcb, false);
}

uintptr_t tcb_stack_top(uintptr_t tcb) {
    return (tcb - (glibc.tls_size - glibc.pthread_size)) & ~(uintptr_t)15;
}

size_t tcb_overhead(void) { return glibc.tls_size + glibc.tls_align; }

void tcb_enter(uintptr_t tcb) {
    glibc.ctype_init();
    *(uintptr_t *)(tcb + (uintptr_t)glibc.resp_from_tp) = tcb + glibc.off_res;
}

/* In the order of glibc's start_thread. */
void tcb_leave(uintptr_t tcb) {
    glibc.call_tls_dtors();
    glibc.deallocate_tsd();
    glibc.thread_freeres();
    atomic_fetch_or_explicit(tcb_cancelhandling(tcb), CANCEL_EXITING, memory_order_relaxed);
}

bool tcb_robust_abandon(uintptr_t tcb, int32_t tid, int32_t kernel_tid) {
    bool kernel_waits = false;
    struct robust_head *head = &FIELD(tcb, glibc.off_robust_head, struct robust_head);
    for (void *entry = head->list, *after; entry != head; entry = after) {
        /* Bit 0 marks a priority-inheriting one: those the kernel hands on, when its thread ends.
         */
        bool in_kernel = (uintptr_t)entry & 1;
        entry = (void *)((uintptr_t)entry & ~(uintptr_t)1);
        after = *(void **)entry;
        _Atomic uint32_t *word = (_Atomic uint32_t *)((char *)entry + head->futex_offset);
        uint32_t v = atomic_load_explicit(word, memory_order_relaxed);
        uint32_t mine = (uint32_t)(in_kernel ? kernel_tid : tid);
        if (!mine || (v & FUTEX_TID_MASK) != mine)
            continue;
        while (!atomic_compare_exchange_weak(word, &v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
            continue;
        if (v & FUTEX_WAITERS &&
            !in_kernel) /* without the private flag: libc waits so for robust ones */
            sys(SYS_futex, word, FUTEX_WAKE, 1);
        kernel_waits |= in_kernel && v & FUTEX_WAITERS;
    }
    return kernel_waits;
}

bool tcb_robust_pi_held(uintptr_t tcb) {
    struct robust_head *head = &FIELD(tcb, glibc.off_robust_head, struct robust_head);
    void *entry = head->list;
    while (entry != head && !((uintptr_t)entry & 1))
        entry = *(void **)entry;
    return entry != head;
}

void tcb_set_unwind_buf(uintptr_t tcb, void *buf) {
    FIELD(tcb, glibc.off_cleanup_jmp_buf, void *) = buf;
}
