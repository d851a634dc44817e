/* ms_go_back.c - kernel threads for a burst of blocked calls end by and by, unless the kernel keeps
 * something for them: a child that gets a signal when its maker's thread ends, or what was given to
 * an io_uring
 * needs: time */
#include "util.h"

#include <linux/futex.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* KEEPERS of the threads make a child or submit a request from wherever they run. */
enum { THREADS = 300, KEEPERS = 40, FEW = 60, STAY_S = 10 };

struct keeper {
    int fd[2];
    pid_t child;
    char byte;
    int ring;
};
static struct keeper keepers[KEEPERS];
static int
    *gate; /* shared with other processes, as far as anybody knows: each waits in the kernel */
static int inside, done;
static void (*keep)(struct keeper *);

static void wait_at_gate(int closed) {
    while (__atomic_load_n(gate, __ATOMIC_ACQUIRE) == closed)
        syscall(SYS_futex, gate, FUTEX_WAIT, closed, NULL, NULL, 0);
}

static void open_gate(int value) {
    __atomic_store_n(gate, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, gate, FUTEX_WAKE, THREADS, NULL, NULL, 0);
}

/* Blocks in the kernel as all others do, then keeps something, then waits without the kernel. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static void *body(void *arg) {
    struct keeper *k = arg;
    __atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED);
    wait_at_gate(0);
    if (!k)
        return NULL;
    keep(k);
    __atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED);
    wait_at_gate(1); /* so each one's kernel thread is its own while it keeps */
    pthread_mutex_lock(&lock);
    while (!done)
        pthread_cond_wait(&over, &lock);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void await(const int *n, int wanted) {
    while (__atomic_load_n(n, __ATOMIC_RELAXED) != wanted)
        pause_ms(1);
}

/* look: asks after what is kept, while the threads that keep it wait. */
static void burst(void (*keeps)(struct keeper *), void (*look)(void)) {
    pthread_t threads[THREADS];
    keep = keeps;
    done = *gate = inside = 0;
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(body, i < KEEPERS ? &keepers[i] : NULL);
    await(&inside, THREADS);
    open_gate(1);
    await(&inside, THREADS + KEEPERS);
    open_gate(2);
    look();
    pthread_mutex_lock(&lock);
    done = 1;
    pthread_cond_broadcast(&over);
    pthread_mutex_unlock(&lock);
    join_all(threads, THREADS);
}

static void few_are_left(void) {
    int64_t deadline = now_ns(CLOCK_MONOTONIC) + 100 * SECOND_NS;
    int n;
    while ((n = kernel_thread_count()) > FEW && now_ns(CLOCK_MONOTONIC) < deadline)
        pause_ms(100);
    CHECK(n <= FEW, "of %d kernel threads %d are left", THREADS, n);
}

/* ---- children ---- */

static void make_child(struct keeper *k) {
    pid_t parent = getpid();
    k->child = (pid_t)DONE(fork());
    if (k->child)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent)
        pause();
    _exit(0);
}

static void children_live(void) {
    pause_ms(STAY_S * 1000);
    for (int i = 0; i < KEEPERS; i++) {
        WANT(waitpid(keepers[i].child, NULL, WNOHANG), 0);
        DONE(kill(keepers[i].child, SIGKILL));
        WANT(waitpid(keepers[i].child, NULL, 0), keepers[i].child);
    }
}

/* ---- io_uring, by system calls that nobody sees ---- */

static bool uring_refused(void) {
    struct io_uring_params p = {0};
    long f = syscall(SYS_io_uring_setup, 1, &p);
    if (f >= 0)
        close((int)f);
    return f < 0;
}

static void *ring_map(struct keeper *k, size_t n, off_t what) {
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, k->ring, what);
    CHECK(at != MAP_FAILED, "mmap of a ring: errno %d", errno);
    return at;
}

/* A byte is to be read from a pipe that is empty. */
static void submit_read(struct keeper *k) {
    struct io_uring_params is = {0};
    DONE(pipe(k->fd));
    k->ring = (int)DONE(unseen_call(SYS_io_uring_setup, 1, (long)&is, 0, 0));
    CHECK(k->ring >= 0, "io_uring_setup: %d", k->ring);
    char *sq = ring_map(k, is.sq_off.array + sizeof(unsigned), IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = ring_map(k, sizeof *sqe, IORING_OFF_SQES);
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = k->fd[0], .len = 1};
    sqe->addr = (uintptr_t)&k->byte;
    *(unsigned *)(sq + is.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(sq + is.sq_off.tail), 1, __ATOMIC_RELEASE);
    WANT(unseen_call(SYS_io_uring_enter, k->ring, 1, 0, 0), 1);
}

static void reads_come(void) {
    pause_ms(STAY_S * 1000);
    for (int i = 0; i < KEEPERS; i++) {
        struct keeper *k = &keepers[i];
        WANT(write(k->fd[1], "x", 1), 1);
        long entered; /* preempt=50 interrupts also what nobody sees sleep */
        do
            entered = unseen_call(SYS_io_uring_enter, k->ring, 0, 1, IORING_ENTER_GETEVENTS);
        while (entered == -EINTR);
        WANT(entered, 0);
        WANT(k->byte, 'x');
        close(k->ring);
        close(k->fd[0]);
        close(k->fd[1]);
    }
}

int main(void) {
    check_start();
    alarm(280);
    gate = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(gate != MAP_FAILED, "mmap: errno %d", errno);
    burst(make_child, children_live);
    few_are_left();
    if (!uring_refused())
        burst(submit_read, reads_come);
    return 0;
}
