/* glibc.c - what the running glibc keeps private, found out and tested at the first pthread_create
 *
 * Offsets in struct pthread come from the _thread_db_* symbols that libc exports for debuggers,
 * the rest from one probe thread that libc itself makes on a stack of ours: there, fields can be
 * found by the values that they must have. Every fact is checked once more against the probe
 * thread or the calling one; a disagreement means an unknown glibc, and the program runs on libc's
 * threads (DANGERS C6). Numbers in comments are those of glibc 2.36.
 */
#include "interpose/glibc.h"
#include "shim/config.h"
#include "shim/shim.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PROBE_STACK (128UL << 10)
#define PROBE_RESULT ((void *)0x5eed5eedUL)

/* Set by GTHREAD_DEBUG=glibc=unknown: one fact is made to disagree. */
bool glibc_pretend_unknown;

static int unknown(const char *what) {
    complain("glibc %s is not known here (%s): running on the system's threads",
             gnu_get_libc_version(), what);
    return ENOTSUP;
}

void *private_symbol(const char *name) {
    void *p = dlsym(RTLD_DEFAULT, name);
    if (!p)
        dlerror(); /* do not leave it for the program to find */
    return p;
}

/* struct pthread's field as libc describes it to debuggers: {bits, elements, offset}. */
static bool db_field(const char *name, size_t *offset) {
    const uint32_t *desc = private_symbol(name);
    if (desc)
        *offset = desc[2];
    return desc != NULL;
}

/* The minor version of this glibc, as 36 of 2.36. */
static int glibc_minor(void) {
    int major = 0, minor = 0;
    sscanf(gnu_get_libc_version(), "%d.%d", &major, &minor);
    return major == 2 ? minor : 0;
}

void glibc_look(void) {
    db_field("_thread_db_pthread_tid", &glibc.off_tid);
    glibc.off_cond_wrefs = glibc_minor() < 41 ? 36 : 28;
}

/* ---- symbols ---- */

static bool find_functions(void) {
    glibc.allocate_tls = private_symbol("_dl_allocate_tls");
    glibc.allocate_tls_init = private_symbol("_dl_allocate_tls_init");
    glibc.deallocate_tls = private_symbol("_dl_deallocate_tls");
    glibc.ctype_init = private_symbol("__ctype_init");
    glibc.call_tls_dtors = private_symbol("__call_tls_dtors");
    return glibc.allocate_tls && glibc.allocate_tls_init && glibc.deallocate_tls &&
           glibc.ctype_init && glibc.call_tls_dtors;
}

static bool find_described(size_t *schedpolicy, size_t *start_routine) {
    const uint32_t *size = private_symbol("_thread_db_sizeof_pthread");
    size_t report_events;
    if (!size || !db_field("_thread_db_pthread_list", &glibc.off_list) ||
        !db_field("_thread_db_pthread_cancelhandling", &glibc.off_cancelhandling) ||
        !db_field("_thread_db_pthread_specific", &glibc.off_specific) ||
        !db_field("_thread_db_pthread_report_events", &report_events) ||
        !db_field("_thread_db_pthread_schedpolicy", schedpolicy) ||
        !db_field("_thread_db_pthread_start_routine", start_routine))
        return false;
    glibc.pthread_size = *size;
    /* struct pthread: ... cleanup_jmp_buf, cancelhandling, flags, specific_1stblock[32],
     * specific[32], bool specific_used, report_events, user_stack, stopped_start ... result,
     * schedparam, schedpolicy, start_routine. Confirmed by the probe. */
    glibc.off_cleanup_jmp_buf = glibc.off_cancelhandling - 8;
    glibc.off_specific_1st = glibc.off_specific - 32UL * 16;
    glibc.off_user_stack = report_events + 1;
    glibc.off_result = *schedpolicy - sizeof(struct sched_param) - sizeof(void *);
    return glibc.off_tid && glibc.off_specific_1st == glibc.off_cancelhandling + 8;
}

static bool find_tls(void) {
    void (*info)(size_t *, size_t *) = private_symbol("_dl_get_tls_static_info");
    if (!info)
        return false;
    info(&glibc.tls_size, &glibc.tls_align);
    const size_t *rseq_offset = private_symbol("__rseq_offset");
    const unsigned *rseq_size = private_symbol("__rseq_size");
    if (rseq_offset && rseq_size)
        glibc.off_rseq_cpu_id = *rseq_offset + 4;
    return glibc.tls_size > glibc.pthread_size && glibc.tls_align &&
           !(glibc.tls_align & (glibc.tls_align - 1));
}

/* ---- conditions ---- */

/* Is __wrefs, which glibc 2.41 has moved, where we think? Of a new condition it is the one word
 * that is not 0: bit 0 is process-shared, bit 1 CLOCK_MONOTONIC. */
