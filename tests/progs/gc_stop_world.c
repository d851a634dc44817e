/* gc_stop_world.c - a stop-the-world collector in miniature, as libgc and Guile do it: 200 threads
 * in all kinds of states are stopped by a signal, their handlers say where their stacks are and
 * wait in sigsuspend, the collector reads the stacks and lets all go on. 1000 rounds (50 under
 * chaos) needs: time */
#include "check.h"

#include <semaphore.h>
#include <signal.h>

enum { THREADS = 200 };

static sem_t stopped;
static int stop, epoch;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

struct mutator {
    pthread_t thread;
    char *base;           /* of its stack, where its canary lies */
    char *volatile top;   /* written by the handler */
    volatile int resumed; /* the epoch it last saw */
};
static struct mutator mutators[THREADS];
static __thread struct mutator *me;
static const uint64_t canary = 0x5eed0fca11ab1e00;

static void on_stop(int sig) {
    (void)sig;
    int e = errno, seen = get(&epoch);
    char here;
    me->top = &here;
    sigset_t mask;
    sigfillset(&mask);
    sigdelset(&mask, SIGUSR2);
    DONE(sem_post(&stopped));
    while (get(&epoch) == seen)
        sigsuspend(&mask);
    me->resumed = get(&epoch);
    DONE(sem_post(&stopped));
    errno = e;
}

static void on_go(int sig) { (void)sig; }

static void mutate(uint64_t *random) {
    switch (random_next(random) % 6) {
    case 0:
        sched_yield();
        break;
    case 1:
        usleep(random_next(random) % 2000);
        break;
    case 2:
        OK(pthread_mutex_lock(&lock));
        free(malloc(random_next(random) % 500));
        OK(pthread_mutex_unlock(&lock));
        break;
    case 3:
        OK(pthread_mutex_lock(&lock));
        OK(pthread_cond_broadcast(&cond));
        OK(pthread_mutex_unlock(&lock));
        break;
    case 4: {
        struct timespec until = time_in(CLOCK_REALTIME, 2);
        OK(pthread_mutex_lock(&lock));
        int r = pthread_cond_timedwait(&cond, &lock, &until);
        CHECK(r == 0 || r == ETIMEDOUT, "expected 0 or ETIMEDOUT, came %d", r);
        OK(pthread_mutex_unlock(&lock));
        break;
    }
    default:
        for (volatile int i = 0; i < 2000; i++)
            ;
    }
}

static void *mutator(void *arg) {
    volatile uint64_t mark = canary + (uint64_t)((struct mutator *)arg - mutators);
    uint64_t random = check_seed + mark;
    me = arg;
    me->base = (char *)&mark;
    DONE(sem_post(&stopped));
    while (!get(&stop))
        mutate(&random);
    WANT(mark, canary + (uint64_t)(me - mutators));
    return NULL;
}

static void wait_for_all(void) {
    for (int i = 0; i < THREADS; i++)
        while (sem_wait(&stopped) < 0)
            WANT(errno, EINTR);
}

static void collect(void) {
    for (int i = 0; i < THREADS; i++)
        OK(pthread_kill(mutators[i].thread, SIGUSR1));
    wait_for_all();
    for (int i = 0; i < THREADS; i++) {
        struct mutator *m = &mutators[i];
        CHECK(m->top < m->base && m->base - m->top < 1 << 20,
              "expected a handler on its thread's stack, came %p for %p", (void *)m->top,
              (void *)m->base);
        uint64_t sum = 0;
        for (char *p = (char *)((uintptr_t)(m->top + 7) & ~7UL); p < m->base; p += 8)
            sum += *(uint64_t *)p;
        __asm__ volatile("" ::"r"(sum));
        WANT(*(uint64_t *)m->base, canary + (uint64_t)i);
    }
    add(&epoch, 1);
    for (int i = 0; i < THREADS; i++)
        OK(pthread_kill(mutators[i].thread, SIGUSR2));
    wait_for_all();
    for (int i = 0; i < THREADS; i++)
        WANT(mutators[i].resumed, get(&epoch));
}

int main(void) {
    check_start();
    const char *debug = getenv("GTHREAD_DEBUG");
    int rounds = debug && strstr(debug, "chaos") ? 50 : 1000;
    alarm(300);
    DONE(sem_init(&stopped, 0, 0));
    struct sigaction sa = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigfillset(&sa.sa_mask);
    DONE(sigaction(SIGUSR1, &sa, NULL));
    sa.sa_handler = on_go;
    DONE(sigaction(SIGUSR2, &sa, NULL));
    for (int i = 0; i < THREADS; i++)
        mutators[i].thread = spawn(mutator, &mutators[i]);
    wait_for_all();
    for (int i = 0; i < rounds; i++)
        collect();
    set(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        join(mutators[i].thread);
    return 0;
}
