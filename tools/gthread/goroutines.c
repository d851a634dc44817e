/* goroutines.c - finds the goroutines of a target by the library's own description of itself
 *
 * sched/debug.h says how. The structures are of whatever build runs there, so nothing but the
 * table's names is known here.
 */
#include "gthread.h"
#include "dump.h"

#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- one goroutine ---- */

/* What the table says, looked up once. */
static struct layout {
    struct member id, status, m, tp, sp, ctx_tp, addr, reason, since, m_tid, stack_lo, stack_hi;
    uint64_t ext, g_size;
    struct member name, tid, start;
    struct names states, reasons;
    uint64_t on_m, waits, free, dead, mutex, resume, fresh_pc;
    double cycles_per_second; /* 0: not known */
    uint64_t now_cycles;
} is;

static void layout_read(struct target *t) {
    is = (struct layout){table_member("g.id"),
                         table_member("g.status"),
                         table_member("g.m"),
                         table_member("g.tp"),
                         table_member("g.ctx.sp"),
                         table_member("g.ctx.tp"),
                         table_member("g.w.addr"),
                         table_member("g.w.reason"),
                         table_member("g.w.since"),
                         table_member("m.tid"),
                         table_member("g.stack_lo"),
                         table_member("g.stack_hi"),
                         table_entry("g.ext", DEBUG_FIELD)->offset,
                         table_value("g.size"),
                         {0},
                         table_member("thread.tid"),
                         table_member("thread.start"),
                         table_names(t, "status.names"),
                         table_names(t, "reason.names"),
                         table_value("status.on_m"),
                         table_value("status.waits"),
                         table_value("status.free"),
                         table_value("status.dead"),
                         table_value("reason.mutex"),
                         table_address("switch.resume"),
                         table_address("switch.entry"),
                         0,
                         0};
    const struct debug_entry *name = table_entry("thread.name", DEBUG_FIELD);
    is.name = (struct member){name->offset, name->size};
}

/* The counter's rate, from its values when the runtime started and when it was stopped. Of a core
 * file its value then is not known: the rate is that since the start until now, if this is still
 * the same boot, of which a rate that no CPU has is the sign. */
static void clock_read(struct target *t) {
    uint64_t ns = table_variable(t, "sched.start_ns"),
             cycles = table_variable(t, "sched.start_cycles");
    struct timespec mono;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    uint64_t now = (uint64_t)mono.tv_sec * 1000000000 + (uint64_t)mono.tv_nsec;
    if (!t->now_ns || t->now_ns <= ns || now <= ns || __builtin_ia32_rdtsc() <= cycles)
        return;
    double rate = (double)(__builtin_ia32_rdtsc() - cycles) / (double)(now - ns) * 1e9;
    if (rate < 1e8 || rate > 1e10)
        return;
    is.cycles_per_second = rate;
    is.now_cycles = cycles + (uint64_t)((double)(t->now_ns - ns) * rate / 1e9);
}

static double seconds_since(uint64_t since) {
    if (is.cycles_per_second == 0)
        return -1;
    return since < is.now_cycles ? (double)(is.now_cycles - since) / is.cycles_per_second : 0;
}

/* Its registers: those of the kernel thread that it is on, if the thread pointer says so too (the
 * state changes some instructions before or after the stack does), else the saved ones. */
static bool registers_of(struct target *t, const char *g, struct goroutine *to,
                         struct user_regs_struct *regs) {
    uint64_t m = get(g, is.m), tid = 0;
    if (in_set(is.on_m, get(g, is.status)) && target_read(t, m + is.m_tid.offset, &tid, 4)) {
        struct kthread *k = target_thread(t, (int)tid);
        to->lwp = (int)tid;
        if (!k || !k->stopped) {
            to->problem = "its kernel thread did not stop";
            return false;
        }
        if (k->regs.fs_base == get(g, is.tp)) {
            k->goroutine = true;
            *regs = k->regs;
            return true;
        }
        to->lwp = 0;
    }
    uint64_t sp = get(g, is.sp), back = 0;
    *regs = (struct user_regs_struct){.rip = is.resume, .rsp = sp};
    /* Above the saved registers lies where it goes on; of a fresh one that is the first code. */
    target_word(t, sp + 56, &back);
    to->fresh = back == is.fresh_pc;
    return true;
}

