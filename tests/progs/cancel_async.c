/* cancel_async.c - asynchronous cancellation acts at once, wherever the thread is: computing, in a
 * loop of calls that are no cancellation points, blocked on a mutex, a rwlock or a barrier
 *
 * Each time its clean-up handler and the destructor of its key run, and what it waited for can be
 * used by others. A request that comes first acts when the type or state is changed. */
#include "check.h"

#include <sys/syscall.h>

static int inside, cleaned;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock;
static pthread_barrier_t barrier;
static pthread_key_t key;

static void clean(void *arg) { add(&cleaned, *(int *)arg); }

static void compute(void) {
    for (volatile unsigned long n = 0;; n++)
        continue;
}

static void yields(void) {
    for (;;)
        sched_yield();
}

static void locks(void) {
    pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    for (;;) {
        pthread_mutex_lock(&own);
        pthread_mutex_unlock(&own);
    }
}

static void waits_mutex(void) { pthread_mutex_lock(&mutex); }
static void waits_write(void) { pthread_rwlock_wrlock(&rwlock); }
static void waits_barrier(void) { pthread_barrier_wait(&barrier); }
static void calls_kernel(void) {
    for (;;)
        syscall(SYS_getppid);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {{"a loop without calls", compute},
             {"a loop of yields", yields},
             {"a loop of locks", locks},
             {"a wait for a mutex", waits_mutex},
             {"a wait for a rwlock", waits_write},
             {"a wait at a barrier", waits_barrier},
             {"a loop of system calls", calls_kernel}};
enum { CASES = sizeof cases / sizeof *cases };

static void *body(void *arg) {
    int one = 1;
    pthread_cleanup_push(clean, &one);
    OK(pthread_setspecific(key, arg));
    OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
    add(&inside, 1);
    cases[(intptr_t)arg - 1].run();
    check_fail("%s: it ended", cases[(intptr_t)arg - 1].name);
    pthread_cleanup_pop(0);
    return NULL;
}

static void on_end(void *value) { add(&cleaned, (int)(intptr_t)value * 100); }

static void cancel_one(int i, int late) {
    pthread_barrier_init(&barrier, NULL, 2);
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_rwlock_init(&rwlock, NULL)); /* NPTL leaves it with a waiter that is gone */
    OK(pthread_rwlock_rdlock(&rwlock));
    set(&inside, 0);
    set(&cleaned, 0);
    pthread_t t = spawn(body, as_pointer(i + 1));
    wait_until(&inside, 1);
    if (late)
        pause_ms(2);
    OK(pthread_cancel(t));
    struct timespec limit = time_in(CLOCK_REALTIME, 30000);
    void *result;
    int err = pthread_timedjoin_np(t, &result, &limit);
    CHECK(!err, "%s: expected it to end, came %s", cases[i].name, check_name_of(err));
    CHECK(result == PTHREAD_CANCELED, "%s: expected PTHREAD_CANCELED", cases[i].name);
    WANT(cleaned, (i + 1) * 100 + 1);
    OK(pthread_mutex_unlock(&mutex));
    OK(pthread_rwlock_unlock(&rwlock));
}

/* Enabled or made asynchronous only after the request: at that very call. */
static int step;
static void *late_type(void *arg) {
    set(&step, 1);
    while (get(&step) < 2)
        continue;
    OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
    check_fail("expected pthread_setcanceltype not to return");
    return arg;
}

static void *late_state(void *arg) {
    int old;
    OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
    set(&step, 1);
    while (get(&step) < 2)
        continue;
    for (volatile int i = 0; i < 100000; i++) /* not now */
        continue;
    set(&step, 3);
    OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
    check_fail("expected pthread_setcancelstate not to return");
    return arg;
}

static void late(void *(*run)(void *), int reaches) {
    step = 0;
    pthread_t t = spawn(run, NULL);
    wait_until(&step, 1);
    OK(pthread_cancel(t));
    set(&step, 2);
    CHECK(join(t) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
    WANT(step, reaches);
}

static void *itself(void *arg) {
    OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
    pthread_cancel(pthread_self());
    check_fail("expected pthread_cancel of itself not to return");
    return arg;
}

int main(void) {
    check_start();
    OK(pthread_key_create(&key, on_end));
    for (int round = 0; round < 6; round++)
        for (int i = 0; i < CASES; i++)
            cancel_one(i, round % 2);
    late(late_type, 2);
    late(late_state, 3);
    CHECK(join(spawn(itself, NULL)) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
    return 0;
}
