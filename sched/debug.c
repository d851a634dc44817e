/* debug.c - the table of debug.h, and what of struct g, m and sched stands in it */
#include "sched/debug.h"

#include "sched/runtime.h"

/* Made by the linker around the section's contents. */
extern struct debug_entry __start_gthread_debug_entries[], __stop_gthread_debug_entries[];

/* Exported as gthread_debug. */
__attribute__((visibility("default"))) struct debug_table debug_table = {
    .magic = DEBUG_MAGIC,
    .entry_size = sizeof(struct debug_entry),
    .first = __start_gthread_debug_entries,
    .end = __stop_gthread_debug_entries,
};

DEBUG_VALUE("g.size", sizeof(struct g));
DEBUG_FIELD(g, id); /* 0: never used */
DEBUG_FIELD(g, status);
DEBUG_FIELD(g, m); /* meant in the states of "status.on_m" */
DEBUG_FIELD(g, tp);
DEBUG_FIELD(g, stack_lo);
DEBUG_FIELD(g, stack_hi);
DEBUG_FIELD(g, ctx.sp); /* with "switch.resume" as program counter, where a parked G stands */
DEBUG_FIELD(g, ctx.tp);
DEBUG_FIELD(g, w.addr);
DEBUG_FIELD(g, w.reason); /* index of "reason.names" */
DEBUG_FIELD(g, w.since);  /* cycle counter */
DEBUG_FIELD(g, timer.when);
DEBUG_FIELD(g, timer.heap); /* not null: it waits no longer than timer.when */
DEBUG_FIELD(g, ext);        /* what the layer above keeps for it: "thread.*" */
DEBUG_FIELD(m, tid);        /* the kernel's id of the thread */

/* Bit n: the registers of a G in state n are those of its M; it waits; it has no stack. */
DEBUG_VALUE("status.on_m", 1U << G_RUNNING | 1U << G_PARKING | 1U << G_READIED | 1U << G_SYSCALL |
                               1U << G_WIRED | 1U << G_LOOSE);
DEBUG_VALUE("status.waits",
            1U << G_WAITING | 1U << G_PARKING | 1U << G_SYSCALL | 1U << G_WIRED_WAITING);
DEBUG_VALUE("status.free", 1U << G_FREE);
DEBUG_VALUE("status.dead", 1U << G_DEAD);
DEBUG_VALUE("reason.mutex", WAIT_MUTEX);

DEBUG_ENTRY(__LINE__, "switch.resume", DEBUG_VAR, 0, 0, arch_switch_resume);
DEBUG_ENTRY(__LINE__, "switch.entry", DEBUG_VAR, 0, 0, (const void *)arch_entry);

DEBUG_VAR("sched.running", sched.running);
DEBUG_VAR("sched.start_ns", sched.start_ns); /* CLOCK_MONOTONIC, at the same time as: */
DEBUG_VAR("sched.start_cycles", sched.start_cycles);
DEBUG_VAR("sched.procs", sched.cfg.procs);
DEBUG_VAR("sched.ms", sched.nm);
DEBUG_VAR("sched.ms_idle", sched.nmidle);
DEBUG_VAR("sched.ps", sched.allp); /* sched.procs of them */
DEBUG_VAR("sched.ps_idle", sched.npidle);
DEBUG_VALUE("p.size", sizeof(struct p));
DEBUG_FIELD(p, counter); /* of 8 bytes each, which only grow: "counter.names" */
