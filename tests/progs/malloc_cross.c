/* malloc_cross.c - memory allocated in one thread and freed in another, from many at once */
#include "check.h"

enum { N = 12, ROUNDS = 6000, SLOTS = 64 };

static unsigned char *slots[SLOTS];

/* A block holds its size and is filled with a byte made from it: whoever frees it checks that. */
static unsigned char *make(uint64_t r) {
    size_t size = 16 + (r % 10 ? r % 700 : r % 200000);
    unsigned char *block = r >> 40 & 1 ? malloc(size) : calloc(1, size);
    CHECK(block, "expected %zu bytes", size);
    WANT((uintptr_t)block % 16, 0);
    if (r >> 41 & 1) {
        block = realloc(block, size += 100);
        CHECK(block, "expected %zu bytes", size);
    }
    memcpy(block, &size, sizeof size);
    memset(block + sizeof size, (int)(size % 251), size - sizeof size);
    return block;
}

static void destroy(unsigned char *block) {
    size_t size;
    if (!block)
        return;
    memcpy(&size, block, sizeof size);
    CHECK(size >= 16 && size < 300000, "expected a block as it was made, its size is %zu", size);
    for (size_t i = sizeof size; i < size; i += i < 64 ? 1 : 97)
        WANT(block[i], size % 251);
    free(block);
}

static void *work(void *arg) {
    uint64_t random = check_seed + (uint64_t)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&random);
        unsigned char *block = make(r >> 8);
        destroy(__atomic_exchange_n(&slots[r % SLOTS], block, __ATOMIC_SEQ_CST));
        if (r >> 60 == 0)
            sched_yield();
    }
    return NULL;
}

int main(void) {
    check_start();
    for (int i = 0; i < 4; i++) /* threads end and leave blocks behind, new ones free them */
        run_all(N, work);
    for (int i = 0; i < SLOTS; i++)
        destroy(slots[i]);
    return 0;
}
