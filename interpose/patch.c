/* patch.c - jumps to our functions at the entries of libc's, for calls that libc makes itself
 *
 * libc calls its read, poll or recvfrom directly: stdio and the resolver never pass the symbol
 * table. So libc's functions themselves begin with a jump to what the symbol table gives everybody
 * else, and that calls the thunk (arch: entry.h) where it called libc's function (next_fn). So it
 * makes no difference to anybody by which way a call comes: before the runtime, on threads of
 * libc's, in children of vfork it is libc's own. Where another library stands between us and libc
 * the function is left alone: its read would call libc's, that ours, and ours its.
 *
 * The same is done to the two functions by which libc waits for its own locks and wakes who waits
 * (shim/lowlevel.c), which nobody else calls.
 *
 * Done once, when the runtime starts, while the process has one kernel thread and all signals are
 * blocked (DANGERS C7). Code is written only if it may be writable and executable at once, since
 * code that was made writable might not become executable again (C8). Whatever is not as expected
 * is left as it is: such calls block unseen (sched/unseen.c), which costs time and is still right.
 *
 * What is known of a descriptor ends when it is closed. So libc's calls use that only where libc's
 * closing is seen too.
 */
#include "entry.h"
#include "interpose/glibc.h"
#include "shim/config.h"
#include "shim/shim.h"

#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum patch_mode patch_mode;
bool patched_calls; /* shim.h */

/* A function of libc's. */
struct place {
    enum entry_id id;
    /* CALL: by itself. BASE: a call that the CALLs need. LOCK: both or neither, whatever the others
     * are: a waiter is found only where it has gone to. */
    enum { CALL, BASE, LOCK } kind;
    int next;        /* enum next_id; -1: nobody calls it */
    const void *to;  /* ours */
    uint8_t *at;     /* NULL: not found */
    const char *why; /* it is left alone; NULL: it is not */
};

/* libc's code, and the part of it that is written to. */
static struct text {
    const uint8_t *has; /* an address in it */
    uint8_t *from, *to;
    uint8_t *write_from, *write_to;
} libc;

/* Not in a header of the shim's: only the symbol table names them otherwise. */
extern const char shim_read[], shim_write[], shim_readv[], shim_writev[], shim_poll[],
    shim_connect[], shim_accept[], shim_send[], shim_sendto[], shim_sendmsg[], shim_sendmmsg[],
    shim_recv[], shim_recvfrom[], shim_recvmsg[], shim_wait4[], shim_close[], shim_socket[],
    shim_close_nocancel[], shim_lll_wait[], shim_lll_wake[];

#define PLACE(name, kind)                                                                          \
    { ENTRY_##name, kind, NEXT_##name, shim_##name, NULL, NULL }
static struct place places[] = {
    PLACE(close, BASE),
    {ENTRY___close_nocancel, BASE, -1, shim_close_nocancel, NULL, NULL},
    PLACE(socket, BASE),
    PLACE(read, CALL),
    PLACE(write, CALL),
    PLACE(readv, CALL),
    PLACE(writev, CALL),
    PLACE(poll, CALL),
    PLACE(connect, CALL),
    PLACE(accept, CALL),
    PLACE(send, CALL),
    PLACE(sendto, CALL),
    PLACE(sendmsg, CALL),
    PLACE(sendmmsg, CALL),
    PLACE(recv, CALL),
    PLACE(recvfrom, CALL),
    PLACE(recvmsg, CALL),
    PLACE(wait4, CALL),
    {ENTRY___lll_lock_wait_private, LOCK, -1, shim_lll_wait, NULL, NULL},
    {ENTRY___lll_lock_wake_private, LOCK, -1, shim_lll_wake, NULL, NULL},
};
#define PLACES (sizeof places / sizeof places[0])

/* ---- finding them ---- */

/* For dl_iterate_phdr: stops at the library that `has` is in. */
static int find_text(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size;
    struct text *t = arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uint8_t *from = (uint8_t *)info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD || t->has < from || t->has >= from + p->p_filesz)
            continue;
        if (p->p_flags == (PF_R | PF_X)) {
            t->from = from;
            t->to = from + p->p_filesz;
        }
        return 1;
    }
    return 0;
}

