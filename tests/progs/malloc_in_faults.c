/* malloc_in_faults.c - threads allocate, grow and free much, also each other's blocks, and copy
 * between these and a mapped file whose pages are not in memory, so that they sleep in page faults:
 * no block is given to two, none loses what it held. MALLOC_IN_FAULTS=600 runs it for ten minutes
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { N = 24, ROUNDS = 150, HELD = 32, SHARED = 64, PAGE = 4096, PAGES = 1024 };

struct block {
    size_t size;
    unsigned char text[];
};

static unsigned char *file; /* page i is full of the byte i % 251 */
static int fd;
static struct block *shared[SHARED]; /* blocks that whoever comes by frees */
static int64_t end;                  /* 0: ROUNDS */

static unsigned char mark_of(const struct block *b) {
    return (unsigned char)((uintptr_t)b >> 4 ^ b->size);
}

static void fill(struct block *b, size_t size) {
    b->size = size;
    memset(b->text, mark_of(b), size);
}

static void verify(const struct block *b) {
    for (size_t i = 0; i < b->size; i++)
        CHECK(b->text[i] == mark_of(b), "block of %zu: byte %zu: expected %d, came %d", b->size, i,
              mark_of(b), b->text[i]);
}

static void drop(struct block *b) {
    if (b)
        verify(b);
    free(b);
}

static struct block *make(uint64_t *seed) {
    uint64_t r = random_next(seed);
    size_t size = r % 64 ? r >> 8 & 1023 : r >> 8 & 0x3ffff; /* some have their own mapping */
    struct block *b = malloc(sizeof *b + size);
    CHECK(b, "malloc of %zu failed", size);
    fill(b, size);
    return b;
}

static struct block *grow(struct block *b) {
    size_t size = b->size;
    unsigned char mark = mark_of(b);
    b = realloc(b, sizeof *b + 2 * size + 16);
    CHECK(b, "realloc of %zu failed", 2 * size);
    for (size_t i = 0; i < size; i++)
        CHECK(b->text[i] == mark, "realloc of %zu: byte %zu: expected %d, came %d", size, i, mark,
              b->text[i]);
    fill(b, size < 1 << 18 ? 2 * size + 16 : size);
    return b;
}

/* A page that is not in memory, copied to a block of its own. */
static void copy_page(uint64_t *seed) {
    size_t page = random_next(seed) % PAGES;
    unsigned char *at = file + page * PAGE, *copy = malloc(PAGE);
    CHECK(copy, "malloc of a page failed");
    if (random_next(seed) % 4 == 0) {
        DONE(madvise(at, PAGE, MADV_DONTNEED));
        OK(posix_fadvise(fd, (off_t)(page * PAGE), PAGE, POSIX_FADV_DONTNEED));
    }
    memcpy(copy, at, PAGE);
    for (int i = 0; i < PAGE; i++)
        CHECK(copy[i] == page % 251, "page %zu: came %d", page, copy[i]);
    free(copy);
}

static void *works(void *arg) {
    uint64_t seed = check_seed + (uint64_t)(intptr_t)arg;
    struct block *held[HELD] = {NULL};
    for (int round = 0; end ? now_ns(CLOCK_MONOTONIC) < end : round < ROUNDS; round++) {
        for (int i = 0; i < HELD; i++) {
            uint64_t r = random_next(&seed);
            struct block **at = &held[r % HELD];
            if (!*at)
                *at = make(&seed);
            else if (r & 1 << 10)
                *at = grow(*at);
            else if (r & 1 << 11)
                *at = __atomic_exchange_n(&shared[(r >> 16) % SHARED], *at, __ATOMIC_ACQ_REL);
            else
                drop(*at), *at = NULL;
        }
        copy_page(&seed);
        if (round % 16 == 0)
            sched_yield();
    }
    for (int i = 0; i < HELD; i++)
        drop(held[i]);
    return arg;
}

int main(void) {
    const char *seconds = getenv("MALLOC_IN_FAULTS");
    check_start();
    if (seconds) {
        alarm((unsigned)atoi(seconds) + 60);
        end = now_ns(CLOCK_MONOTONIC) + atoi(seconds) * SECOND_NS;
    }
    char name[] = "/var/tmp/malloc_in_faults.XXXXXX";
    unsigned char page[PAGE];
    fd = (int)DONE(mkstemp(name));
    DONE(unlink(name));
    for (int i = 0; i < PAGES; i++) {
        memset(page, i % 251, PAGE);
        WANT(write(fd, page, PAGE), PAGE);
    }
    DONE(fdatasync(fd)); /* else the pages stay in memory */
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    file = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(file != MAP_FAILED, "mmap: errno %d", errno);
    DONE(madvise(file, (size_t)PAGES * PAGE, MADV_RANDOM)); /* a fault for each page */
    run_all(N, works);
    for (int i = 0; i < SHARED; i++)
        drop(shared[i]);
    return 0;
}
