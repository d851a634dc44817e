/* mfree.c - Ms without work: they end, and their structs and stacks serve again
 *
 * Every G that blocks in the kernel has an M, so there are at times as many Ms as threads. An idle
 * one costs a kernel thread and its stacks, and each fork copies the page tables of these. So the
 * template thread looks at the idle Ms every LOOK_NS. Those that have been idle since its last
 * look, the list's lowest length, nobody needed: half of what exceeds m_keep() is made to end, a
 * batch at a time. So a burst that comes again every few seconds finds most of its Ms.
 *
 * To end one: (1) it leaves sched.midle, under sched.lock, (2) m->ending = true, (3) m->park = 1
 * (release), futex_wake, (4) in stopm it sees park (acquire), then ending, leaves m_loop, and (5)
 * is put on sched.mended. Its stack is in use until the kernel knows the thread no more.
 *
 * A kernel thread takes with it what the kernel keeps for it alone. What the program may have asked
 * for by name wires the M (kernel_state.c in shim), but two things come with other calls:
 *   - a child that has asked for it (PR_SET_PDEATHSIG) gets a signal when the kernel thread ends
 *     that made it: an M that has children stays;
 *   - what a thread has submitted to an io_uring is cancelled with it, and the submitting may be
 *     unseen (liburing): where there is one, all Ms stay.
 */
#include "sched/event.h"
#include "sched/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LOOK_NS (4 * NSEC_PER_SEC)
/* So many end, and then so long none does, in which the kernel gets rid of them: 10,000 in half a
 * minute, and nobody waits long for sched.lock or the CPU. */
#define END_BATCH 64
#define END_PAUSE_NS (2 * NSEC_PER_MSEC)
/* Ended ones that m_get looks at before it takes one without a stack. */
#define REUSE_TRIES 4

static _Atomic uint32_t next_id;

struct m *m_new(void) {
    struct m *m = mem_permanent(sizeof *m, ARCH_CACHE_LINE);
    if (!m)
        return NULL;
    m->g0 = &m->g0_storage;
    m->g0->is_g0 = true;
    m->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    m->alllink = atomic_load_explicit(&sched.allm, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&sched.allm, &m->alllink, m, memory_order_release,
                                                  memory_order_relaxed))
        continue;
    return m;
}

/* ---- those that have ended ---- */

static struct m *pop(struct m **list, uint32_t *n) {
    lock_acquire(&sched.lock);
    struct m *m = *list;
    if (m) {
        *list = m->schedlink;
        (*n)--;
    }
    lock_release(&sched.lock);
    return m;
}

static void put_ended(struct m *m) {
    struct m **list = m->stack ? &sched.mended : &sched.mbare;
    lock_acquire(&sched.lock);
    m->schedlink = *list;
    *list = m;
    uint32_t n = ++*(m->stack ? &sched.nmended : &sched.nmbare);
    lock_release(&sched.lock);
    if (m->stack && n > m_keep())
        surplus_note();
}

void m_unget(struct m *m) {
    atomic_fetch_sub_explicit(&sched.nm, 1, memory_order_relaxed);
    put_ended(m);
}

/* Does the kernel know its thread no more, which used the stack? */
static bool gone(const struct m *m) {
    return !m->ended_tid || sys(SYS_tgkill, sys(SYS_getpid), m->ended_tid, 0) != 0;
}

/* Takes up to max off sched.mended that are gone; returns how many. */
static uint32_t take_gone(struct m **taken, uint32_t max, uint32_t tries) {
    struct m *m, *not_yet[END_BATCH];
    uint32_t n = 0, left = 0;
    while (n < max && n + left < tries && (m = pop(&sched.mended, &sched.nmended)))
        if (gone(m))
            taken[n++] = m;
        else
            not_yet[left++] = m;
    while (left)
        put_ended(not_yet[--left]);
    return n;
}

struct m *m_get(void) {
    struct m *m;
    if (!take_gone(&m, 1, REUSE_TRIES) && !(m = pop(&sched.mbare, &sched.nmbare)))
        m = m_new();
    if (!m)
        return NULL;
    if ((!m->stack && !(m->stack = stack_map(M_STACK))) || !sched.host->m_prepare(m->ext)) {
        put_ended(m);
        return NULL;
    }
    atomic_fetch_add_explicit(&sched.nm, 1, memory_order_relaxed);
    return m;
}

void m_started(struct m *m) {
    m->tid = (int32_t)sys(SYS_gettid);
    m->prev = m->curg = NULL;
    m->finish = FIN_NONE;
    m->cpu_ns = m->cpu_since = 0;
    atomic_store_explicit(&m->cpu_cycles, 0, memory_order_relaxed);
    atomic_store_explicit(&m->attention, false, memory_order_relaxed);
    atomic_store_explicit(&m->preempt_sent, false, memory_order_relaxed);
    g_adopt(m->g0, m, arch_tp(), 0, 0);
    m->sigmask = UINT64_MAX; /* thread_spawn */
    sched.host->m_started();
    m_mask_follow();
    event_m(EV_M_START);
}

