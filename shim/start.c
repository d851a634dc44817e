/* start.c - the runtime's beginning: the first pthread_create
 *
 * Until then the library has done nothing but read its environment. Now it learns what it needs
 * of glibc, makes the first thread a goroutine and starts the scheduler. Whatever fails before
 * sched_start has changed something leaves the program on libc's own threads, with one line that
 * says why.
 */
#include "shim/config.h"
#include "shim/fd.h"
#include "shim/inherit.h"
#include "shim/mapping.h"
#include "shim/signal.h"
#include "shim/wire.h"

#include <linux/rseq.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define G0_STACK (256UL << 10)

void thread_exited(struct g *g);
void thread_describe(struct g *g, char *buf, size_t size);

/* State table of `started`: 0 not yet, 1 somebody starts it, 2 runs, 3 cannot (libc's threads). */
enum { NOT_YET, STARTING, RUNS, CANNOT };
static _Atomic uint32_t started;

/* ---- kernel threads ---- */

struct spawn {
    void (*fn)(void *);
    void *arg;
    bool first; /* the template thread, which lives as long as the process */
};
static bool spawned_one;

static void *spawned(void *arg) {
    struct spawn s = *(struct spawn *)arg;
    free(arg);
    if (s.first)
        robust_keeper();
    s.fn(s.arg);
    return NULL;
}

/* sched_host.thread_spawn: a thread of libc's, so that libc knows the process is threaded. */
static int thread_spawn(void (*fn)(void *), void *arg, void *stack, size_t size, const void *how) {
    struct spawn *s = malloc(sizeof *s);
    if (!s)
        return ENOMEM;
    *s = (struct spawn){fn, arg, !spawned_one};
    spawned_one = true;
    pthread_attr_t attr;
    pthread_t th;
    sigset_t all;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, size);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setsigmask_np(&attr, &all);
    int err = how ? wire_attr(&attr, how) : 0;
    if (!err)
        err = next(pthread_create)(&th, &attr, spawned, s);
    pthread_attr_destroy(&attr);
    if (err)
        free(s);
    return err;
}

/* sched_host.thread_spawn_bare: clone(2) as it is. */
static int thread_spawn_bare(int (*fn)(void *), void *arg, void *stack, size_t size) {
    uintptr_t tcb = tcb_copy_bare((uintptr_t)stack + size);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_SETTLS;
    int r = next(clone)(fn, (void *)tcb_stack_top(tcb), flags, arg, NULL, (void *)tcb, NULL);
    return r < 0 ? errno : 0;
}

static void m_started(void) {
    if (!signal_m_stack())
        throw("m_started: no signal stack");
}

static const struct sched_host host = {
    .never_blocked = SIG_RESERVED,
    .thread_spawn = thread_spawn,
    .thread_spawn_bare = thread_spawn_bare,
    .g_exited = thread_exited,
    .identity_drop = tcb_drop,
    .m_prepare = signal_m_prepare,
    .m_cool = signal_m_cool,
    .m_started = m_started,
    .attend = signal_attend,
    .preempt_m = preempt_m,
    .g_describe = thread_describe,
    .deadlocked = deadlock_report,
};

/* ---- the first thread ---- */

/* The kernel writes the CPU number into the area of the thread it was registered for, but that
 * identity now moves between kernel threads, and a fork child recycles it while it is registered
 * (SURFACE, E). Negative makes glibc ask the kernel, and not register the threads it creates. */
static void rseq_unregister(void) {
    if (!glibc.off_rseq_cpu_id)
        return;
    char *cpu_id = (char *)arch_tp() + glibc.off_rseq_cpu_id;
    struct rseq *area = (struct rseq *)(cpu_id - offsetof(struct rseq, cpu_id));
    if ((int32_t)area->cpu_id >= 0)
        sys(SYS_rseq, area, 32, RSEQ_FLAG_UNREGISTER, 0x53053053);
    *(volatile int32_t *)cpu_id = -2;
}

/* Where the first thread's pthread_exit unwinds to, in place of glibc's __libc_start_call_main:
 * that would end the kernel thread, which is an M and serves others. */
static void first_thread_ended(void) { thread_end(); }

static void redirect_first_exit(void) {
    static __pthread_unwind_buf_t buf;
    void **slot = (void **)(arch_tp() + glibc.off_cleanup_jmp_buf);
    if (!*slot) /* a thread that is not the program's first one */
        return;
    memcpy(&buf, *slot, sizeof buf);
    long *regs = (long *)buf.__cancel_jmp_buf[0].__cancel_jmp_buf;
    uintptr_t sp = jmp_buf_sp(regs);
    /* A jump to the function's first instruction: the stack as after a call. */
    regs[JB_RSP] = (long)jmp_mangle((sp & ~(uintptr_t)15) - 8);
    regs[JB_PC] = (long)jmp_mangle((uintptr_t)first_thread_ended);
    *slot = &buf;
}

