/* wire.c - which goroutines need a kernel thread of their own, and when they get it
 *
 * The mechanism is sched/wired.c. Here is who is wired:
 *   policies, priorities, nice values      when they differ from the process's; back when not
 *   CPUs (affinity)                        when the set leaves out a CPU that the process has:
 *                                          a set of all is remembered only. So a program that
 *                                          spreads its threads over all CPUs keeps goroutines; one
 *                                          that pins each has what it asked for, at NPTL's price.
 *   namespaces, ids by number, filters...  for good (wire_is_for)
 *   timers on a thread's CPU clock         that thread, for good
 *   mutexes that the kernel hands on       who uses one, for good (kernel_owner.c)
 *   threads that these make                inherit the reasons, so they cannot leave a sandbox
 *                                          (DANGERS X2); reasons that their attributes or
 *                                          SCHED_RESET_ON_FORK take away do not count
 *   threads that Go's runtime makes,       (X3): their code asks the kernel itself
 *   and who makes the first one
 * Names and timer slack wire nobody: they are told to whom asks, and given to children.
 *
 * Asking another thread (wire_ask): its state is remembered for it, then
 *   asker:  (1) sets the bit of SIG_RUNTIME in its pending set, (2) does what a sender of signals
 *           does (sched/signal.c): ends its wait or interrupts its M,
 *   target: finds the bit where it would find a signal, and wires itself before it goes on.
 * The bit has no queue entry and is blocked by nobody.
 */
#include "shim/wire.h"
#include "shim/inherit.h"
#include "shim/signal.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define REASONS (WIRE_SCHED | WIRE_AFFINITY | WIRE_NICE | WIRE_KERNEL)

struct thread *wire_thread(void) {
    return signal_own() && getg() ? thread_self() : NULL;
}

/* ---- becoming wired ---- */

/* The caller, who is wired now, has its kernel thread get what belongs to it. */
static void settle(struct thread *t) {
    if (t->wire & WIRE_AFFINITY && t->affinity)
        inherit_apply_affinity(t);
    if (t->wire & WIRE_NICE)
        sys(SYS_setpriority, PRIO_PROCESS, 0, t->nice);
    if (t->wire & WIRE_SCHED)
        sys(SYS_sched_setscheduler, 0, t->sched_policy, &t->sched_param);
    if (t->slack)
        sys(SYS_prctl, PR_SET_TIMERSLACK, t->slack);
    sys(SYS_prctl, PR_SET_NAME, t->name);
}

bool wire_self(unsigned why) {
    struct thread *t = thread_self();
    int err = errno;
    if (!g_wired_tid(t->g)) {
        if (!g_wire(t == thread_first())) {
            errno = EAGAIN;
            return false;
        }
        __atomic_fetch_or(&t->wire, (uint8_t)why, __ATOMIC_SEQ_CST);
        settle(t);
    }
    __atomic_fetch_or(&t->wire, (uint8_t)why, __ATOMIC_SEQ_CST);
    errno = err;
    return true;
}

void wire_drop(unsigned why) {
    struct thread *t = thread_self();
    int err = errno;
    __atomic_fetch_and(&t->wire, (uint8_t)~why, __ATOMIC_SEQ_CST);
    if (!t->wire && g_wired_tid(t->g)) {
        if (t->slack)
            sys(SYS_prctl, PR_SET_TIMERSLACK, 0); /* the default */
        g_unwire();
    }
    errno = err;
}

/* 0: it has not come to it yet. */
static int32_t await_wired(const struct thread *t, int tries, uint64_t ns) {
    int32_t tid;
    int err = errno;
    for (int i = 0; !(tid = g_wired_tid(t->g)) && i < tries; i++) {
        struct timespec ts = {0, (long)ns};
        nanosleep(&ts, NULL);
    }
    errno = err;
    return tid;
}

/* A thread comes to it within a slice, unless it is in a call of the kernel's: then this waits for
 * two slices, so that what the kernel shows is mostly what was set. */
#define SOON_TRIES 100
#define SOON_NS (200 * NSEC_PER_USEC)
/* Who has to know the kernel's id waits for a second. */
#define OTHER_TRIES 1000

int wire_ask(struct thread *t, unsigned why) {
    if (t == thread_self())
        return wire_self(why) ? 0 : EAGAIN;
    __atomic_fetch_or(&t->wire, (uint8_t)why, __ATOMIC_SEQ_CST);
    if (g_wired_tid(t->g))
        return 0;
    atomic_fetch_or(&g_signals(t->g)->pending, sig_bit(SIG_RUNTIME));
    sig_wake(t, SIG_RUNTIME);
    await_wired(t, SOON_TRIES, SOON_NS);
    return 0;
}