static bool wrefs_is_there(void) {
    union {
        pthread_cond_t cond;
        uint32_t words[sizeof(pthread_cond_t) / sizeof(uint32_t)];
    } u = {0};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int err = next(pthread_cond_init)(&u.cond, &attr);
    pthread_condattr_destroy(&attr);
    bool there = !err;
    for (size_t i = 0; i < sizeof u.words / sizeof *u.words; i++)
        there &= u.words[i] == (i * sizeof *u.words == glibc.off_cond_wrefs ? 3 : 0);
    return there;
}

/* ---- cancellation ---- */

/* The first instructions of __syscall_cancel_arch
 * (sysdeps/unix/sysv/linux/x86_64/syscall_cancel.S): testb $CANCELED,(%rdi) among the first, and a
 * system call that it returns from. */
static bool is_cancel_bridge(const unsigned char *f) {
    static const unsigned char test[] = {0xf6, 0x07, 0x08}, leave[] = {0x0f, 0x05, 0xc3};
    const int head = 16, all = 96;
    const unsigned char *end = memmem(f, all, leave, sizeof leave);
    if (!memmem(f, head, test, sizeof test) || !end)
        return false;
    glibc.cancel_from = (uintptr_t)f;
    glibc.cancel_end = (uintptr_t)end + 2;
    return true;
}

/* Follows the calls (opcode e8) of f down to that code. A byte that only looks like one leads
 * nowhere, or out of libc, where nothing is read. */
static bool find_cancel_bridge(const unsigned char *f, const Dl_info *libc, int depth) {
    const int reach = 96;
    for (const unsigned char *p = f; p < f + reach; p++) {
        int32_t rel;
        Dl_info at;
        if (*p != 0xe8)
            continue;
        memcpy(&rel, p + 1, sizeof rel);
        const unsigned char *to = p + 5 + rel;
        if (!dladdr(to, &at) || at.dli_fbase != libc->dli_fbase)
            continue;
        if (is_cancel_bridge(to) || (depth > 1 && find_cancel_bridge(to, libc, depth - 1)))
            return true;
    }
    return false;
}

/* pause is __syscall_cancel, that is __internal_syscall_cancel, that is __syscall_cancel_arch. */
static bool find_cancel(void) {
    Dl_info libc;
    void *f = (void *)next(pause);
    if (glibc_minor() < 41)
        return true;
    return dladdr(f, &libc) && find_cancel_bridge(f, &libc, 3);
}

/* ---- the list of stacks ---- */

struct list {
    struct list *next, *prev;
};

/* True if `head` is a closed list of plausible length; *found: `elem` is on it. */
static bool list_sane(struct list *head, struct list *elem, bool *found) {
    struct list *l = head;
    for (int i = 0; i < 100000; i++) {
        if (!l->next || l->next->prev != l)
            return false;
        l = l->next;
        *found |= l == elem;
        if (l == head)
            return true;
    }
    return false;
}

/* In _rtld_global: dl_stack_used, dl_stack_user, dl_stack_cache (lists), dl_stack_cache_actsize,
 * dl_in_flight_stack (words), dl_stack_cache_lock. The caller is the only thread. */
static bool find_stack_list(void) {
    char *rtld = private_symbol("_rtld_global");
    size_t off;
    if (!rtld || !db_field("_thread_db_rtld_global__dl_stack_user", &off))
        return false;
    struct list *user = (struct list *)(rtld + off);
    struct list *mine = (struct list *)(arch_tp() + glibc.off_list);
    bool found = false, ignored = false;
    if (!list_sane(user - 1, mine, &found) || !list_sane(user, mine, &found) ||
        !list_sane(user + 1, mine, &ignored) || !found)
        return false;
    uintptr_t *words = (uintptr_t *)(user + 2);
    glibc.dl_stack_user = user;
    glibc.dl_stack_lock = (_Atomic uint32_t *)(words + 2);
    return words[0] < (1UL << 40) && words[1] == 0 && atomic_load(glibc.dl_stack_lock) == 0;
}

/* ---- the probe thread ---- */

struct probe {
    char *stack;
    size_t schedpolicy, start_routine;
    pthread_key_t key;
    uintptr_t tp;
    const char *wrong; /* the first fact that disagreed */
};

static void *probe_thread(void *arg);

static _Thread_local bool key_destroyed;
static void key_destructor(void *v) {
    (void)v;
    key_destroyed = true;
}

/* After a thread's start routine returns, start_thread calls __call_tls_dtors,
 * __nptl_deallocate_tsd and __libc_thread_freeres, in this order. The latter two are hidden, so
 * their addresses are taken from the calls (opcode e8) near the routine's return address. */
static bool find_exit_calls(const unsigned char *ret) {
    const int around = 1024, gap = 24;
    for (const unsigned char *p = ret - around; p < ret + around; p++) {
        const unsigned char *call[3] = {p, NULL, NULL};
        void (*target[3])(void) = {NULL, NULL, NULL};
        for (int i = 0; i < 3; i++) {
            for (int k = 0; i && k < gap && !call[i]; k++)
                if (call[i - 1][5 + k] == 0xe8)
                    call[i] = call[i - 1] + 5 + k;
            if (!call[i] || *call[i] != 0xe8)
                break;
            int32_t rel;
            memcpy(&rel, call[i] + 1, 4);
            target[i] = (void (*)(void))(uintptr_t)(call[i] + 5 + rel);
        }
        if (target[0] == glibc.call_tls_dtors && target[2]) {
            glibc.deallocate_tsd = target[1];
            glibc.thread_freeres = target[2];
            return true;
        }
    }
    return false;
}

