/* preempt.c - a goroutine that computes for long is stopped in the middle of its code
 *
 * sysmon finds it and interrupts its M (SIG_RUNTIME). The handler lets the G go on in a frame on
 * its own stack that yields, as for a signal's handler (sigdeliver.c): not in the kernel's handler
 * itself, which would keep the M. All registers are in the frame, the vector state in a block
 * outside of the stack, so that a G which only once was preempted does not keep a page for it.
 *
 * Where the G stands decides whether now is a good time:
 *   in a section, on g0, in a call's bracket,
 *   on the way into or out of a frame          no: what is to be done is done when it ends
 *   in libc, the dynamic linker, the vdso, or  later: it may hold a lock of malloc or stdio, and
 * all where malloc is                            that want it would wait. After DEFER_MAX times
 * anyway: each G is to libc what a kernel thread is, so it is safe anywhere else yes, also in a
 * handler
 */
#include "shim/signal.h"
#include "shim/wire.h"
#include "sigframe.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#define DEFER_MAX 10

/* ---- where code is that may hold locks ---- */

#define RANGES 8
static struct range { uintptr_t lo, hi; } ranges[RANGES];
static int nranges;

/* An address in each of them. */
static uintptr_t marks[4];

static int note_object(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum && nranges < RANGES; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t lo = info->dlpi_addr + ph->p_vaddr, hi = lo + ph->p_memsz;
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
            if (marks[k] >= lo && marks[k] < hi) {
                ranges[nranges++] = (struct range){lo, hi};
                break;
            }
    }
    return 0;
}

/* sysmon is there before us: until then the signal would come to libc's handler, which takes its
 * place with libc's first thread, and be lost; and nothing of libc would be known. */
static _Atomic bool can_preempt;

void preempt_start(void) {
    if (nranges) /* a fork child: the same libraries, and the handler stays */
        return;
    marks[0] = (uintptr_t)glibc.call_tls_dtors; /* libc: none that another library has as well */
    marks[1] = (uintptr_t)dlsym(RTLD_DEFAULT, "malloc");
    marks[2] = (uintptr_t)dlsym(RTLD_DEFAULT, "_dl_allocate_tls");
    dl_iterate_phdr(note_object, NULL);
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    if (vdso && nranges < RANGES)
        ranges[nranges++] = (struct range){vdso, vdso + 2 * 4096UL};
    atomic_store_explicit(&can_preempt, true, memory_order_release);
}

static bool may_hold_locks(uintptr_t pc) {
    for (int i = 0; i < nranges; i++)
        if (pc >= ranges[i].lo && pc < ranges[i].hi)
            return true;
    return false;
}

/* ---- blocks for vector state ---- */

/* A stack of free ones. Taken as a whole and put back but for one, so that no block can be taken
 * and come back between a look and the exchange (ABA). */
struct block {
    _Alignas(64) struct block *next;
    char rest[ARCH_FP_BLOCK - 64];
};
static struct block *_Atomic free_blocks;

static void push(struct block *first, struct block *last) {
    struct block *old = atomic_load_explicit(&free_blocks, memory_order_relaxed);
    do
        last->next = old;
    while (!atomic_compare_exchange_weak_explicit(&free_blocks, &old, first, memory_order_release,
                                                  memory_order_relaxed));
}

static struct block *block_get(void) {
    struct block *b = atomic_exchange_explicit(&free_blocks, NULL, memory_order_acquire);
    if (!b)
        return mem_permanent(sizeof *b, 64);
    if (b->next) {
        struct block *last = b->next;
        while (last->next)
            last = last->next;
        push(b->next, last);
    }
    return b;
}

__attribute__((target("general-regs-only"))) void arch_block_free(void *block) {
    struct block *b = block, *old = atomic_load_explicit(&free_blocks, memory_order_relaxed);
    do
        b->next = old;
    while (!atomic_compare_exchange_weak_explicit(&free_blocks, &old, b, memory_order_release,
                                                  memory_order_relaxed));
}

/* ---- preempting ---- */

static void run(struct arch_sigframe *f) {
    (void)f;
    wire_attend();
    sched_preempted();
}

/* For what yields. */
#define ROOM 2048

/* Where does the frame go? *top 0: below the stack pointer, else its end. False: there is no room.
 * On another stack than the G's nobody can tell how much room there is. Code that has set up an
 * alternate stack may leave none: Erlang's keeps data right below the pointer. So the frame goes
 * there, as that of a handler with SA_ONSTACK would. Without one (coroutines) it goes where any
 * handler's would. */
static bool find_place(const struct thread *t, uintptr_t sp, uintptr_t *top) {
    uintptr_t lo = g_stack_lo(t->g), alt = (uintptr_t)t->alt.ss_sp;
    *top = 0;
    if (sp >= lo && sp < g_stack_hi(t->g))
        return sp - lo > ROOM;
    if (!t->alt.ss_size || sp - alt < t->alt.ss_size)
        return true;
    *top = alt + t->alt.ss_size;
    return t->alt.ss_size >= ROOM + sizeof(struct arch_sigframe);
}

void preempt_here(struct thread *t, void *kernel_uc) {
    if (may_hold_locks(arch_uc_pc(kernel_uc)) && t->deferred < DEFER_MAX) {
        t->deferred++;
        return;
    }
    t->deferred = 0;
    uintptr_t top;
    if (arch_pc_in_sigframe(arch_uc_pc(kernel_uc)) || !find_place(t, arch_uc_sp(kernel_uc), &top))
        return;
    struct block *b = block_get();
    if (b)
        arch_sigframe_enter(kernel_uc, arch_sigframe_push(kernel_uc, top, b), run);
}

bool preempt_m(int32_t kernel_tid) {
    return atomic_load_explicit(&can_preempt, memory_order_acquire) &&
           sig_kick(kernel_tid, SIG_RUNTIME);
}
