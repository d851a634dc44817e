/* timeline.c - makes of recorded events a file that Perfetto's viewer and Chrome's open
 *
 * The format is Chrome's trace event format, as JSON: processes 1, 2 and 3 are the Ps, the
 * goroutines, and kernel threads that had no P. A slice on a P is a goroutine's run there; on a
 * goroutine's track its states follow each other without a gap. An arrow leads from where a
 * goroutine was readied to where it ran then.
 *
 * Each P's events are in the order of its lane, a goroutine's in that of `seq` (sched/eventlog.h),
 * not in that of the clock. On the way it is checked that they add up: nobody runs at two places,
 * nor two on one P; each park has one ready before the next run. Where events are lost, the state
 * is unknown again until the next one tells it.
 */
#include "trace.h"

#include "gthread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ON_P = 1, ON_G, ON_THREAD };
/* A slice for what takes no time, so that an arrow can begin there. Shorter than any run, us. */
#define MOMENT_US 0.01

static const struct recording *rec;
static char problem[200];
static uint64_t problems;

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (!problems++)
        vsnprintf(problem, sizeof problem, fmt, ap);
    va_end(ap);
}

/* ---- the file ---- */

static gzFile out;
static const char *out_path;
static bool first_line;

static _Noreturn void cannot_write(void) {
    die(EXIT_GTHREAD, "%s: cannot be written: %s", out_path, strerror(errno ? errno : EIO));
}

void timeline_open(const char *path) {
    size_t n = strlen(path);
    bool packed = n > 3 && strcmp(path + n - 3, ".gz") == 0;
    const char *how = packed ? "wb1e" : "wbTe"; /* T: as it is */
    out_path = strcmp(path, "-") == 0 ? "stdout" : path;
    errno = 0;
    out = strcmp(path, "-") == 0 ? gzdopen(1, how) : gzopen(path, how);
    if (!out)
        die(EXIT_GTHREAD, "%s: %s", out_path, strerror(errno ? errno : ENOMEM));
    gzbuffer(out, 1 << 18);
}

static void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof text)
        n = (int)sizeof text - 1;
    errno = 0;
    if (gzwrite(out, text, (unsigned)n) != n)
        cannot_write();
}

/* Begins one element of traceEvents. */
static void element(void) {
    put(first_line ? "\n" : ",\n");
    first_line = false;
}

/* A name as the inside of a JSON string; what is not ASCII becomes `?`. */
static const char *quoted(const char *name, size_t size) {
    static char text[40];
    size_t n = 0;
    for (size_t i = 0; i < size && name[i] && n < sizeof text - 2; i++) {
        if (name[i] == '"' || name[i] == '\\')
            text[n++] = '\\';
        text[n++] = name[i] >= ' ' && name[i] < 127 ? name[i] : '?';
    }
    text[n] = 0;
    return text;
}

static double us(uint64_t when) {
    int64_t since = (int64_t)(when - rec->start);
    return since > 0 ? (double)since / rec->cycles_per_second * 1e6 : 0;
}

static const char *name_of(uint64_t g) {
    return g < rec->nnames ? quoted(rec->names[g], sizeof rec->names[g]) : "";
}

static const char *reason_of(uint8_t reason) {
    return reason < rec->nreasons ? rec->reasons[reason] : "?";
}

/* The slice is left open for its args: more put(), then "}}". */
static void slice(int process, uint64_t track, uint64_t from, uint64_t to, const char *name) {
    element();
    put("{\"ph\":\"X\",\"pid\":%d,\"tid\":%lu,\"ts\":%.3f,\"dur\":%.3f,\"name\":\"%s\",\"args\":{",
        process, (unsigned long)track, us(from), to > from ? us(to) - us(from) : 0, name);
}

static void moment(int process, uint64_t track, uint64_t when, const char *name) {
    element();
    put("{\"ph\":\"X\",\"pid\":%d,\"tid\":%lu,\"ts\":%.3f,\"dur\":%.3f,\"name\":\"%s\",\"args\":{",
        process, (unsigned long)track, us(when), MOMENT_US, name);
}

static void instant(int process, uint64_t track, uint64_t when, const char *name) {
    element();
    put("{\"ph\":\"i\",\"s\":\"t\",\"pid\":%d,\"tid\":%lu,\"ts\":%.3f,\"name\":\"%s\",\"args\":{",
        process, (unsigned long)track, us(when), name);
}

/* ---- Ps ---- */

