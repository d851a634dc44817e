/* unwind.c - backtraces by libunwind from outside: its accessors read the target
 *
 * For a program counter libunwind asks where the unwind table of that image lies, and then reads it
 * itself, through the same memory as the stack. So a process and a core file are one to it.
 */
#include "gthread.h"
#include "target.h"

#include <libunwind.h>
#include <string.h>

/* The search in an .eh_frame_hdr, which libunwind exports for such readers (perf is another). */
int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
                                       unw_proc_info_t *pi, int need_unwind_info, void *arg);

struct walk {
    struct target *t;
    const struct user_regs_struct *regs;
};

/* .eh_frame_hdr: version, three encodings, then (in the one form that linkers write) the offset of
 * .eh_frame, the number of entries, and the sorted table. */
struct eh_frame_hdr {
    uint8_t version, pointer_encoding, count_encoding, table_encoding;
    int32_t eh_frame;
    uint32_t count;
};
enum { EH_UDATA4 = 0x03, EH_DATAREL_SDATA4 = 0x3b };

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info, int need_info,
                          void *arg) {
    struct walk *w = arg;
    struct eh_frame_hdr head;
    const struct mapping *m = target_mapping(w->t, ip);
    const struct image *image = target_image(w->t, ip);
    if (!image || !image->eh_frame_hdr ||
        !target_read(w->t, image->eh_frame_hdr, &head, sizeof head) || head.version != 1 ||
        head.count_encoding != EH_UDATA4 || head.table_encoding != EH_DATAREL_SDATA4)
        return -UNW_ENOINFO;
    unw_dyn_info_t table = {
        .start_ip = m->start, .end_ip = m->end, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
    table.u.rti.segbase = image->eh_frame_hdr;
    table.u.rti.table_data = image->eh_frame_hdr + sizeof head;
    table.u.rti.table_len = head.count * 8UL / sizeof(unw_word_t); /* two 4-byte numbers each */
    return UNW_OBJ(dwarf_search_unwind_table)(as, ip, &table, info, need_info, arg);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *arg) {
    (void)as, (void)info, (void)arg;
}

static int dyn_info_list(unw_addr_space_t as, unw_word_t *list, void *arg) {
    (void)as, (void)list, (void)arg;
    return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t as, unw_word_t at, unw_word_t *value, int write, void *arg) {
    (void)as;
    struct walk *w = arg;
    return !write && target_word(w->t, at, value) ? 0 : -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write,
                      void *arg) {
    (void)as;
    const struct user_regs_struct *r = ((struct walk *)arg)->regs;
    const unsigned long long values[] = {
        [UNW_X86_64_RAX] = r->rax, [UNW_X86_64_RDX] = r->rdx, [UNW_X86_64_RCX] = r->rcx,
        [UNW_X86_64_RBX] = r->rbx, [UNW_X86_64_RSI] = r->rsi, [UNW_X86_64_RDI] = r->rdi,
        [UNW_X86_64_RBP] = r->rbp, [UNW_X86_64_RSP] = r->rsp, [UNW_X86_64_R8] = r->r8,
        [UNW_X86_64_R9] = r->r9,   [UNW_X86_64_R10] = r->r10, [UNW_X86_64_R11] = r->r11,
        [UNW_X86_64_R12] = r->r12, [UNW_X86_64_R13] = r->r13, [UNW_X86_64_R14] = r->r14,
        [UNW_X86_64_R15] = r->r15, [UNW_X86_64_RIP] = r->rip,
    };
    if (write || reg < 0 || (size_t)reg >= sizeof values / sizeof *values)
        return -UNW_EBADREG;
    *value = values[reg];
    return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write,
                        void *arg) {
    (void)as, (void)reg, (void)value, (void)write, (void)arg;
    return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg) {
    (void)as, (void)cursor, (void)arg;
    return -UNW_EINVAL;
}

size_t unwind(struct target *t, const struct user_regs_struct *regs, uint64_t *pcs, size_t most) {
    static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                        .put_unwind_info = put_unwind_info,
                                        .get_dyn_info_list_addr = dyn_info_list,
                                        .access_mem = access_mem,
                                        .access_reg = access_reg,
                                        .access_fpreg = access_fpreg,
                                        .resume = resume};
    static unw_addr_space_t space;
    struct walk w = {t, regs};
    unw_cursor_t cursor;
    size_t n = 0;
    if (!space) {
        space = need(unw_create_addr_space(&accessors, 0));
        unw_set_caching_policy(space, UNW_CACHE_GLOBAL);
    }
    if (unw_init_remote(&cursor, space, &w))
        return 0;
    uint64_t exact = PC_EXACT;
    do {
        unw_word_t pc = 0;
        if (n == most || unw_get_reg(&cursor, UNW_REG_IP, &pc) || !pc)
            break;
        pcs[n++] = pc | exact;
        /* What a signal has interrupted did not call anything. */
        exact = unw_is_signal_frame(&cursor) > 0 ? PC_EXACT : 0;
    } while (unw_step(&cursor) > 0);
    return n;
}