/* stackblock, stackblock_size, guardsize: consecutive words with values that we chose. */
static bool find_stackblock(const struct probe *p) {
    for (size_t off = p->start_routine; off + 24 <= glibc.pthread_size; off += 8) {
        const uintptr_t *w = (const uintptr_t *)(p->tp + off);
        if (w[0] == (uintptr_t)p->stack && w[1] == PROBE_STACK && w[2] == 0) {
            glibc.off_stackblock = off;
            glibc.off_stackblock_size = off + 8;
            glibc.off_guardsize = off + 16;
            return true;
        }
    }
    return false;
}

/* robust_prev, then the head that the kernel knows, still empty: the address of itself, the
 * distance from a link to its mutex' word, nothing pending. The kernel is not asked
 * (get_robust_list(2)), since sandboxes forbid that: Chromium's. */
static bool find_robust(uintptr_t tp) {
    for (size_t off = 0; off + 32 <= glibc.pthread_size; off += 8) {
        const uintptr_t *w = (const uintptr_t *)(tp + off), head = tp + off + 8;
        if (w[0] == head && w[1] == head && (intptr_t)w[2] < 0 && w[3] == 0) {
            glibc.off_robust_prev = off;
            glibc.off_robust_head = off + 8;
            return true;
        }
    }
    return false;
}

static bool in_stack(const struct probe *p, uintptr_t v) {
    return v - (uintptr_t)p->stack < PROBE_STACK;
}

static const char *probe_facts(struct probe *p, const unsigned char *ret) {
    uintptr_t tp = p->tp;
    if (!in_stack(p, tp) || *(int32_t *)(tp + glibc.off_tid) != (int32_t)sys(SYS_gettid))
        return "tid";
    if (*(void **)(tp + p->start_routine) != (void *)probe_thread)
        return "start_routine";
    if (!in_stack(p, *(uintptr_t *)(tp + glibc.off_cleanup_jmp_buf)))
        return "cleanup_jmp_buf";
    if (*(void **)(tp + glibc.off_specific) != (void *)(tp + glibc.off_specific_1st))
        return "specific";
    if (*(unsigned char *)(tp + glibc.off_user_stack) != 1)
        return "user_stack";
    if (!find_stackblock(p))
        return "stackblock";
    if (!find_robust(tp))
        return "robust_head";
    uintptr_t resp = (uintptr_t)private_symbol("__resp");
    glibc.resp_from_tp = (intptr_t)(resp - tp);
    glibc.off_res = resp ? *(uintptr_t *)resp - tp : 0;
    if (!resp || glibc.off_res >= glibc.pthread_size)
        return "res";
    if (!find_exit_calls(ret))
        return "thread exit";
    if (pthread_setspecific(p->key, p))
        return "keys";
    glibc.deallocate_tsd();
    return key_destroyed && !pthread_getspecific(p->key) ? NULL : "deallocate_tsd";
}

static void *probe_thread(void *arg) {
    struct probe *p = arg;
    p->tp = arch_tp();
    p->wrong = probe_facts(p, __builtin_return_address(0));
    return PROBE_RESULT;
}

static const char *run_probe(struct probe *p) {
    pthread_attr_t attr;
    pthread_t th;
    void *result = NULL;
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, p->stack, PROBE_STACK);
    int err = next(pthread_create)(&th, &attr, probe_thread, p);
    pthread_attr_destroy(&attr);
    if (err)
        return "cannot make a probe thread";
    next(pthread_join)(th, &result);
    if (!p->wrong && *(void **)(p->tp + glibc.off_result) != PROBE_RESULT)
        return "result";
    return p->wrong;
}

/* ---- all of it ---- */

int glibc_probe(void) {
    if (glibc.dl_stack_user) /* a fork child: the same libc */
        return 0;
    struct probe p = {0};
    if (!find_functions())
        return unknown("functions");
    if (!wrefs_is_there())
        return unknown("conditions");
    if (!find_cancel())
        return unknown("cancellation");
    if (!find_described(&p.schedpolicy, &p.start_routine) || glibc_pretend_unknown)
        return unknown("struct pthread");
    if (!find_tls())
        return unknown("static TLS");
    p.stack = mmap(NULL, PROBE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p.stack == MAP_FAILED || pthread_key_create(&p.key, key_destructor)) {
        complain("no memory to start: running on the system's threads");
        return ENOMEM;
    }
    const char *wrong = run_probe(&p);
    pthread_key_delete(p.key);
    munmap(p.stack, PROBE_STACK);
    if (!wrong && !find_stack_list())
        wrong = "stack list";
    return wrong ? unknown(wrong) : 0;
}
