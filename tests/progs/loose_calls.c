/* loose_calls.c - threads whose calls in the kernel mostly last: whatever they do right after one
 * is as ever (locks, deadlines, pipes, threads, children, yielding, ending), while another thread
 * computes all the time; those that compute for long after one keep nobody from running, and
 * signals reach them. needs: time
 */
#include "check.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>

enum { THREADS = 8, ROUNDS = 60, LEARN = 8 };

static int id, stop, running, handled;
static long counter, locked;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t sem;

/* In the kernel for 100 us, by libc's call: nobody gives what it waits for. */
static void last(void) {
    struct sembuf down = {0, -1, 0};
    struct timespec t = {0, 100000};
    int r = semtimedop(id, &down, 1, &t);
    CHECK(r == -1 && (errno == EAGAIN || errno == EINTR), "semtimedop: %d, errno %d", r, errno);
}

static void compute_ns(int64_t ns) {
    int64_t from = now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) - from < ns)
        continue;
}

static void lock(void) {
    OK(pthread_mutex_lock(&mutex));
    long was = locked;
    sched_yield();
    last(); /* the others queue for it, and it comes back to it without a P */
    locked = was + 1;
    OK(pthread_mutex_unlock(&mutex));
    __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
}

static void deadline(void) {
    struct timespec t = time_in(CLOCK_REALTIME, 1);
    int r;
    OK(pthread_mutex_lock(&mutex));
    do
        r = pthread_cond_timedwait(&never, &mutex, &t);
    while (!r);
    OK(pthread_mutex_unlock(&mutex));
    WANT(r, ETIMEDOUT);
}

static void *child_thread(void *arg) {
    last();
    return arg;
}

static void make_thread(void) {
    pthread_t t = spawn(child_thread, &t);
    CHECK(join(t) == &t, "another thread's result");
}

static void *echo(void *arg) {
    int *fd = arg;
    char c;
    for (int i = 0; i < 3; i++) {
        last();
        WANT(read(fd[0], &c, 1), 1);
        WANT(write(fd[3], &c, 1), 1);
    }
    return NULL;
}

static void pipes(void) {
    int fd[4];
    char c;
    DONE(pipe(fd));
    DONE(pipe(fd + 2));
    pthread_t t = spawn(echo, fd);
    for (char i = 0; i < 3; i++) {
        last();
        WANT(write(fd[1], &i, 1), 1);
        WANT(read(fd[2], &c, 1), 1);
        WANT(c, i);
    }
    join(t);
    for (int i = 0; i < 4; i++)
        DONE(close(fd[i]));
}

static void semaphores(void) {
    DONE(sem_post(&sem));
    DONE(sem_wait(&sem));
}

static void make_child(void) {
    int status;
    pid_t pid = (pid_t)DONE(fork());
    if (!pid)
        _exit(7);
    WANT(waitpid(pid, &status, 0), pid);
    WANT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
}

static void compute(void) { compute_ns(3 * MS_NS); }
static void yield(void) { sched_yield(); }
static void nap(void) { usleep(200); }

static void (*const what[])(void) = {lock,  deadline, make_thread, pipes, semaphores,
                                     yield, nap,      yield,       lock,  semaphores};
enum { KINDS = sizeof what / sizeof *what };

static void *worker(void *arg) {
    uintptr_t n = (uintptr_t)arg;
    for (int i = 0; i < LEARN; i++)
        last();
    for (uintptr_t i = 0; i < ROUNDS; i++) {
        last();
        if (i % 30 == n)
            make_child();
        else if (i % 30 == n + 10)
            compute();
        else
            what[(i + n) % KINDS]();
    }
    last();
    if (n % 2)
        pthread_exit(arg);
    return arg;
}

static void *computer(void *arg) {
    while (!get(&stop)) {
        compute_ns(MS_NS / 5);
        sched_yield();
        ++*(volatile long *)arg;
    }
    return NULL;
}

static void on_signal(int sig) {
    (void)sig;
    add(&handled, 1);
}

/* Right after a call that lasted it computes, until the one that waits for its turn says stop. */
static void *spinner(void *arg) {
    (void)arg;
    for (int i = 0; i < LEARN; i++)
        last();
    add(&running, 1);
    while (!get(&stop))
        continue;
    return NULL;
}

int main(void) {
    check_start();
    alarm(200);
    id = (int)DONE(semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT));
    DONE(sem_init(&sem, 0, 0));
    struct sigaction sa = {.sa_handler = on_signal};
    DONE(sigaction(SIGUSR1, &sa, NULL));

    pthread_t threads[THREADS];
    long count = 0;
    pthread_t other = spawn(computer, &count);
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = spawn(worker, (void *)i);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(join(threads[i]) == (void *)i, "the result of worker %d", (int)i);
    set(&stop, 1);
    join(other);
    CHECK(locked == counter && count, "%ld times locked of %ld, counted to %ld", locked, counter,
          count);

    set(&stop, 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = spawn(spinner, NULL);
    while (get(&running) < THREADS)
        pause_ms(1);
    for (int i = 0; i < THREADS; i++)
        OK(pthread_kill(threads[i], SIGUSR1));
    while (get(&handled) < THREADS)
        pause_ms(1);
    set(&stop, 1);
    join_all(threads, THREADS);
    DONE(semctl(id, 0, IPC_RMID));
    return 0;
}
