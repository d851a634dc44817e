/* entry.c - compares functions' first bytes with what is known, and writes jumps over them */
#include "entry.h"

#include <string.h>

enum form { FLAG, FRAME, NR, WHOLE };

#define JUMP 0xe9 /* jmp rel32 */
#define JUMP_SIZE 5

/* From entry.S, which reads it. */
extern struct entry_place {
    void *thunk;
    const uint8_t *back; /* behind the instructions that the thunk stands for */
    uint64_t number;
} entry_places[ENTRY_COUNT] __attribute__((visibility("hidden")));

/* What all FLAG functions look at: libc's own __libc_single_threaded. A program that refers to that
 * has a copy, so the symbol is no help. */
const uint8_t *entry_flag __attribute__((visibility("hidden")));

#define ENTRY(name, form, bytes) [ENTRY_##name] = #name,
const char *const entry_name[ENTRY_COUNT] = {ENTRY_LIST(ENTRY)};
#undef ENTRY

static const struct {
    enum form form;
    const char *bytes;
} known[ENTRY_COUNT] = {
#define ENTRY(name, form, bytes) [ENTRY_##name] = {form, bytes},
    ENTRY_LIST(ENTRY)
#undef ENTRY
};

#define ENTRY(name, form, bytes)                                                                   \
    _Static_assert(sizeof(bytes) / 2 <= ENTRY_SPAN && sizeof(bytes) / 2 > JUMP_SIZE, #name);
ENTRY_LIST(ENTRY)
#undef ENTRY

static bool digit_is(char digit, unsigned half) {
    return digit == '?' || digit == "0123456789abcdef"[half];
}

static bool bytes_are(const uint8_t *at, const char *hex) {
    for (; *hex; hex += 2, at++)
        if (!digit_is(hex[0], *at >> 4) || !digit_is(hex[1], *at & 15))
            return false;
    return true;
}

/* cmpb $0, offset(%rip): 80 3d, the offset from the next instruction, 00 */
static const uint8_t *flag_of(const uint8_t *at) {
    int32_t offset;
    memcpy(&offset, at + 2, sizeof offset);
    return at + 7 + offset;
}

bool entry_known(enum entry_id id, const uint8_t *at) {
    if ((uintptr_t)at % ENTRY_ALIGN || !bytes_are(at, known[id].bytes))
        return false;
    return known[id].form != FLAG || !entry_flag || entry_flag == flag_of(at);
}

bool entry_reaches(const uint8_t *at, const void *to) {
    intptr_t distance = (intptr_t)to - (intptr_t)(at + JUMP_SIZE);
    return distance == (int32_t)distance;
}

void *entry_thunk(enum entry_id id, const uint8_t *at) {
    struct entry_place *place = &entry_places[id];
    uint32_t number;
    switch (known[id].form) {
    case FLAG:
        entry_flag = flag_of(at);
        place->back = at + 7;
        break;
    case FRAME:
        place->back = at + 5;
        break;
    case NR:
        memcpy(&number, at + 1, sizeof number);
        place->number = number;
        place->back = at + 5;
        break;
    case WHOLE:
        break;
    }
    return place->thunk;
}

void entry_write(uint8_t *at, const void *to) {
    union {
        uint64_t word;
        uint8_t byte[8];
    } now;
    int32_t distance = (int32_t)((intptr_t)to - (intptr_t)(at + JUMP_SIZE));
    memcpy(&now, at, sizeof now);
    now.byte[0] = JUMP;
    memcpy(now.byte + 1, &distance, sizeof distance);
    __atomic_store_n((uint64_t *)at, now.word, __ATOMIC_RELEASE);
}