static void frames_of(struct target *t, const char *g, struct goroutine *to) {
    struct user_regs_struct regs;
    if (in_set(is.dead, get(g, is.status)) || !registers_of(t, g, to, &regs) || to->fresh)
        return;
    uint64_t pcs[FRAMES_MAX];
    to->npcs = unwind(t, &regs, pcs, FRAMES_MAX);
    to->pcs = NEW_ARRAY(uint64_t, to->npcs);
    memcpy(to->pcs, pcs, to->npcs * sizeof *pcs);
    if (to->npcs < 2 && !to->lwp)
        to->problem = "its stack cannot be read";
}

static void waiting_of(struct target *t, uint64_t at, const char *g, struct goroutine *to) {
    uint64_t status = get(g, is.status), reason = get(g, is.reason);
    to->seconds = -1;
    if (!in_set(is.waits, status))
        return;
    to->reason = name_in(is.reasons, reason);
    to->seconds = seconds_since(get(g, is.since));
    uint64_t object = get(g, is.addr);
    if (object - at < is.g_size) /* one that sleeps waits for itself */
        return;
    to->waits_for = object;
    /* __owner of a pthread_mutex_t, which glibc's ABI fixes. */
    if (object && reason == is.mutex)
        target_read(t, object + 8, &to->owner_tid, sizeof to->owner_tid);
}

static void goroutine_read(struct runtime *r, uint64_t at, const char *g) {
    GROW(r->gs, r->n, r->capacity);
    struct goroutine *to = &r->gs[r->n++];
    const char *ext = g + is.ext;
    *to = (struct goroutine){.id = get(g, is.id), .state = name_in(is.states, get(g, is.status))};
    to->tid = (int)get(ext, is.tid);
    to->start = get(ext, is.start);
    memcpy(to->name, ext + is.name.offset, is.name.size < 16 ? is.name.size : 16);
    waiting_of(r->t, at, g, to);
    frames_of(r->t, g, to);
}

/* ---- all ---- */

static int compare_goroutines(const void *a, const void *b) {
    const struct goroutine *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_tids(const void *a, const void *b) {
    int x = (*(struct goroutine *const *)a)->tid, y = (*(struct goroutine *const *)b)->tid;
    return x < y ? -1 : x > y;
}

/* A mutex knows its owner by tid. */
static void owners_find(struct runtime *r) {
    struct goroutine **by_tid = NEW_ARRAY(struct goroutine *, r->n);
    for (size_t i = 0; i < r->n; i++)
        by_tid[i] = &r->gs[i];
    qsort(by_tid, r->n, sizeof(void *), compare_tids);
    for (size_t i = 0; i < r->n; i++) {
        struct goroutine wanted = {.tid = r->gs[i].owner_tid}, *key = &wanted, **found;
        if (wanted.tid && (found = bsearch(&key, by_tid, r->n, sizeof(void *), compare_tids)))
            r->gs[i].owner = (*found)->id;
    }
    free(by_tid);
}

void goroutines_read(struct runtime *r, struct target *t) {
    r->t = t;
    r->library = table_read(t);
    layout_read(t);
    uint64_t slabs = table_address("slabs"), nslabs = table_variable(t, "nslabs"),
             gs = table_value("slab.gs");
    if (!table_variable(t, "sched.running") || !nslabs)
        die(EXIT_GTHREAD, "gthread has not started there: the program has made no thread yet");
    clock_read(t);
    r->procs = (uint32_t)table_variable(t, "sched.procs");
    r->ms = (uint32_t)table_variable(t, "sched.ms");
    char *slab = need(malloc(gs * is.g_size));
    bool whole = true;
    for (uint64_t i = 0, at; i < nslabs; i++) {
        if (!target_word(t, slabs + 8 * i, &at)) {
            whole = false;
            break;
        }
        if (!target_read(t, at, slab, gs * is.g_size)) {
            whole = false;
            continue;
        }
        for (uint64_t k = 0; k < gs; k++) {
            const char *g = slab + k * is.g_size;
            if (get(g, is.id) && !in_set(is.free, get(g, is.status)))
                goroutine_read(r, at + k * is.g_size, g);
        }
    }
    free(slab);
    if (!whole)
        warn_line("a part of the goroutines cannot be read");
    if (r->n)
        qsort(r->gs, r->n, sizeof *r->gs, compare_goroutines);
    owners_find(r);
}
