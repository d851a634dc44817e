/* signal_storm.c - several threads send to each other and to the process as fast as they can,
 * handlers lock, post, yield and allocate: nothing is lost of what queues, and stacks do not grow
 */
#include "check.h"

#include <semaphore.h>
#include <signal.h>

enum { THREADS = 6, SENT = 400 };

static int handled, process_handled, usr1, finished, all_sent, go;
static pthread_t threads[THREADS];
static sem_t sem;
static __thread char *top;
static __thread volatile long deepest;

static void note_depth(void) {
    char here;
    long depth = top ? (long)(top - &here) : 0;
    if (depth > deepest)
        deepest = depth;
}

static void on_rt(int sig) {
    (void)sig;
    note_depth();
    DONE(sem_post(&sem));
    if (add(&handled, 1) % 7 == 0)
        sched_yield();
}

static void on_process(int sig) {
    (void)sig;
    note_depth();
    add(&process_handled, 1);
}

static void on_usr1(int sig) {
    (void)sig;
    note_depth();
    add(&usr1, 1);
}

static void *run(void *arg) {
    char here;
    top = &here;
    int me = (int)(intptr_t)arg;
    wait_until(&go, 1);
    for (int i = 0; i < SENT; i++) {
        pthread_t to = threads[(me + i) % THREADS];
        OK(pthread_sigqueue(to, SIGRTMIN, (union sigval){.sival_int = i}));
        OK(pthread_kill(to, SIGUSR1));
        DONE(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}));
        free(malloc(100 + (size_t)i));
        while (sem_wait(&sem))
            WANT(errno, EINTR);
    }
    add(&finished, 1);
    while (!get(&all_sent)) /* those that others still send */
        pause_ms(1);
    CHECK(deepest < 60000, "expected a few handlers inside each other, came %ld bytes", deepest);
    return NULL;
}

int main(void) {
    check_start();
    char here;
    top = &here;
    DONE(sem_init(&sem, 0, 0));
    DONE(sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = on_rt}, NULL));
    DONE(sigaction(SIGRTMIN + 1, &(struct sigaction){.sa_handler = on_process}, NULL));
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_usr1}, NULL));
    spawn_all(threads, THREADS, run);
    set(&go, 1); /* now they may read `threads` */
    wait_until(&finished, THREADS);
    for (int i = 0;
         i < 2000 && (get(&handled) < THREADS * SENT || get(&process_handled) < THREADS * SENT);
         i++)
        pause_ms(1);
    set(&all_sent, 1);
    join_all(threads, THREADS);
    WANT(get(&handled), THREADS * SENT);
    WANT(get(&process_handled), THREADS * SENT);
    CHECK(get(&usr1) > 0 && get(&usr1) <= THREADS * SENT, "expected at most as many as sent");
    return 0;
}