static struct thread *first;
struct thread *thread_first(void) {
    return first;
}

static void adopt_first(void) {
    struct thread *t = first = thread_self();
    memset(t, 0, sizeof *t);
    t->g = getg();
    t->tcb = arch_tp();
    t->tid = (int32_t)sys(SYS_gettid);
    *tcb_result(t->tcb) = PTHREAD_CANCELED; /* as thread_main */
    sys(SYS_prctl, PR_GET_NAME, t->name);
}

/* ---- start ---- */

/* Others that make threads themselves, and must know each kernel thread (DANGERS X8): there, if the
 * program or another preload has these. */
void __asan_init(void) __attribute__((weak));
void __tsan_init(void) __attribute__((weak));
void __msan_init(void) __attribute__((weak));
void __hwasan_init(void) __attribute__((weak));
void dmtcp_get_generation(void) __attribute__((weak));

static bool somebody_owns_threads(void) {
    const char *who = __asan_init            ? "AddressSanitizer"
                      : __tsan_init          ? "ThreadSanitizer"
                      : __msan_init          ? "MemorySanitizer"
                      : __hwasan_init        ? "HWAddressSanitizer"
                      : dmtcp_get_generation ? "DMTCP"
                                             : NULL;
    if (who)
        complain("%s watches the system's threads: running on those", who);
    return who;
}

/* The number of kernel threads; 0: /proc does not tell. A directory has 2 links, and one for each
 * of its own. */
static uint32_t process_threads(void) {
    struct stat st;
    // NOLINTNEXTLINE: the kernel has filled st
    return sys(SYS_stat, "/proc/self/task", &st) == 0 && st.st_nlink > 2 ? (uint32_t)st.st_nlink - 2
                                                                         : 0;
}

static bool start(void) {
    struct sched_config cfg;
    config_read(&cfg);
    bool alone = process_threads() == 1; /* asked before libc has made any for us */
    sigquit_dumps = cfg.sigquit;
    if (somebody_owns_threads() || glibc_probe())
        return false;
    arch_init(getauxval(AT_HWCAP2), cfg.fs_by_syscall);
    rseq_unregister();
    char *lo =
        (char *)sys(SYS_mmap, NULL, G0_STACK, 3 /* read, write */, 0x22 /* private, anon */, -1, 0);
    uintptr_t g0_tp = 0;
    int err = (long)lo < 0 && (long)lo > -4096 ? ENOMEM : 0;
    if (!err) {
        g0_tp = tcb_make((uintptr_t)lo, (uintptr_t)lo + G0_STACK, 0, (int32_t)sys(SYS_gettid));
        err = g0_tp ? 0 : ENOMEM;
    }
    signal_take();
    nanotime_by(next(clock_gettime));
    if (!err)
        patch_libc(alone);
    if (!err)
        err = sched_start(&cfg, &host, g0_tp, lo, (void *)tcb_stack_top(g0_tp));
    if (err) {
        signal_untake();
        complain("cannot start (%s): running on the system's threads", strerrorname_np(err));
        return false;
    }
    adopt_first();
    m_started();
    signal_start();
    redirect_first_exit();
    cancel_start();
    signal_runtime_start();
    preempt_start();
    mutex_start();
    next_get(NEXT_clone); /* sysmon must not ask the dynamic linker */
    return true;
}

bool runtime_start(void) {
    uint32_t s = atomic_load_explicit(&started, memory_order_acquire);
    if (likely(s == RUNS))
        return true;
    if (s == CANNOT || settings.off)
        return false;
    s = NOT_YET;
    if (atomic_compare_exchange_strong(&started, &s, STARTING)) {
        int err = errno; /* pthread_create leaves it alone */
        bool ok = start();
        errno = err;
        if (!ok)
            settings.off = true;
        atomic_store_explicit(&started, ok ? RUNS : CANNOT, memory_order_release);
        futex_wake(&started, INT32_MAX);
        if (ok) {
            signal_open();
            kernel_owner_start();
        }
        return ok;
    }
    while ((s = atomic_load_explicit(&started, memory_order_acquire)) == STARTING)
        futex_sleep(&started, STARTING, FUTEX_FOREVER);
    return s == RUNS;
}

/* The child has all descriptors too. */
void shim_before_fork(void) {
    if (fd_tracked())
        fd_all_shared();
}

/* In the child of a fork, on its only thread: it is now a process that has not started a runtime;
 * its first thread is the one that called fork. */
void shim_reset_child(void) {
    if (atomic_load(&started) != RUNS)
        return;
    if (thread_self())
        inherit_apply(thread_self());
    uint64_t blocked = signal_reset_child();
    first = NULL;
    sched_reset_child();
    once_reset_child();
    robust_reset_child();
    lowlevel_reset_child();
    spawned_one = false;
    mapping_reset_child();
    atomic_store(&started, NOT_YET);
    signal_child_ready(blocked);
}
