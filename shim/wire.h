/* wire.h - threads that have a kernel thread of their own: why, and how they get it (wire.c) */
#ifndef GTHREAD_WIRE_H
#define GTHREAD_WIRE_H

#include "shim/shim.h"

#include <linux/capability.h>
#include <sched.h>

/* thread.wire: what its kernel thread has that others have not. The first three can be undone. */
enum {
    WIRE_SCHED = 1,    /* a policy or priority */
    WIRE_AFFINITY = 2, /* fewer CPUs than the process */
    WIRE_NICE = 4,
    WIRE_KERNEL = 8, /* namespaces, ids, filters and the like: nobody knows the way back */
    WIRE_BORN = 16,  /* wired from its first instruction on, with the kernel's tid. Not inherited */
    WIRE_GO = 32,    /* a thread of Go's runtime. Not inherited */
    WIRE_CLOCK = 64, /* a timer on its CPU clock. Not inherited */
    WIRE_LOCK = 128, /* mutexes of which the kernel has to know the owner. Not inherited */
};

/* The caller, if it is a goroutine that has the say over its kernel thread: not before the runtime
 * runs, on libc's own threads, or in a child of vfork. */
struct thread *wire_thread(void);

/* The caller's kernel thread becomes its own, and gets what is remembered for the caller. False,
 * with EAGAIN: it cannot. */
bool wire_self(unsigned why);
/* The caller's kernel thread has this no more: if there is no other reason it is wired no more. */
void wire_drop(unsigned why);
/* t is to have what is remembered for it (inherit.c, policy.c): at once if it is the caller,
 * else before it goes on in the program, or at the end of the call that it is in. 0 or EAGAIN. */
int wire_ask(struct thread *t, unsigned why);
/* The same, until it is done: the id of t's kernel thread, or 0 if it does not come to it. */
int32_t wire_other(struct thread *t, unsigned why);
/* The caller's part of wire_ask: on a goroutine, without a section. */
void wire_attend(void);
static inline bool wire_asked(const struct thread *t) {
    return unlikely(atomic_load_explicit(&g_signals(t->g)->pending, memory_order_relaxed) &
                    (1ULL << 32));
}

/* A thread is made with these attributes. */
struct wire_how {
    bool has_sched, has_cpus;
    int policy;
    struct sched_param param;
    cpu_set_t cpus;
};
/* What the new thread has of its creator's reasons. self: NULL for none. */
unsigned wire_inherited(const struct thread *self);
/* Are threads that run this function to be wired from the start? (Go, X3.) */
bool wire_wants(void *(*start)(void *));
/* The mask that t, the caller, has in the kernel, if that is the one that counts. */
bool wire_kernel_mask(const struct thread *t, uint64_t *mask);
/* First on a thread that is born wired, the caller. In a section. */
void wire_born(struct thread *t);
/* For thread_spawn. 0 or an errno. */
int wire_attr(pthread_attr_t *attr, const struct wire_how *how);

/* A call that changes something of the kernel's thread for the caller: its result, -1 and errno. */
#define WIRED_CALL(call)                                                                           \
    ({                                                                                             \
        struct thread *wired_ = wire_thread();                                                     \
        bool was_ = wired_ && wired_->wire & WIRE_KERNEL;                                          \
        __auto_type wr_ = (__typeof__(call))-1;                                                    \
        if (!wired_ || wire_self(WIRE_KERNEL)) {                                                   \
            wr_ = (call);                                                                          \
            if (wired_ && (long)wr_ == -1 && !was_)                                                \
                wire_drop(WIRE_KERNEL);                                                            \
        }                                                                                          \
        wr_;                                                                                       \
    })

/* By number: ids of goroutines among the arguments become the kernel's. 0 or -EAGAIN. */
long wire_ids(long nr, long *a, long *b);
/* unshare(2) changes more than the kernel knows. */
int shim_unshare(int flags);
/* By number, from syscall(): does this call change the kernel's thread of its caller? */
bool wire_is_for(long nr, long a, long b, long c);
bool wire_prctl(long option, long a);

int shim_getschedparam(pthread_t th, int *policy, struct sched_param *param);

/* libc has these two, and no header declares them. */
int capset(cap_user_header_t h, const cap_user_data_t data);
int capget(cap_user_header_t h, cap_user_data_t data);

/* ---- policies (policy.c): the kernel's arguments and results ---- */

/* Is it what the process's threads have? */
bool policy_is_default(int policy, const struct sched_param *param);
long policy_syscall(long nr, long a, long b, long c, long d, bool *ours);
/* The thread that such a call means, if it is a goroutine; 0 is the caller. */
struct thread *thread_meant(long tid);
/* What the kernel knows t by: the id of its M, or, if it has none, of one that is like all. */
int32_t thread_kernel_id(const struct thread *t);

#endif
