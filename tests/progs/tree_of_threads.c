/* tree_of_threads.c - many threads in odd shapes: each costs what the first ones cost
 *
 * A tree in which each thread makes two and joins them; a pipeline of stages, each a thread,
 * through which numbers go; bursts of threads one after the other; as many waits with a time limit
 * as there are threads; a condition for each thread, and one for all. Every result is checked, and
 * after the bursts the process is no larger than after the first few.
 *
 * usage: tree_of_threads [FACTOR [PART]]: so many times the size, 1 here; 125 is a tree of 10^6, a
 * pipeline of 10,000, 1000 bursts of 1000, 10^5 waits. Prints ns for each thread of a part.
 */
#include "util.h"

enum { TREE = 8000, STAGES = 80, ITEMS = 50, BURSTS = 8, BURST = 1000, WAITERS = 800 };

static int factor;
static pthread_attr_t small_stack;

static pthread_t small(void *(*run)(void *), void *arg) {
    return spawn_with(&small_stack, run, arg);
}

static int64_t began;
static void begin(void) { began = now_ns(CLOCK_MONOTONIC); }

static void report(const char *part, long threads) {
    if (factor > 1)
        printf("%-10s %9ld threads %7lld ns each, %ld kB\n", part, threads,
               (long long)(now_ns(CLOCK_MONOTONIC) - began) / threads, resident_kb());
}

/* ---- the tree: its threads are counted on the way back ---- */

static void *branch(void *depth) {
    intptr_t d = (intptr_t)depth, n = 1;
    if (d > 1) {
        pthread_t left = small(branch, as_pointer(d - 1)), right = small(branch, as_pointer(d - 1));
        n += (intptr_t)join(left) + (intptr_t)join(right);
    }
    return as_pointer(n);
}

static void tree(void) {
    int depth = 1;
    while ((1L << depth) < (long)TREE * factor)
        depth++;
    begin();
    WANT(join(small(branch, as_pointer(depth))), (1L << depth) - 1);
    report("tree", (1L << depth) - 1);
}

/* ---- the pipeline: each stage has a place for one number, adds one, hands it on ---- */

struct stage {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool full;
    long value;
};
static struct stage *stages;

static void put(struct stage *s, long value) {
    OK(pthread_mutex_lock(&s->lock));
    while (s->full)
        OK(pthread_cond_wait(&s->changed, &s->lock));
    s->full = true;
    s->value = value;
    OK(pthread_cond_broadcast(&s->changed));
    OK(pthread_mutex_unlock(&s->lock));
}

static long take(struct stage *s) {
    OK(pthread_mutex_lock(&s->lock));
    while (!s->full)
        OK(pthread_cond_wait(&s->changed, &s->lock));
    s->full = false;
    long value = s->value;
    OK(pthread_cond_broadcast(&s->changed));
    OK(pthread_mutex_unlock(&s->lock));
    return value;
}

static void *run_stage(void *number) {
    struct stage *s = &stages[(intptr_t)number];
    for (int i = 0; i < ITEMS; i++)
        put(s + 1, take(s) + 1);
    return NULL;
}

static void *feed(void *arg) {
    for (int i = 0; i < ITEMS; i++)
        put(&stages[0], i * 1000000L);
    return arg;
}

static void pipeline(void) {
    int n = STAGES * factor;
    pthread_t *threads = calloc((size_t)n, sizeof *threads);
    stages = calloc((size_t)n + 1, sizeof *stages);
    CHECK(threads && stages, "no memory");
    for (int i = 0; i <= n; i++) {
        OK(pthread_mutex_init(&stages[i].lock, NULL));
        OK(pthread_cond_init(&stages[i].changed, NULL));
    }
    begin();
    for (int i = 0; i < n; i++)
        threads[i] = small(run_stage, as_pointer(i));
    pthread_t feeder = small(feed, NULL);
    for (int i = 0; i < ITEMS; i++)
        WANT(take(&stages[n]), i * 1000000L + n);
    join(feeder);
    join_all(threads, n);
    report("pipeline", n);
    free(threads);
    free(stages);
}

/* ---- bursts ---- */

static int ended;
static void *count(void *arg) {
    add(&ended, 1);
    return arg;
}

static void bursts(void) {
    static pthread_t threads[BURST];
    long size = 0;
    begin();
    set(&ended, 0);
    for (int b = 0; b < BURSTS * factor; b++) {
        for (int i = 0; i < BURST; i++)
            threads[i] = small(count, as_pointer(i));
        for (int i = 0; i < BURST; i++)
            WANT(join(threads[i]), i);
        if (b == BURSTS / 2)
            size = resident_kb();
    }
    WANT(get(&ended), BURSTS * factor * BURST);
    report("bursts", (long)BURSTS * factor * BURST);
    CHECK(resident_kb() < size + 8000, "expected no growth from %ld kB, came %ld", size,
          resident_kb());
}

/* ---- waits: as many deadlines and conditions as threads ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all = PTHREAD_COND_INITIALIZER, *each;
static int waiting, timed_out, released;
static bool go;

/* A deadline of its own, in an order that suits no heap; the even ones are woken before it. */
static void *wait_timed(void *number) {
    long i = (long)(intptr_t)number;
    struct timespec until = time_in(CLOCK_REALTIME, i % 2 ? 20 + i * 7919 % 50 : 600000);
    int error = 0;
    OK(pthread_mutex_lock(&lock));
    waiting++;
    while (!go && !error)
        error = pthread_cond_timedwait(&each[i], &lock, &until);
    if (error) {
        ERR(error, ETIMEDOUT);
        NOT_EARLY(CLOCK_REALTIME, until);
        timed_out++;
    }
    while (!go)
        OK(pthread_cond_wait(&all, &lock));
    released++;
    OK(pthread_mutex_unlock(&lock));
    return number;
}

static void waits(void) {
    int n = WAITERS * factor;
    pthread_t *threads = calloc((size_t)n, sizeof *threads);
    each = calloc((size_t)n, sizeof *each);
    CHECK(threads && each, "no memory");
    begin();
    for (int i = 0; i < n; i++) {
        OK(pthread_cond_init(&each[i], NULL));
        threads[i] = small(wait_timed, as_pointer(i));
    }
    for (int done = 0; !done; pause_ms(1)) {
        OK(pthread_mutex_lock(&lock));
        done = waiting == n && timed_out == n / 2;
        OK(pthread_mutex_unlock(&lock));
    }
    OK(pthread_mutex_lock(&lock));
    go = true;
    for (int i = 0; i < n; i += 2)
        OK(pthread_cond_signal(&each[i]));
    OK(pthread_cond_broadcast(&all));
    OK(pthread_mutex_unlock(&lock));
    join_all(threads, n);
    WANT(released, n);
    WANT(timed_out, n / 2);
    for (int i = 0; i < n; i++)
        OK(pthread_cond_destroy(&each[i]));
    report("waits", n);
    free(threads);
    free(each);
}

int main(int argc, char **argv) {
    check_start();
    factor = argc > 1 ? atoi(argv[1]) : 1;
    if (factor > 1)
        alarm(600);
    OK(pthread_attr_init(&small_stack));
    OK(pthread_attr_setstacksize(&small_stack, 64 << 10));
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"tree", tree}, {"pipeline", pipeline}, {"bursts", bursts}, {"waits", waits}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (argc < 3 || strcmp(argv[2], parts[i].name) == 0)
            parts[i].run();
    return 0;
}