int32_t wire_other(struct thread *t, unsigned why) {
    return wire_ask(t, why) ? 0 : await_wired(t, OTHER_TRIES, NSEC_PER_MSEC);
}

void wire_attend(void) {
    struct thread *t = thread_self();
    if (!t || !wire_asked(t) || t->vforked)
        return;
    atomic_fetch_and(&g_signals(t->g)->pending, ~sig_bit(SIG_RUNTIME));
    if (t->wire & (REASONS | WIRE_CLOCK))
        wire_self(0); /* if it cannot, it stays as it is: nobody is here to be told */
}

/* ---- threads that are made ---- */

unsigned wire_inherited(const struct thread *self) {
    unsigned why = self ? self->wire & REASONS : 0;
    if (why & WIRE_SCHED && self->sched_policy & SCHED_RESET_ON_FORK)
        why &= ~(unsigned)(WIRE_SCHED | (self->nice < 0 ? WIRE_NICE : 0));
    return why;
}

int wire_attr(pthread_attr_t *attr, const struct wire_how *how) {
    int err = 0;
    if (how->has_sched) {
        pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
        err = pthread_attr_setschedpolicy(attr, how->policy);
        err = err ? err : pthread_attr_setschedparam(attr, &how->param);
    }
    if (!err && how->has_cpus)
        err = pthread_attr_setaffinity_np(attr, sizeof how->cpus, &how->cpus);
    return err;
}

/* Has the image that lies at `base` the note that Go's linker makes? */
static bool has_go_note(const char *base) {
    const ElfW(Ehdr) *eh = (const ElfW(Ehdr) *)base;
    const ElfW(Phdr) *ph = (const ElfW(Phdr) *)(base + eh->e_phoff);
    if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    /* Addresses count from where the first segment was linked to. */
    uintptr_t bias = (uintptr_t)base;
    for (int i = 0; i < eh->e_phnum; i++)
        if (ph[i].p_type == PT_LOAD) {
            bias -= ph[i].p_vaddr - ph[i].p_offset;
            break;
        }
    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type != PT_NOTE)
            continue;
        const char *at = (const char *)(bias + ph[i].p_vaddr), *end = at + ph[i].p_memsz;
        while (end - at >= (long)sizeof(ElfW(Nhdr)) + 4) {
            const ElfW(Nhdr) *n = (const ElfW(Nhdr) *)at;
            const char *name = at + sizeof *n;
            if (n->n_namesz == 4 && memcmp(name, "Go\0\0", 4) == 0)
                return true;
            at = name + ((n->n_namesz + 3) & ~3U) + ((n->n_descsz + 3) & ~3U);
        }
    }
    return false;
}

/* The function that Go's threads begin in; of an image there is one. Go blocks all signals while it
 * makes a thread, by libc's function, which the C code beside it does not; later it changes the
 * mask where libc does not see it, so only the first one tells. */
static _Atomic uintptr_t go_start;
static _Atomic uintptr_t looked_at; /* mostly threads are made with the same function again */

#pragma weak _dl_find_object
static __attribute__((noinline)) bool look_at(uintptr_t start) {
    struct dl_find_object found;
    struct thread *self = thread_self();
    atomic_store_explicit(&looked_at, start, memory_order_relaxed);
    if (atomic_load(&go_start) || (self && (sig_blocked(self) | SIG_UNBLOCKABLE) != UINT64_MAX) ||
        !_dl_find_object || _dl_find_object((void *)start, &found) != 0 ||
        !has_go_note(found.dlfo_map_start))
        return false;
    atomic_store(&go_start, start);
    return true;
}

bool wire_wants(void *(*start)(void *)) {
    uintptr_t at = (uintptr_t)start;
    if (unlikely(at != atomic_load_explicit(&looked_at, memory_order_relaxed)) && look_at(at))
        return true;
    return at == atomic_load_explicit(&go_start, memory_order_relaxed);
}

/* Go's threads begin with all signals blocked, and change that in the kernel alone: so what we have
 * of their mask lets everything through, and the kernel's decides. */
void wire_born(struct thread *t) {
    uint64_t every = ~SIG_UNBLOCKABLE;
    sys(SYS_prctl, PR_SET_NAME, t->name);
    if (!(t->wire & WIRE_GO))
        return;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &every, NULL, sizeof every);
    atomic_store(&g_signals(t->g)->blocked, 0);
}

/* Go's own threads change their mask by instructions of their own. */
bool wire_kernel_mask(const struct thread *t, uint64_t *mask) {
    if (likely(!t || !(t->wire & WIRE_GO)))
        return false;
    return sys(SYS_rt_sigprocmask, SIG_SETMASK, NULL, mask, sizeof *mask) == 0;
}
