/* s1_handler_posts.c - DANGERS S1: a handler may post a semaphore, write and send signals wherever
 * it comes, also in the middle of the scheduler: threads park, ready and switch all the time while
 * a timer's and other threads' signals rain on them; every post arrives needs: time */
#include "check.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>

enum { PAIRS = 4, KILLS = 3000 };

static sem_t posted, turn[PAIRS][2];
static int posts, stop;

static void handler(int sig) {
    int e = errno;
    (void)sig;
    add(&posts, 1);
    DONE(sem_post(&posted));
    errno = e;
}

/* Two of them hand each other the turn: park, ready, switch. */
static void *player(void *arg) {
    long i = (long)arg;
    while (!get(&stop)) {
        while (sem_wait(&turn[i / 2][i % 2]) < 0)
            CHECK(errno == EINTR, "expected EINTR, came %d", errno);
        DONE(sem_post(&turn[i / 2][!(i % 2)]));
        if (i == 0)
            sched_yield();
    }
    return NULL;
}

int main(void) {
    check_start();
    DONE(sem_init(&posted, 0, 0));
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART},
                   NULL));
    DONE(sigaction(SIGALRM, &(struct sigaction){.sa_handler = handler}, NULL));
    pthread_t threads[2 * PAIRS];
    for (long i = 0; i < 2 * PAIRS; i++) {
        DONE(sem_init(&turn[i / 2][i % 2], 0, i % 2 == 0));
        threads[i] = spawn(player, (void *)i);
    }
    struct itimerval every = {{0, 500}, {0, 500}};
    DONE(setitimer(ITIMER_REAL, &every, NULL));
    for (int i = 0; i < KILLS; i++) {
        int before = get(&posts);
        OK(pthread_kill(threads[i % (2 * PAIRS)], SIGUSR1));
        for (int spins = 0; get(&posts) == before; spins++)
            sched_yield();
    }
    DONE(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
    set(&stop, 1);
    for (int i = 0; i < 2 * PAIRS; i++)
        DONE(sem_post(&turn[i / 2][i % 2]));
    join_all(threads, 2 * PAIRS);
    int got = 0;
    while (sem_trywait(&posted) == 0)
        got++;
    WANT(got, get(&posts));
    CHECK(got >= KILLS, "expected at least %d posts, came %d", KILLS, got);
    return 0;
}
