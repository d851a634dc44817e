/* inline.c - finds `syscall` instructions in an ELF file
 *
 * The two bytes of the instruction are searched for; they also occur inside of others. So the
 * function around each is disassembled by capstone from its beginning, which the unwind table gives
 * for stripped files too. Only these functions are: a whole browser takes a second.
 */
#include "image.h"

#include <capstone/capstone.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char instruction[] = {0x0f, 0x05};

struct code {
    csh disassembler;
    cs_insn *insn;
    Dwarf_CFI *cfi;
    const unsigned char *bytes; /* of the executable segment */
    uint64_t address, size;
    struct image_facts *facts;
};

/* ---- the number of a call ----
 * eax when the instruction is reached, by following constants in the order of addresses: compilers
 * load it right before, or keep it in another register for several calls. */

enum { REGISTERS = 16, EAX = 0 };

/* The register of `eax`, `r11d`, `rbp`...; -1: none of the 16, or a part of one. */
static int register_of(const char *name, size_t n) {
    static const char *const names[REGISTERS][2] = {
        {"eax", "rax"},  {"ecx", "rcx"},  {"edx", "rdx"},  {"ebx", "rbx"},
        {"esp", "rsp"},  {"ebp", "rbp"},  {"esi", "rsi"},  {"edi", "rdi"},
        {"r8d", "r8"},   {"r9d", "r9"},   {"r10d", "r10"}, {"r11d", "r11"},
        {"r12d", "r12"}, {"r13d", "r13"}, {"r14d", "r14"}, {"r15d", "r15"}};
    for (int i = 0; i < REGISTERS; i++)
        for (int k = 0; k < 2; k++)
            if (strlen(names[i][k]) == n && strncmp(names[i][k], name, n) == 0)
                return i;
    return -1;
}

/* What the instruction does to the known values (-1: not known). */
static void follow(const cs_insn *i, long *known) {
    const char *comma = strchr(i->op_str, ',');
    int to = comma ? register_of(i->op_str, (size_t)(comma - i->op_str)) : -1;
    if (to < 0)
        return;
    const char *from = comma + 2;
    int source = register_of(from, strlen(from));
    char *end;
    if (strncmp(i->mnemonic, "mov", 3) == 0 && source >= 0) {
        known[to] = known[source];
    } else if (strncmp(i->mnemonic, "mov", 3) == 0) {
        known[to] = strtol(from, &end, 0);
        if (*end || end == from)
            known[to] = -1;
    } else if (strcmp(i->mnemonic, "xor") == 0 && source == to) {
        known[to] = 0;
    } else if (strcmp(i->mnemonic, "cmp") != 0 && strcmp(i->mnemonic, "test") != 0) {
        known[to] = -1;
    }
}

/* Goes through the function from `start` to the place; true if an instruction begins just there. */
static bool reaches(struct code *c, uint64_t start, uint64_t place, long *number) {
    const uint8_t *at = c->bytes + (start - c->address);
    size_t left = c->size - (start - c->address);
    uint64_t address = start;
    long known[REGISTERS];
    for (int i = 0; i < REGISTERS; i++)
        known[i] = -1;
    while (address < place) {
        if (!cs_disasm_iter(c->disassembler, &at, &left, &address, c->insn))
            return false;
        follow(c->insn, known);
    }
    *number = known[EAX];
    return address == place;
}

/* Where the function around the place begins; 0 if it is not known. */
static uint64_t function_start(const struct code *c, uint64_t place) {
    Dwarf_Frame *frame = NULL;
    Dwarf_Addr start = 0, end = 0;
    if (!c->cfi || dwarf_cfi_addrframe(c->cfi, place, &frame) != 0)
        return 0;
    /* What it gives is the row of the table around the place; earlier rows of the function precede
     * it without a gap, so go back while there are any. */
    dwarf_frame_info(frame, &start, &end, NULL);
    free(frame);
    while (start > c->address && dwarf_cfi_addrframe(c->cfi, start - 1, &frame) == 0) {
        Dwarf_Addr before = 0;
        dwarf_frame_info(frame, &before, &end, NULL);
        free(frame);
        if (end != start || before >= start || place - before > 65536)
            break;
        start = before;
    }
    return start >= c->address ? start : 0;
}

static void count(struct code *c, uint64_t place) {
    long number = -1;
    uint64_t start = function_start(c, place);
    if (start && !reaches(c, start, place, &number))
        return;
    /* No unwind information (assembly): believe it if a number is loaded right before. */
    if (!start && !(place - c->address >= 5 && c->bytes[place - c->address - 5] == 0xb8 &&
                    reaches(c, place - 5, place, &number)))
        return;
    c->facts->inline_calls++;
    if (number >= 0 && number < SYSCALLS)
        c->facts->inline_by_number[number]++;
    else
        c->facts->inline_unknown++;
}

static void search(struct code *c) {
    const unsigned char *at = c->bytes, *end = c->bytes + c->size;
    while ((at = memmem(at, (size_t)(end - at), instruction, sizeof instruction))) {
        count(c, c->address + (uint64_t)(at - c->bytes));
        at += sizeof instruction;
    }
}

void inline_calls(Elf *elf, struct image_facts *facts) {
    struct code c = {.facts = facts, .cfi = dwarf_getcfi_elf(elf)};
    size_t n = 0, size = 0;
    const char *raw = elf_rawfile(elf, &size);
    if (!raw || cs_open(CS_ARCH_X86, CS_MODE_64, &c.disassembler) != CS_ERR_OK)
        return;
    c.insn = cs_malloc(c.disassembler);
    elf_getphdrnum(elf, &n);
    for (size_t i = 0; i < n && c.insn; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X) ||
            p.p_offset > size || p.p_filesz > size - p.p_offset)
            continue;
        c.bytes = (const unsigned char *)raw + p.p_offset;
        c.address = p.p_vaddr;
        c.size = p.p_filesz;
        search(&c);
    }
    if (c.insn)
        cs_free(c.insn, 1);
    cs_close(&c.disassembler);
    dwarf_cfi_end(c.cfi);
}