struct proc {
    bool known;   /* what runs there, if anything */
    bool lost;    /* it was not, since the last events that are lost; else the beginning */
    uint64_t g;   /* the goroutine on it; 0: none */
    bool stopped; /* it has said that it leaves, at `stop`, and may yet stay */
    uint64_t from, stop, last;
    uint64_t call; /* when it began the system call that it is in; 0: none */
    int tid;
    const char *end;
};

static void proc_flush(struct proc *p, uint32_t id, uint64_t at, const char *end) {
    if (!p->g)
        return;
    char name[80];
    uint64_t to = p->stopped ? p->stop : at;
    snprintf(name, sizeof name, "goroutine %lu %s", (unsigned long)p->g, name_of(p->g));
    slice(ON_P, id, p->from, to, name);
    put("\"g\":%lu,\"kernel thread\":%d,\"end\":\"%s\"}}", (unsigned long)p->g, p->tid,
        p->stopped ? p->end : end);
    if (p->call) {
        slice(ON_P, id, p->call, to, "system call");
        put("}}");
    }
    p->g = p->call = 0;
    p->stopped = false;
}

static void proc_begins(struct proc *p, const struct event *e, uint64_t when) {
    if (p->known && p->g && !p->stopped)
        wrong("goroutine %lu runs on P %u, where %lu still does", (unsigned long)e->g, e->p,
              (unsigned long)p->g);
    proc_flush(p, e->p, when, "?");
    *p = (struct proc){.known = true, .g = e->g, .from = when, .last = when, .tid = e->tid};
}

/* An event of the goroutine that is on p. The first one tells who that is. */
static void proc_expect(struct proc *p, const struct event *e) {
    if (!p->known)
        *p = (struct proc){.known = true,
                           .g = e->g,
                           .from = p->lost ? p->last : rec->start,
                           .last = p->last,
                           .tid = e->tid};
    if (p->g != e->g)
        wrong("goroutine %lu is at work on P %u, where %lu runs", (unsigned long)e->g, e->p,
              (unsigned long)p->g);
}

static void proc_stops(struct proc *p, const struct event *e, uint64_t when, const char *how) {
    proc_expect(p, e);
    p->stopped = true;
    p->stop = when;
    p->end = how;
}

static void proc_call_ends(struct proc *p, const struct event *e, uint64_t when) {
    proc_expect(p, e);
    if (p->call) {
        slice(ON_P, e->p, p->call, when, "system call");
        put("}}");
    }
    p->call = 0;
}

static void proc_is_given_away(struct proc *p, const struct event *e, uint64_t when,
                               const char *how) {
    proc_flush(p, e->p, when, how);
    p->known = true;
    instant(ON_P, e->p, when, how);
    put("}}");
}

static void proc_event(struct proc *p, const struct event *e) {
    /* A CPU's clock may be behind; what is lost has none. */
    uint64_t when = e->type != EV_NONE && e->when > p->last ? e->when : p->last;
    p->last = when;
    switch ((enum event_type)e->type) {
    case EV_NONE:
        proc_flush(p, e->p, when, "events are lost");
        p->known = false;
        p->lost = true;
        instant(ON_P, e->p, when, "events are lost");
        put("\"events\":%u}}", e->arg);
        break;
    case EV_RUN:
    case EV_GOT_P:
        proc_begins(p, e, when);
        break;
    case EV_PARK:
        proc_stops(p, e, when, reason_of(e->reason));
        break;
    case EV_YIELD:
        proc_stops(p, e, when, "yield");
        break;
    case EV_PREEMPT:
        proc_stops(p, e, when, "preempted");
        break;
    case EV_EXIT:
        proc_stops(p, e, when, "exit");
        break;
    case EV_MOVE:
        proc_stops(p, e, when, "moves");
        break;
    case EV_STAY:
        proc_expect(p, e);
        p->stopped = false;
        break;
    case EV_CALL:
        proc_expect(p, e);
        p->call = when;
        break;
    case EV_CALL_END:
        proc_call_ends(p, e, when);
        break;
    case EV_RETAKE:
        proc_is_given_away(p, e, when, "retake");
        break;
    case EV_UNSEEN:
        proc_is_given_away(p, e, when, "retake from one that sleeps unannounced");
        break;
    case EV_HANDOFF:
        proc_is_given_away(p, e, when, "hand-off");
        break;
    case EV_STEAL:
        instant(ON_P, e->p, when, "steal");
        put("\"from P\":%lu,\"goroutines\":%u}}", (unsigned long)e->other, e->arg);
        break;
    case EV_NETPOLL:
        instant(ON_P, e->p, when, "netpoll");
        put("\"goroutines\":%u}}", e->arg);
        break;
    default: /* what only other tracks show */
        break;
    }
}