static uint8_t *find(const struct place *p) {
    return p->next >= 0 ? next_get((enum next_id)p->next) : private_symbol(entry_name[p->id]);
}

static void look_at(struct place *p) {
    p->at = find(p);
    if (!p->at)
        p->why = "not found";
    else if (p->at < libc.from || p->at >= libc.to || libc.to - p->at < ENTRY_SPAN)
        p->why = "another library has its own";
    else if (!entry_known(p->id, p->at))
        p->why = "its code is not what is known";
    else if (!entry_reaches(p->at, p->to))
        p->why = "too far from libgthread.so";
}

static void leave_kinds(unsigned kinds, const char *why) {
    for (size_t i = 0; i < PLACES; i++)
        if (!places[i].why && kinds >> places[i].kind & 1)
            places[i].why = why;
}

static void leave_all(const char *why) { leave_kinds(1U << CALL | 1U << BASE | 1U << LOCK, why); }

static void look(bool alone) {
    libc.has = private_symbol("__close_nocancel");
    if (!dl_iterate_phdr(find_text, &libc) || !libc.from) {
        leave_all("libc is not what is known");
        return;
    }
    for (size_t i = 0; i < PLACES; i++)
        look_at(&places[i]);
    for (size_t i = 0; i < PLACES; i++)
        if (places[i].why && places[i].kind == BASE)
            leave_kinds(1U << CALL | 1U << BASE, "libc's close and socket cannot be had");
        else if (places[i].why && places[i].kind == LOCK)
            leave_kinds(1U << LOCK, "the other one cannot be had");
    if (!alone)
        leave_all("other threads run already, or /proc does not tell");
}

/* ---- writing ---- */

#define PAGE 4096UL /* of every x86-64 */

/* All pages that have a place, and those between. 0 or -errno. */
static long protect(int how) {
    uintptr_t page = (uintptr_t)libc.write_from & ~(PAGE - 1);
    return sys(SYS_mprotect, page, (uintptr_t)libc.write_to - page, how);
}

static bool may_write(void) {
    for (size_t i = 0; i < PLACES; i++) {
        uint8_t *at = places[i].at;
        if (places[i].why)
            continue;
        if (!libc.write_from || at < libc.write_from)
            libc.write_from = at;
        if (at + ENTRY_SPAN > libc.write_to)
            libc.write_to = at + ENTRY_SPAN;
    }
    return libc.write_from && protect(PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
}

static void write_place(const struct place *p) {
    void *thunk = entry_thunk(p->id, p->at);
    if (p->next >= 0)
        __atomic_store_n(&next_fn[p->next], thunk, __ATOMIC_RELAXED);
    entry_write(p->at, p->to);
}

static void write_all(void) {
    if (!may_write()) {
        leave_all("its code may not be written");
        return;
    }
    patched_calls = true;
    for (size_t i = 0; i < PLACES; i++) {
        if (!places[i].why)
            write_place(&places[i]);
        if (places[i].kind == LOCK)
            patched_locks = !places[i].why; /* the same for both */
        else if (places[i].why)
            patched_calls = false;
    }
    protect(PROT_READ | PROT_EXEC);
}

/* ---- all of it ---- */

static void list(void) {
    for (size_t i = 0; i < PLACES; i++) {
        const struct place *p = &places[i];
        complain("patch: %s at %p: %s%s", entry_name[p->id], (void *)p->at,
                 p->why ? "left alone: " : "jumps to libgthread.so", p->why ? p->why : "");
    }
}

void patch_libc(bool alone) {
    static bool done;
    if (done || patch_mode == PATCH_OFF) /* done: a child of fork has its parent's */
        return;
    done = true;
    look(alone);
    write_all();
    if (patch_mode == PATCH_LIST)
        list();
}
