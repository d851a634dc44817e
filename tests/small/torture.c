/* torture.c - locks, conditions and semaphores, all operations counted: no wake-up lost or invented
 *
 * usage: torture OPERATIONS [THREADS]
 *
 * Threads work in pairs that share a fixed series of rounds, drawn from the seed. In a round the
 * two wake each other through conditions (plain, timed, broadcast to a crowd) or semaphores, so
 * that every round waits; or each of them works on objects that all threads share. Gives are
 * counted against takes, wakings against signals. A lost wake-up is a hang, which the watchdog
 * ends. An invented one is allowed by POSIX; the library promises that there is none.
 */
#include "../progs/check.h"

#include <semaphore.h>

enum { MAX_THREADS = 256, SHARED = 5 };

/* A counted token behind a mutex and a condition. */
struct cell {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    long tokens, given, taken, signals, wakings, timeouts;
    int inside;
};

/* One side of a pair. */
struct side {
    struct cell cell;
    sem_t sem;
    long operations;
} __attribute__((aligned(128)));

static struct side sides[MAX_THREADS];
static struct cell shared[SHARED];
static sem_t shared_sem[SHARED];
static int threads = 16;
static long rounds;

static void cell_init(struct cell *c) {
    pthread_condattr_t attr;
    OK(pthread_mutex_init(&c->mutex, NULL));
    OK(pthread_condattr_init(&attr));
    OK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    OK(pthread_cond_init(&c->cond, &attr));
}

static void enter(struct cell *c) {
    OK(pthread_mutex_lock(&c->mutex));
    if (c->inside++)
        check_fail("two threads are in one mutex");
}

static void leave(struct cell *c) {
    c->inside--;
    OK(pthread_mutex_unlock(&c->mutex));
}

static long give(struct cell *c, uint64_t draw) {
    enter(c);
    c->tokens++;
    c->given++;
    c->signals++;
    if (draw & 1)
        OK(pthread_cond_signal(&c->cond));
    leave(c);
    if (!(draw & 1))
        OK(pthread_cond_signal(&c->cond));
    return 3;
}

static bool untimed; /* no deadlines: nothing depends on the clock */

static long take(struct cell *c, bool timed) {
    long n = 2;
    enter(c);
    while (!c->tokens) {
        int err;
        c->inside--;
        if (timed) {
            struct timespec end = time_in(CLOCK_MONOTONIC, 0);
            end.tv_nsec += 20000; /* sometimes before the partner comes, sometimes after */
            if (end.tv_nsec >= SECOND_NS)
                end = (struct timespec){end.tv_sec + 1, end.tv_nsec - SECOND_NS};
            err = pthread_cond_timedwait(&c->cond, &c->mutex, &end);
        } else {
            err = pthread_cond_wait(&c->cond, &c->mutex);
        }
        if (c->inside++)
            check_fail("two threads are in one mutex after a wait");
        if (err == ETIMEDOUT && timed)
            c->timeouts++;
        else
            OK(err);
        c->wakings += !err;
        n++;
    }
    c->tokens--;
    c->taken++;
    leave(c);
    return n;
}

static long post(sem_t *sem) {
    DONE(sem_post(sem));
    return 1;
}

static long wait_for(sem_t *sem) {
    DONE(sem_wait(sem));
    return 1;
}

/* Gives before it takes, so that there is always enough for all. */
static long work_shared(uint64_t draw) {
    struct cell *c = &shared[draw % SHARED];
    sem_t *sem = &shared_sem[draw % SHARED];
    switch (draw / SHARED % 4) {
    case 0:
        return post(sem) + wait_for(sem);
    case 1:
        enter(c);
        c->tokens++;
        c->given++;
        c->signals += threads; /* a broadcast may wake them all */
        OK(pthread_cond_broadcast(&c->cond));
        leave(c);
        return 3 + take(c, false);
    default:
        return give(c, draw >> 32) + take(c, draw >> 33 & 1);
    }
}

/* One round of a pair: first wakes second and waits for it. */
static long play(uint64_t draw, struct side *me, struct side *other, bool first) {
    bool timed = !untimed && draw % 16 == 1;
    switch (draw % 4) {
    case 0:
        return first ? post(&other->sem) + wait_for(&me->sem)
                     : wait_for(&me->sem) + post(&other->sem);
    case 1:
    case 2:
        return first ? give(&other->cell, draw >> 8) + take(&me->cell, timed)
                     : take(&me->cell, timed) + give(&other->cell, draw >> 9);
    default:
        return work_shared(draw / 4 + (first ? 1 : 0));
    }
}

static void *member(void *arg) {
    int i = (int)(intptr_t)arg;
    struct side *me = &sides[i], *other = &sides[i ^ 1];
    uint64_t random = check_seed + (uint64_t)(i / 2);
    for (long r = 0; r < rounds; r++) {
        me->operations += play(random_next(&random), me, other, !(i & 1));
        if (r % 1024 == 0)
            alarm(120); /* the watchdog: as long as somebody gets on, there is no hang */
    }
    return NULL;
}

static long timeouts;

static void cell_check(struct cell *c, const char *which, int i) {
    CHECK(c->given == c->taken && !c->tokens,
          "%s %d: expected as much taken as given, came %ld of %ld", which, i, c->taken, c->given);
    if (check_expects("lib"))
        CHECK(c->wakings <= c->signals, "%s %d: expected at most %ld wakings, came %ld", which, i,
              c->signals, c->wakings);
    OK(pthread_cond_destroy(&c->cond));
    OK(pthread_mutex_destroy(&c->mutex));
    timeouts += c->timeouts;
}

static void sem_check(sem_t *sem) {
    int value;
    DONE(sem_getvalue(sem, &value));
    WANT(value, 0);
}

int main(int argc, char **argv) {
    check_start();
    long want = argc > 1 ? atol(argv[1]) : 20000;
    untimed = getenv("GTHREAD_TEST_UNTIMED") != NULL;
    threads = argc > 2 ? atoi(argv[2]) / 2 * 2 : 16;
    CHECK(want > 0 && threads >= 2 && threads <= MAX_THREADS,
          "usage: torture OPERATIONS [THREADS]");
    rounds = want / threads / 4 + 1; /* a round is about 4 operations for each side */
    for (int i = 0; i < SHARED; i++) {
        cell_init(&shared[i]);
        DONE(sem_init(&shared_sem[i], 0, 0));
    }
    for (int i = 0; i < threads; i++) {
        cell_init(&sides[i].cell);
        DONE(sem_init(&sides[i].sem, 0, 0));
    }
    run_all(threads, member);
    long operations = 0;
    for (int i = 0; i < threads; i++) {
        operations += sides[i].operations;
        cell_check(&sides[i].cell, "pair", i);
        sem_check(&sides[i].sem);
    }
    for (int i = 0; i < SHARED; i++) {
        cell_check(&shared[i], "shared", i);
        sem_check(&shared_sem[i]);
    }
    printf("%ld operations, %ld time-outs\n", operations, timeouts);
    return 0;
}
