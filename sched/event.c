/* event.c - the event log: made when somebody asks for it, written by all threads
 *
 * The reader is another process that may read and write this one's memory (`gthread trace`):
 *   event_on     0: off. When the reader stores 1 the runtime makes the log at the next event, and
 *                writes until the reader stores 0.
 *   event_slots  how many events a lane is to have; the reader's, before event_on.
 *   event_fd     the log's descriptor, for the reader to open through /proc; -1: there is none yet,
 *                -errno - 1: there cannot be one. Stays, so that a later reader finds it: a log is
 *                made once, its size stays, a G may be writing into it at any time.
 *   event_missed events before there was a log.
 *   event_reader the reader's process id; event_awaits: the program waits for it (event_start).
 *
 * The log is made by whoever has the first event to write and holds no runtime lock: a process that
 * does nothing writes nothing, so nobody need be woken for it.
 */
#include "sched/event.h"

#include "sched/debug.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

uint8_t event_on;
static _Atomic uint32_t event_slots;
static _Atomic int32_t event_fd = -1, event_reader;
static _Atomic uint32_t event_missed;
static _Atomic uint32_t event_awaits;
static struct event_log *_Atomic event_log;
static _Atomic bool making;
DEBUG_VAR("event.on", event_on);
DEBUG_VAR("event.slots", event_slots);
DEBUG_VAR("event.fd", event_fd);
DEBUG_VAR("event.missed", event_missed);
DEBUG_VAR("event.reader", event_reader);
DEBUG_VAR("event.awaits", event_awaits);

/* 0: the program's limit of file sizes forbids it: growing the file would send it SIGXFSZ. */
static bool size_allowed(size_t size) {
    struct rlimit lim = {RLIM_INFINITY, RLIM_INFINITY};
    sys(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &lim);
    return lim.rlim_cur >= size;
}

/* The file's descriptor, or -errno. Pages come as they are written. */
static long file_make(size_t size) {
    long fd = size_allowed(size) ? sys(SYS_memfd_create, "gthread-events", MFD_CLOEXEC) : -EFBIG;
    if (fd < 0)
        return fd;
    fd = net_fd_high((int)fd);
    long r = sys(SYS_ftruncate, fd, size);
    if (r < 0)
        sys(SYS_close, fd);
    return r < 0 ? r : fd;
}

/* 0 or -errno. */
static long log_make(uint32_t slots) {
    uint32_t lanes = sched.cfg.procs + 1;
    size_t head = mem_round_page(sizeof(struct event_log) + lanes * sizeof(struct event_lane));
    size_t size = mem_round_page(head + (size_t)lanes * slots * sizeof(struct event));
    long fd = file_make(size);
    if (fd < 0)
        return fd;
    long at = sys(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at < 0 && at > -4096) {
        sys(SYS_close, fd);
        return at;
    }
    struct event_log *log = (struct event_log *)at;
    *log = (struct event_log){EVENTLOG_MAGIC, lanes, slots, size, head};
    atomic_store_explicit(&event_log, log, memory_order_release);
    atomic_store_explicit(&event_fd, (int32_t)fd, memory_order_release);
    return 0;
}

/* The log; NULL: not now, or never. */
static struct event_log *log_get(void) {
    uint32_t slots = atomic_load_explicit(&event_slots, memory_order_acquire);
    struct event_log *log = atomic_load_explicit(&event_log, memory_order_acquire);
    struct g *self = getg();
    bool busy = false;
    if (log || (self && LOCKS_HELD(self->locks)) || table_is_own() || !slots ||
        (slots & (slots - 1)) || atomic_load_explicit(&event_fd, memory_order_relaxed) < -1 ||
        !atomic_compare_exchange_strong(&making, &busy, true))
        return log;
    log = atomic_load_explicit(&event_log, memory_order_acquire);
    long err = log ? 0 : log_make(slots);
    if (err)
        atomic_store_explicit(&event_fd, (int32_t)err - 1, memory_order_release);
    atomic_store_explicit(&making, false, memory_order_release);
    return atomic_load_explicit(&event_log, memory_order_acquire);
}