static void thread_event(const struct event *e) {
    static const char *const names[EVENT_TYPES] = {[EV_M_START] = "starts",
                                                   [EV_M_END] = "ends",
                                                   [EV_M_SLEEP] = "sleeps",
                                                   [EV_M_WAKE] = "wakes"};
    if (names[e->type]) {
        instant(ON_THREAD, (uint64_t)e->tid, e->when, names[e->type]);
        put("}}");
    } else if (e->type == EV_NONE) {
        instant(ON_THREAD, 0, e->when, "events are lost");
        put("\"events\":%u}}", e->arg);
    }
}

static void write_procs(void) {
    struct proc *procs = NEW_ARRAY(struct proc, rec->procs);
    for (size_t i = 0; i < rec->n; i++) {
        const struct event *e = &rec->events[i];
        if (e->p < rec->procs)
            proc_event(&procs[e->p], e);
        else
            thread_event(e);
    }
    for (uint32_t i = 0; i < rec->procs; i++)
        proc_flush(&procs[i], i, rec->end, "the trace ends");
    free(procs);
}

/* ---- goroutines ---- */

enum state { UNKNOWN, NEW, RUNS, PARKS, READY, QUEUED, MOVES, GONE };

struct goroutine {
    uint64_t id;
    enum state state;
    uint32_t seq; /* of its last event; 0: there was none */
    uint64_t since, call, last;
    const struct event *why; /* that brought it into the state; NULL: the beginning of the trace */
    const struct event *ready;
};

static const char *how_readied(const struct event *e) {
    static const char *const results[] = {"woken", "time-out", "signal"};
    return e->arg < sizeof results / sizeof *results ? results[e->arg] : "?";
}

static void state_flush(struct goroutine *g, uint64_t to) {
    const struct event *e = g->why;
    char name[80];
    if (g->state == RUNS) {
        slice(ON_G, g->id, g->since, to, "running");
        if (e && e->p != EVENT_NO_P)
            put("\"P\":%u,", e->p);
        put("\"kernel thread\":%d}}", e ? e->tid : 0);
        if (g->call) {
            slice(ON_G, g->id, g->call, to, "system call");
            put("}}");
        }
        g->call = 0;
    } else if (g->state == PARKS && e) {
        snprintf(name, sizeof name, "waiting: %s", reason_of(e->reason));
        slice(ON_G, g->id, g->since, to, name);
        put("\"for\":\"0x%lx\"}}", (unsigned long)e->other);
    } else if (g->state == READY || g->state == QUEUED || g->state == NEW || g->state == MOVES) {
        slice(ON_G, g->id, g->since, to, g->state == MOVES ? "moving" : "runnable");
        if (g->state == READY)
            put("\"readied by\":%lu,\"how\":\"%s\"%s", (unsigned long)e->other, how_readied(e),
                e->p == EVENT_NO_P ? ",\"without a P\":true" : "");
        else if (g->state == NEW)
            put("\"created by\":%lu", (unsigned long)e->other);
        put("}}");
    }
}

static void state_become(struct goroutine *g, enum state s, const struct event *e, uint64_t when) {
    state_flush(g, when);
    g->state = s;
    g->since = when;
    g->why = e;
}

/* An arrow from where the goroutine was readied to where it runs. */
static void arrow(const struct event *from, const struct event *to, uint64_t when) {
    static uint64_t id;
    int process = from->p == EVENT_NO_P ? ON_THREAD : ON_P;
    uint64_t track = from->p == EVENT_NO_P ? (uint64_t)from->tid : from->p;
    if (process == ON_THREAD || !from->other) { /* no goroutine's slice is there */
        moment(process, track, from->when, process == ON_P ? "readies" : "readies, without a P");
        put("\"g\":%lu,\"how\":\"%s\"}}", (unsigned long)from->g, how_readied(from));
    }
    id++;
    element();
    put("{\"ph\":\"s\",\"pid\":%d,\"tid\":%lu,\"ts\":%.3f,\"id\":%lu,\"name\":\"ready\",\"cat\":"
        "\"ready\"}",
        process, (unsigned long)track, us(from->when), (unsigned long)id);
    process = to->p == EVENT_NO_P ? ON_G : ON_P;
    track = to->p == EVENT_NO_P ? to->g : to->p;
    element();
    put("{\"ph\":\"f\",\"bp\":\"e\",\"pid\":%d,\"tid\":%lu,\"ts\":%.3f,\"id\":%lu,\"name\":"
        "\"ready\",\"cat\":\"ready\"}",
        process, (unsigned long)track, us(when), (unsigned long)id);
}

