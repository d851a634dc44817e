/* unseen.c - blocking that nobody announced: the P of an M that sleeps in the kernel
 *
 * A G can block where no wrapper sees it: in libc (a lock, stdio), by a system call of its own, in
 * a page fault. It is RUNNING and its M holds the P. sysmon finds such an M (its CPU clock stands
 * still and the kernel says that it sleeps) and takes the P; the G finds itself without one when it
 * next comes to the runtime. That is a section's begin: the only code that touches a P is in
 * sections.
 *
 *   p_taken   meaning                                    left by
 *   NONE      the usual                                  sysmon: to ASKED
 *   ASKED     sysmon is about to decide                  sysmon: to TAKEN or NONE
 *   TAKEN     m->p is NULL, the G has no P               the M, at the G's next section: to NONE
 *
 *   sysmon: (1) p_taken = ASKED, (2) membarrier(2): a full barrier on every CPU that runs one of
 * our threads, (3) reads the G and its locks: no section is open: takes the P and says TAKEN; else
 *           NONE.
 *   M:      (1) opens a section: g->locks, (2) reads p_taken: ASKED: waits for the decision; TAKEN:
 * gets a P first. The M has no barrier between its two steps, (2) of sysmon is it. Either sysmon
 * sees the section, or the M sees ASKED. In between the M cannot switch, since a switch is in a
 * section. Without membarrier the P stays where it is.
 *
 * Both signs are needed: the CPU clock of a thread that is ready to run stands still too, half of
 * the time; and one that sleeps for a moment at every look does not keep the P from others.
 */
#include "sched/event.h"
#include "sched/netpoll.h"
#include "sched/runtime.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Opened before the program can have changed its root or ids. -1: no /proc. */
static int task_dir = -1;

void unseen_start(void) {
    task_dir = (int)sys(SYS_openat, AT_FDCWD, "/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (task_dir >= 0)
        task_dir = net_fd_high(task_dir);
}

int unseen_fd(void) { return task_dir; }

/* A directory of /proc has 2 links and one for each of its own. */
uint32_t kernel_threads(void) {
    struct stat st = {0};
    if (task_dir < 0 || sys(SYS_newfstatat, task_dir, "", &st, AT_EMPTY_PATH) || st.st_nlink < 3)
        return 0;
    return (uint32_t)st.st_nlink - 2;
}

/* CPU time of a kernel thread, ns; 0 if it is gone. Its clock's id: clock_getcpuclockid(3), with
 * the bits of include/linux/posix-timers.h for one thread and the scheduler's clock. */
uint64_t m_cpu_time(const struct m *m) {
    struct timespec ts = {0};
    sys(SYS_clock_gettime, (int)(~(uint32_t)m->tid << 3) | 6, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Does the kernel say that it sleeps (S, D)? proc(5): the state comes after the name in
 * parentheses. If it says nothing, the clock alone must do. */
bool m_sleeps(const struct m *m, bool if_unknown) {
    char name[32], text[128];
    snprintf(name, sizeof name, "%d/stat", m->tid);
    long fd = sys(SYS_openat, task_dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return if_unknown;
    long n = sys(SYS_read, fd, text, sizeof text - 1);
    sys(SYS_close, fd);
    text[n < 0 ? 0 : n] = 0;
    const char *at = strrchr(text, ')');
    return at ? at[1] == ' ' && (at[2] == 'S' || at[2] == 'D') : if_unknown;
}

/* Is m outside of every section, with p, running g and no call of ours? After the barrier. If it is
 * once, it is until p_taken changes; so all must be true at one time. The count of switches says
 * that g has not been away: its locks could be 0 on another M and it be back here in a section,
 * that of the switch (exec_prepare counts before it says who runs). */
static bool outside(struct m *m, struct p *p) {
    uint64_t switches = switches_of(p);
    struct g *g = *(struct g *volatile *)&m->curg;
    if (!g || *(struct p *volatile *)&m->p != p)
        return false;
    uint32_t locks = *(volatile uint32_t *)&g->locks;
    return !locks && status_of(g) == G_RUNNING && *(struct m *volatile *)&g->m == m &&
           *(struct g *volatile *)&m->curg == g && switches_of(p) == switches;
}

/* sysmon only. */
static bool take(struct m *m, struct p *p) {
    atomic_store_explicit(&m->p_taken, P_ASKED, memory_order_seq_cst);
    barrier_all();
    bool yes = outside(m, p);
    if (yes) {
        m->p = NULL;
        event_p(EV_UNSEEN, p, 0); /* while m still waits for the decision (event.h) */
    }
    atomic_store_explicit(&m->p_taken, yes ? P_TAKEN : P_NONE, memory_order_release);
    if (yes) {
        p_count(p, CNT_UNSEEN);
        handoffp(p);
    }
    return yes;
}

bool unseen_retake(struct p *p, struct m *m, bool long_still) {
    return !sched.fence_switches && m_sleeps(m, long_still) && take(m, p);
}

/* ---- on the M ---- */

void section_await_decision(const struct m *m) {
    while (atomic_load_explicit(&m->p_taken, memory_order_acquire) == P_ASKED)
        arch_pause();
}

/* g has opened its first section (`what`) and found p_taken. */
__attribute__((noinline)) void section_without_p(struct g *g, uint32_t what) {
    struct m *m = g->m;
    section_await_decision(m);
    if (atomic_load_explicit(&m->p_taken, memory_order_relaxed) != P_TAKEN)
        return;
    atomic_store_explicit(&m->p_taken, P_NONE, memory_order_relaxed);
    g->locks = SECTION_ONE; /* no lock is held yet, which a switch would object to */
    g_get_p(g);
    g->locks = what;
}
