/* wake.c sleep|pipe|sem|alone SPINNERS SECONDS - how late a thread wakes up while others compute
 *
 * SPINNERS threads only count. One more waits, for 1 to 10 ms each time, and notes how long after
 * it was due it goes on:
 *   sleep  clock_nanosleep, an absolute deadline
 *   pipe   another process writes the time into a pipe
 *   sem    one of the spinners posts a semaphore, when a few ms have gone by and it sees that
 *   alone  nothing at all: what the spinners count per second of CPU is the figure
 * ns_per_op is the median, p99_ns the 99th percentile. */
#include "bench.h"

#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MS 1e6
#define MOST 10000

static volatile int stop;
static double late[MOST];
static int samples, ends[2];
static double until;
static sem_t posted;
static volatile double posted_at; /* 0: the waiter waits for the next */
static volatile double post_after;

static unsigned random_state = 1;
/* 1 to 10 ms, the same in each run. */
static double next_wait(void) {
    random_state = random_state * 1103515245 + 12345;
    return (1 + random_state / 65536 % 9000 / 1000.0) * MS;
}

static void note(double due) {
    if (samples < MOST)
        late[samples++] = now_ns() - due;
}

static struct {
    volatile unsigned long n;
    char pad[56];
} count[1024];

static void *spin(void *arg) {
    volatile unsigned long *n = &count[(intptr_t)arg].n;
    while (!stop)
        ++*n;
    return NULL;
}

/* Also looks at the clock; the first of the spinners where a semaphore is posted. */
static void *spin_and_post(void *arg) {
    (void)arg;
    while (!stop)
        if (!posted_at && post_after && now_ns() > post_after) {
            post_after = 0;
            posted_at = now_ns();
            sem_post(&posted);
        }
    return NULL;
}

static void *sleeper(void *arg) {
    (void)arg;
    while (now_ns() < until) {
        double due = now_ns() + next_wait();
        struct timespec t = {(time_t)(due / 1e9), (long)(due - (double)(time_t)(due / 1e9) * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        note(due);
    }
    return NULL;
}

static void *reader(void *arg) {
    (void)arg;
    double sent;
    double start = now_ns();
    while (now_ns() < until && read(ends[0], &sent, sizeof sent) == sizeof sent)
        if (sent > start) /* else it was there already */
            note(sent);
    return NULL;
}

static void *waiter(void *arg) {
    (void)arg;
    while (now_ns() < until) {
        posted_at = 0;
        post_after = now_ns() + next_wait();
        sem_wait(&posted);
        note(posted_at);
    }
    return NULL;
}

/* The other process. */
static void writer(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        usleep((useconds_t)(next_wait() / 1e3));
        double now = now_ns();
        if (write(ends[1], &now, sizeof now) != sizeof now)
            _exit(0);
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    int spinners = atoi(argv[2]);
    double seconds = atof(argv[3]);
    void *(*wait)(void *) = argv[1][0] == 'p' ? reader : !strcmp(argv[1], "sem") ? waiter : sleeper;
    pid_t child = 0;
    if (wait == reader && (pipe(ends) || !(child = fork())))
        writer();
    sem_init(&posted, 0, 0);
    pthread_t t[1024], last;
    for (int i = 0; i < spinners; i++)
        pthread_create(&t[i], NULL, wait == waiter && !i ? spin_and_post : spin,
                       (void *)(intptr_t)i);
    usleep(1000000); /* all have had a turn */
    unsigned long before = 0, after = 0;
    for (int i = 0; i < spinners; i++)
        before += count[i].n;
    double start = now_ns();
    until = start + seconds * 1e9;
    if (!strcmp(argv[1], "alone")) {
        usleep((useconds_t)(seconds * 1e6));
    } else {
        pthread_create(&last, NULL, wait, NULL);
        pthread_join(last, NULL);
    }
    for (int i = 0; i < spinners; i++)
        after += count[i].n;
    double took = now_ns() - start;
    stop = 1;
    for (int i = 0; i < spinners; i++)
        pthread_join(t[i], NULL);
    if (child)
        kill(child, SIGKILL);
    if (!strcmp(argv[1], "alone"))
        return report(took, (long)(after - before) / 1000, 1);
    if (!samples)
        return 1;
    qsort(late, (size_t)samples, sizeof *late, by_size);
    printf("p99_ns=%.0f max_ns=%.0f n=%d spun=%.0f\n", late[(samples * 99 - 1) / 100],
           late[samples - 1], samples, (double)(after - before) / took);
    return report(late[samples / 2], 1, 1);
}