#define IN(state) (UINT32_C(1) << (state))

/* The states in which an event of the type may find its goroutine, besides UNKNOWN. */
static const uint32_t allowed[EVENT_TYPES] = {
    [EV_CREATE] = 0,
    [EV_RUN] = IN(NEW) | IN(READY) | IN(QUEUED),
    [EV_PARK] = IN(RUNS),
    [EV_READY] = IN(PARKS),
    [EV_STAY] = IN(READY) | IN(QUEUED),
    [EV_YIELD] = IN(RUNS),
    [EV_PREEMPT] = IN(RUNS),
    [EV_EXIT] = IN(RUNS),
    [EV_CALL] = IN(RUNS),
    [EV_CALL_END] = IN(RUNS),
    [EV_GOT_P] = IN(RUNS),
    [EV_NO_P] = IN(RUNS),
    [EV_WIRE] = IN(RUNS),
    [EV_MOVE] = IN(RUNS),
    [EV_RUN_WIRED] = IN(NEW) | IN(READY) | IN(MOVES),
};

static const char *const type_names[EVENT_TYPES] = {
    [EV_NONE] = "lost",           [EV_CREATE] = "create",     [EV_RUN] = "run",
    [EV_PARK] = "park",           [EV_READY] = "ready",       [EV_STAY] = "stay",
    [EV_YIELD] = "yield",         [EV_PREEMPT] = "preempt",   [EV_EXIT] = "exit",
    [EV_CALL] = "call",           [EV_CALL_END] = "call end", [EV_GOT_P] = "got a P",
    [EV_NO_P] = "found no P",     [EV_WIRE] = "wire",         [EV_MOVE] = "move",
    [EV_RUN_WIRED] = "run wired", [EV_STEAL] = "steal",       [EV_HANDOFF] = "handoff",
    [EV_RETAKE] = "retake",       [EV_UNSEEN] = "unseen",     [EV_NETPOLL] = "netpoll",
    [EV_M_START] = "m start",     [EV_M_END] = "m end",       [EV_M_SLEEP] = "m sleep",
    [EV_M_WAKE] = "m wake",
};
static const char *const state_names[] = {"unknown", "new",    "running", "waiting",
                                          "readied", "queued", "moving",  "ended"};

static void call_ends(struct goroutine *g, uint64_t when) {
    if (g->call) {
        slice(ON_G, g->id, g->call, when, "system call");
        put("}}");
    }
    g->call = 0;
}

/* What the first event of a goroutine, or the first one after lost ones, says of the time before.
 */
static void state_before(struct goroutine *g, const struct event *e, uint64_t when) {
    char name[80];
    if (allowed[e->type] == IN(RUNS)) {
        g->state = RUNS;
        g->since = g->seq ? when : rec->start;
        g->why = NULL;
    } else if (e->type == EV_READY && !g->seq) {
        snprintf(name, sizeof name, "waiting: %s", reason_of(e->reason));
        slice(ON_G, g->id, rec->start, when, name);
        put("\"since\":\"before the trace\"}}");
    }
}

static void goroutine_event(struct goroutine *g, const struct event *e) {
    uint64_t when = e->when > g->last ? e->when : g->last;
    g->last = when;
    if (g->state == UNKNOWN)
        state_before(g, e, when);
    if (!((allowed[e->type] | IN(UNKNOWN)) & IN(g->state)))
        wrong("goroutine %lu: %s while it is %s (event %u of it)", (unsigned long)g->id,
              type_names[e->type], state_names[g->state], e->seq);
    switch ((enum event_type)e->type) {
    case EV_CREATE:
        state_become(g, NEW, e, when);
        break;
    case EV_RUN:
    case EV_RUN_WIRED:
        if (g->state == READY)
            arrow(g->why, e, when);
        state_become(g, RUNS, e, when);
        break;
    case EV_GOT_P:
        call_ends(g, when);
        state_become(g, RUNS, e, when);
        break;
    case EV_STAY:
        state_become(g, RUNS, e, when);
        break;
    case EV_PARK:
        state_become(g, PARKS, e, when);
        break;
    case EV_READY:
        state_become(g, READY, e, when);
        break;
    case EV_YIELD:
    case EV_PREEMPT:
    case EV_NO_P:
        call_ends(g, when);
        state_become(g, QUEUED, e, when);
        break;
    case EV_MOVE:
        state_become(g, MOVES, e, when);
        break;
    case EV_EXIT:
        state_become(g, GONE, e, when);
        break;
    case EV_CALL:
        g->call = when;
        break;
    case EV_CALL_END:
        call_ends(g, when);
        break;
    default: /* EV_WIRE: it goes on as it is */
        break;
    }
}