static void record(uint64_t now, enum event_type type, struct g *g, const struct p *p,
                   uint8_t reason, uint32_t arg, uint64_t other) {
    struct event_log *log = log_get();
    if (!log) {
        atomic_fetch_add_explicit(&event_missed, 1, memory_order_relaxed);
        return;
    }
    uint32_t lane = p ? p->id : log->lanes - 1;
    uint64_t i = atomic_fetch_add_explicit(&log->lane[lane].head, 1, memory_order_seq_cst);
    struct event *slots = (struct event *)((char *)log + log->events_at);
    struct event *e = &slots[(size_t)lane * log->slots + (i & (log->slots - 1))];
    const struct g *self = getg();
    e->when = now;
    e->g = g ? g->id : 0;
    e->other = other;
    e->seq = g ? ++g->events : 0;
    e->tid = self && self->m ? self->m->tid : 0;
    e->p = p ? (uint16_t)p->id : EVENT_NO_P;
    e->type = (uint8_t)type;
    e->reason = reason;
    e->arg = arg;
    atomic_store_explicit(&e->stamp, (uint32_t)i + 1, memory_order_release);
}

void event_record(enum event_type type, struct g *g, const struct p *p, uint8_t reason,
                  uint32_t arg, uint64_t other) {
    uint64_t now = arch_cycles(); /* first: see eventlog.h */
    atomic_signal_fence(memory_order_seq_cst);
    record(now, type, g, p, reason, arg, other);
}

void event_record_retake(uint64_t now, const struct p *p) {
    record(now, EV_RETAKE, NULL, p, 0, 0, 0);
}

static uint64_t self_id(void) {
    const struct g *self = getg();
    return self ? self->id : 0; /* a g0's is 0 */
}

void event_record_create(struct g *g) { event_record(EV_CREATE, g, p_self(), 0, 0, self_id()); }

void event_record_park(struct waiter *w) {
    event_record(EV_PARK, w->g, p_self(), w->reason, 0,
                 atomic_load_explicit(&w->addr, memory_order_relaxed));
}

void event_record_ready(struct g *g) {
    event_record(EV_READY, g, p_self(), g->w.reason, g->w.result, self_id());
}

/* How long a program waits for the `gthread trace` that has started it: it is on its way, unless
 * somebody has stopped it. */
#define READER_NS (20 * NSEC_PER_SEC)
#define LOOK_NS (1 * NSEC_PER_MSEC)

void event_start(void) {
    if (!sched.cfg.trace_pid || sched.cfg.trace_pid != sys(SYS_getpid))
        return;
    long parent = sys(SYS_getppid);
    uint64_t end = nanotime() + READER_NS;
    atomic_store_explicit(&event_awaits, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&event_awaits, memory_order_acquire) && nanotime() < end &&
           sys(SYS_getppid) == parent) {
        struct timespec ts = {0, LOOK_NS};
        if (*(volatile uint8_t *)&event_on)
            log_get();
        sys(SYS_nanosleep, &ts, NULL);
    }
    atomic_store_explicit(&event_awaits, 0, memory_order_relaxed);
}

/* The log is the parent's. */
void event_reset_child(bool own_table) {
    struct event_log *log = atomic_load(&event_log);
    int32_t fd = atomic_load(&event_fd);
    if (log)
        mem_unmap(log, log->size);
    if (fd >= 0 && !own_table)
        sys(SYS_close, fd);
    event_on = 0;
    atomic_store(&event_log, NULL);
    atomic_store(&event_fd, -1);
    atomic_store(&event_missed, 0);
    atomic_store(&event_reader, 0);
    atomic_store(&event_awaits, 0);
    atomic_store(&making, false);
}
