/* s2_migrate_in_handler.c - DANGERS S2: a thread that waits inside its handler and comes back on
 * another kernel thread keeps its alternate stack, its mask and its frame, and gives them to nobody
 * else needs: time */
#include "check.h"

#include <semaphore.h>
#include <signal.h>

enum { THREADS = 8, ROUNDS = 100, ALT = 1 << 16 };

static sem_t go[THREADS], in[THREADS];
static __thread int me;
static __thread char *alternate;

static void handler(int sig) {
    (void)sig;
    volatile char local[256];
    volatile int who = me;
    for (int i = 0; i < 256; i++)
        local[i] = (char)who;
    CHECK((char *)local >= alternate && (char *)local < alternate + ALT,
          "expected thread %d's handler on its own alternate stack", who);
    stack_t ss;
    DONE(sigaltstack(NULL, &ss));
    CHECK(ss.ss_sp == alternate && ss.ss_flags == SS_ONSTACK, "expected to be on my stack, %d",
          ss.ss_flags);
    DONE(sem_post(&in[who]));
    while (sem_wait(&go[who]) < 0) /* others run on this kernel thread meanwhile */
        WANT(errno, EINTR);
    for (int i = 0; i < 256; i++)
        WANT(local[i], (char)who);
    WANT(me, who);
}

static bool blocks(int sig) {
    sigset_t set;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &set));
    return sigismember(&set, sig);
}

static void *body(void *arg) {
    me = (int)(long)arg;
    alternate = malloc(ALT);
    stack_t ss = {.ss_sp = alternate, .ss_size = ALT}, now;
    DONE(sigaltstack(&ss, NULL));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + me);
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        OK(pthread_kill(pthread_self(), SIGUSR1));
        DONE(sigaltstack(NULL, &now));
        CHECK(now.ss_sp == alternate && now.ss_size == ALT && now.ss_flags == 0,
              "expected my alternate stack after the handler, free");
        CHECK(!blocks(SIGUSR1), "expected SIGUSR1 not to be blocked after the handler");
        for (int k = 0; k < THREADS; k++)
            WANT(blocks(SIGRTMIN + k), k == me);
    }
    DONE(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
    free(alternate);
    return NULL;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_ONSTACK},
                   NULL));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        DONE(sem_init(&in[i], 0, 0));
        DONE(sem_init(&go[i], 0, 0));
    }
    for (long i = 0; i < THREADS; i++)
        threads[i] = spawn(body, (void *)i);
    /* All are in their handlers at once; they are let on in another order each time. */
    uint64_t seed = check_seed;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++)
            DONE(sem_wait(&in[i]));
        int first = (int)(random_next(&seed) % THREADS);
        for (int i = 0; i < THREADS; i++)
            DONE(sem_post(&go[(first + 3 * i) % THREADS]));
    }
    join_all(threads, THREADS);
    return 0;
}