static int compare_events(const void *a, const void *b) {
    const struct event *x = &rec->events[*(const uint32_t *)a],
                       *y = &rec->events[*(const uint32_t *)b];
    if (x->g != y->g)
        return x->g < y->g ? -1 : 1;
    return (int32_t)(x->seq - y->seq);
}

static void track_named(int process, uint64_t track, const char *name) {
    element();
    put("{\"ph\":\"M\",\"pid\":%d,\"tid\":%lu,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}",
        process, (unsigned long)track, name);
}

static void goroutine_begin(struct goroutine *g, uint64_t id) {
    char name[80];
    *g = (struct goroutine){.id = id, .since = rec->start};
    snprintf(name, sizeof name, "%lu %s", (unsigned long)id, name_of(id));
    track_named(ON_G, id, name);
}

static void write_goroutines(void) {
    uint32_t *order = NEW_ARRAY(uint32_t, rec->n);
    size_t n = 0;
    for (size_t i = 0; i < rec->n; i++)
        if (rec->events[i].g)
            order[n++] = (uint32_t)i;
    qsort(order, n, sizeof *order, compare_events);
    struct goroutine g = {0};
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &rec->events[order[i]];
        if (e->g != g.id) {
            state_flush(&g, rec->end);
            goroutine_begin(&g, e->g);
        } else if (e->seq != g.seq + 1) { /* some are lost */
            g.state = UNKNOWN;
            g.call = 0;
        }
        goroutine_event(&g, e);
        g.seq = e->seq;
    }
    state_flush(&g, rec->end);
    free(order);
}

/* ---- around them ---- */

static void process_named(int process, const char *what) {
    element();
    put("{\"ph\":\"M\",\"pid\":%d,\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}", process,
        what);
    element();
    put("{\"ph\":\"M\",\"pid\":%d,\"name\":\"process_sort_index\",\"args\":{\"sort_index\":%d}}",
        process, process);
}

static void write_names(void) {
    char text[120];
    snprintf(text, sizeof text, "Ps of %s, process", quoted(rec->program, 40));
    process_named(ON_P, text);
    process_named(ON_G, "goroutines");
    process_named(ON_THREAD, "kernel threads without a P");
    for (uint32_t i = 0; i < rec->procs; i++) {
        snprintf(text, sizeof text, "P %u", i);
        track_named(ON_P, i, text);
    }
    track_named(ON_THREAD, 0, "not the runtime's, or sysmon");
}

/* How many there are of each, to compare with the library's own counters. */
static void write_counts(void) {
    uint64_t count[2][EVENT_TYPES] = {0};
    for (size_t i = 0; i < rec->n; i++) {
        const struct event *e = &rec->events[i];
        count[0][e->type]++;
        count[1][e->type] += e->p == EVENT_NO_P; /* the library counts only for Ps */
    }
    for (int without = 0; without < 2; without++) {
        put(without ? ",\n\"events without a P\":{" : "\"events\":{");
        for (int i = EV_NONE + 1; i < EVENT_TYPES; i++)
            put("%s\"%s\":%lu", i > 1 ? "," : "", type_names[i], (unsigned long)count[without][i]);
        put("}");
    }
    if (!rec->counted)
        return;
    put(",\n\"counters\":{");
    for (size_t i = 0; i < rec->ncounters; i++)
        put("%s\"%s\":%lu", i ? "," : "", rec->counters[i], (unsigned long)rec->counted_by[i]);
    put("}");
}

const char *timeline_write(const struct recording *r) {
    rec = r;
    first_line = true;
    put("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    write_names();
    write_procs();
    write_goroutines();
    put("],\n\"otherData\":{\"program\":\"%s\",\"process\":%d,\"seconds\":%.6f,\"lost\":%lu,",
        quoted(r->program, 40), r->pid, us(r->end) / 1e6, (unsigned long)r->lost);
    put("\"problems\":%lu,\"problem\":\"%s\",\n", (unsigned long)problems, problem);
    write_counts();
    put("}}\n");
    errno = 0;
    if (gzclose(out) != Z_OK)
        cannot_write();
    return problems ? problem : NULL;
}
