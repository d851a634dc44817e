/* tcb.h - a thread's identity as glibc sees it
 *
 * Each G has a struct pthread and static TLS of its own at the top of its stack slot, real enough
 * that glibc code that reads THREAD_SELF works: errno, stdio, locale, malloc, C++ exceptions,
 * pthread keys, pthread_exit. What glibc keeps private about it is not known here: interpose/
 * finds it out at run time and fills `glibc`.
 */
#ifndef GTHREAD_TCB_H
#define GTHREAD_TCB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g;

/* What must be known of the running glibc. off_*: byte offsets in struct pthread. */
struct glibc_facts {
    size_t
        off_tid; /* this and off_cond_wrefs by the library's constructor, the rest by glibc_probe */
    size_t pthread_size;
    size_t tls_size; /* static TLS with struct pthread, as _dl_get_tls_static_info gives it */
    size_t tls_align;
    size_t off_list, off_cancelhandling, off_cleanup_jmp_buf;
    size_t off_specific, off_specific_1st, off_user_stack;
    size_t off_result, off_stackblock, off_stackblock_size, off_guardsize;
    size_t off_robust_prev, off_robust_head;
    size_t off_rseq_cpu_id; /* 0: this glibc has no rseq */
    size_t off_res;
    intptr_t resp_from_tp; /* where the TLS word __resp is */
    size_t off_cond_wrefs; /* in a pthread_cond_t: its flags and the number of waiters */
    /* From glibc 2.41 on: the code that looks for a cancellation and enters the kernel, for all of
     * libc's blocking calls. Before: 0, these calls are asynchronously cancellable meanwhile. */
    uintptr_t cancel_from, cancel_end;
    /* libc-private functions */
    void *(*allocate_tls)(void *tcb);
    void *(*allocate_tls_init)(void *tcb, bool init_tls);
    void (*deallocate_tls)(void *tcb, bool dealloc_tcb);
    void (*ctype_init)(void);
    void (*call_tls_dtors)(void);
    void (*deallocate_tsd)(void);
    void (*thread_freeres)(void);
    /* the list of threads with stacks of their own, and glibc's lock of it */
    void *dl_stack_user;
    _Atomic uint32_t *dl_stack_lock;
};
extern struct glibc_facts glibc;

/* Gives the stack [lo, hi) an identity at its top and enters it into glibc's list. Returns the
 * thread pointer, or 0: no memory. May call the program's malloc: on a G or before the start. */
uintptr_t tcb_make(uintptr_t lo, uintptr_t hi, size_t guard, int32_t tid);
/* Makes the identity of an exited thread that of a new one: all TLS as new. Where tcb_make may. */
void tcb_reuse(uintptr_t tcb, int32_t tid);
/* Takes it out of glibc's list and frees what hangs on it. Where tcb_make may. After it the
 * thread (maybe the caller itself) must not use dynamic TLS. */
void tcb_drop(uintptr_t tcb);
/* A copy of the running thread's static TLS at the end of a stack, for a thread that uses no other
 * TLS and that libc does not know. Takes no lock. */
uintptr_t tcb_copy_bare(uintptr_t hi);
void tcb_set_tid(uintptr_t tcb, int32_t tid);
/* The highest address that stack frames may use. */
uintptr_t tcb_stack_top(uintptr_t tcb);
/* What fits above the first frame: bytes that a slot needs besides the program's stack. */
size_t tcb_overhead(void);

/* What a thread runs first and last on its own stack. */
void tcb_enter(uintptr_t tcb);
void tcb_leave(uintptr_t tcb);
/* What the kernel does for a thread that exits: the robust mutexes it still holds become
 * EOWNERDEAD for the next one (get_robust_list(2)). tid, or kernel_tid: what they say who owns
 * them; the kernel thread is about to end. True: it has to, for somebody waits in the kernel. */
bool tcb_robust_abandon(uintptr_t tcb, int32_t tid, int32_t kernel_tid);
/* Does it hold one whose owner the kernel has to know? */
bool tcb_robust_pi_held(uintptr_t tcb);

static inline void **tcb_result(uintptr_t tcb) { return (void **)(tcb + glibc.off_result); }
static inline _Atomic int *tcb_cancelhandling(uintptr_t tcb) {
    return (_Atomic int *)(tcb + glibc.off_cancelhandling);
}
/* Where pthread_exit and cancellation unwind to: a __pthread_unwind_buf_t filled by setjmp. */
void tcb_set_unwind_buf(uintptr_t tcb, void *buf);

/* Bits of struct pthread.cancelhandling (glibc 2.36, nptl/descr.h). */
#define CANCEL_DISABLED 0x01
#define CANCEL_ASYNC 0x02
#define CANCEL_CANCELING 0x04
#define CANCEL_CANCELED 0x08
#define CANCEL_EXITING 0x10

#endif
