/* waits_ring.c - io_uring_enter that waits for a completion: see waits.h. needs: time */
#include "waits.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int fd[2], ring = -1;
static void *ring_sq, *ring_sqes;
static size_t ring_sq_size;
static char byte;

static bool refused(void) {
    struct io_uring_params p = {0};
    int f = (int)syscall(SYS_io_uring_setup, 1, &p);
    if (f >= 0)
        close(f);
    return f < 0;
}

static void *map(size_t n, off_t what) {
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);
    CHECK(at != MAP_FAILED, "mmap of a ring: errno %d", errno);
    return at;
}

/* One request is in it: to read a byte from a pipe. */
static void make(void) {
    struct io_uring_params is = {0};
    DONE(pipe(fd));
    ring = (int)DONE(syscall(SYS_io_uring_setup, 1, &is));
    ring_sq_size = is.sq_off.array + sizeof(unsigned);
    ring_sq = map(ring_sq_size, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = ring_sqes = map(sizeof *sqe, IORING_OFF_SQES);
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = fd[0], .len = 1};
    sqe->addr = (uintptr_t)&byte;
    *(unsigned *)((char *)ring_sq + is.sq_off.array) = 0;
    __atomic_store_n((unsigned *)((char *)ring_sq + is.sq_off.tail), 1, __ATOMIC_RELEASE);
    WANT(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0), 1);
}

static void clear(void) {
    DONE(munmap(ring_sqes, sizeof(struct io_uring_sqe)));
    DONE(munmap(ring_sq, ring_sq_size));
    DONE(close(ring));
    close(fd[0]);
    if (fd[1] >= 0)
        close(fd[1]);
}

DO(give, WANT(write(fd[1], "x", 1), 1))
DO(hang_up, DONE(close(fd[1])); fd[1] = -1)
CALL(c_enter, syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0))
static long t_enter(void) {
    struct timespec soon = {0, TIMED_MS * MS_NS};
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&soon};
    return as_result(syscall(SYS_io_uring_enter, ring, 0, 1,
                             IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg));
}

static const struct row rows[] = {
    {"SYS_io_uring_enter", make, clear, c_enter, give, 0, ENDS, false, t_enter, -ETIME, hang_up, 0},
};

int main(void) {
    check_start();
    if (refused())
        check_skip("the kernel refuses io_uring_setup");
    waits_rows(rows, sizeof rows / sizeof *rows);
    return 0;
}