void m_leave(struct m *m) {
    event_m(EV_M_END);
    helper_block_signals();
    if (atomic_load_explicit(&m->attention, memory_order_relaxed))
        section_attend(m->g0);
    helper_block_signals();
    m->wired = NULL;
    m->ending = m->own_table = false;
    m->ended_tid = m->tid;
    m->tid = 0;
}

void m_end(struct m *m) {
    m_leave(m);
    m_unget(m);
}

/* ---- who may end ---- */

/* fn for each entry of the folder, in its descriptor, until it returns true. False: it never did;
 * true also if the folder cannot be read. */
static bool any_entry(const char *folder, bool (*fn)(int dir, const char *name)) {
    _Alignas(8) char buf[4096] = {0};
    long dir = sys(SYS_open, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), n;
    if (dir < 0)
        return true;
    bool found = false;
    while (!found && (n = sys(SYS_getdents64, dir, buf, sizeof buf)) > 0)
        for (long at = 0; at < n && !found;) {
            struct dirent64 *d = (struct dirent64 *)(buf + at);
            at += d->d_reclen;
            found = fn((int)dir, d->d_name);
        }
    sys(SYS_close, dir);
    return found;
}

static bool is_uring(int dir, const char *name) {
    static const char uring[] = "anon_inode:[io_uring]";
    char link[sizeof uring];
    return sys(SYS_readlinkat, dir, name, link, sizeof link) == sizeof uring - 1 &&
           !memcmp(link, uring, sizeof uring - 1);
}

static bool process_has_children(void) {
    siginfo_t info;
    return sys(SYS_waitid, P_ALL, 0, &info,
               WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL, NULL) != -ECHILD;
}

/* True also where the kernel does not tell. */
static bool has_children(const struct m *m) {
    char path[64], first;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", m->tid);
    long fd = sys(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool none = sys(SYS_read, fd, &first, 1) == 0;
    sys(SYS_close, fd);
    return !none;
}

/* ---- ending them: the template thread ---- */

static uint64_t next_look;
static uint32_t to_end; /* of this look, not yet made to end */

/* Up to max idle Ms, but none of the m_keep() that have been busy last. */
static uint32_t take_idle(struct m **taken, uint32_t max) {
    uint32_t n = 0;
    lock_acquire(&sched.lock);
    struct m **at = &sched.midle;
    for (uint32_t i = m_keep(); i && *at; i--)
        at = &(*at)->schedlink;
    while (n < max && *at)
        if ((*at)->is_first)
            at = &(*at)->schedlink;
        else
            taken[n++] = midle_take_locked(at);
    lock_release(&sched.lock);
    return n;
}

static void make_end(struct m *m) {
    m->ending = true;
    atomic_store_explicit(&m->park, 1, memory_order_release);
    futex_wake(&m->park, 1);
}

/* Only after they have been taken off the list is what is found out about them true for good.
 * Returns how many end. */
static uint32_t end_batch(uint32_t max) {
    struct m *taken[END_BATCH];
    uint32_t n = take_idle(taken, max), ended = 0;
    bool all_stay = n && any_entry("/proc/thread-self/fd", is_uring),
         parents = process_has_children();
    for (uint32_t i = n; i-- > 0;) {
        if (all_stay || (parents && has_children(taken[i]))) {
            lock_acquire(&sched.lock);
            midle_put_locked(taken[i]);
            lock_release(&sched.lock);
        } else {
            make_end(taken[i]);
            ended++;
        }
    }
    if (ended < n && m_needed()) /* as in stopm */
        wakep();
    return ended;
}

/* Of those that have ended; true: there are more. */
static bool unmap_batch(void) {
    struct m *taken[END_BATCH];
    uint32_t more = sched.nmended;
    uint32_t max = more > m_keep() ? more - m_keep() : 0;
    max = max < END_BATCH ? max : END_BATCH;
    uint32_t n = take_gone(taken, max, END_BATCH);
    for (uint32_t i = 0; i < n; i++) {
        stack_unmap(taken[i]->stack, M_STACK);
        taken[i]->stack = NULL;
        sched.host->m_cool(taken[i]->ext);
        put_ended(taken[i]);
    }
    return max != 0;
}

static void look(uint64_t now) {
    lock_acquire(&sched.lock);
    uint32_t unused = sched.midle_lowest;
    sched.midle_lowest = sched.nmidle;
    lock_release(&sched.lock);
    to_end = unused > m_keep() ? (unused - m_keep() + 1) / 2 : 0;
    next_look = now + LOOK_NS;
}

uint64_t m_give_back(uint64_t now) {
    if (now >= next_look)
        look(now);
    uint32_t ended = to_end ? end_batch(to_end < END_BATCH ? to_end : END_BATCH) : 0;
    /* Where none may end, the next look is when another M has become idle. */
    bool stay = to_end && !ended;
    to_end = ended ? to_end - ended : 0;
    if (unmap_batch() || to_end)
        return now + END_PAUSE_NS;
    return sched.nmidle > m_keep() && !stay ? next_look : TIME_FOREVER;
}

void m_free_reset_child(void) {
    next_look = 0;
    to_end = 0;
    atomic_store(&next_id, 0);
}
