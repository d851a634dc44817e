/* foreign_threads.c - threads that libc makes for itself (SIGEV_THREAD timers, aio, getaddrinfo_a,
 * message queues) and one made by clone(2) use every primitive against the program's threads */
#include "check.h"

#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

enum { TURNS = 30 };

/* ---- the primitives: a foreign thread (side 1) and a thread of the program (side 0) ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, recursive;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_spinlock_t spin;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t sems[2];
static int shared, onces, pipes[2][2], event;
static pthread_key_t key;
static int destroyed;

static void with_mutex(int side) {
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_mutex_lock(&mutex));
        int was = shared;
        if (i % 7 == side)
            pause_ms(1);
        shared = was + 1;
        OK(pthread_mutex_unlock(&mutex));
    }
}

static void with_recursive(int side) {
    (void)side;
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_mutex_lock(&recursive));
        OK(pthread_mutex_lock(&recursive));
        shared++;
        OK(pthread_mutex_unlock(&recursive));
        OK(pthread_mutex_unlock(&recursive));
    }
}

static void with_timed_mutex(int side) {
    for (int i = 0; i < TURNS; i++) {
        struct timespec at = time_in(CLOCK_REALTIME, 20000);
        OK(pthread_mutex_timedlock(&mutex, &at));
        if (i % 5 == side)
            pause_ms(1);
        shared++;
        OK(pthread_mutex_unlock(&mutex));
    }
}

static void with_cond(int side) {
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_mutex_lock(&mutex));
        while (shared % 2 != side)
            OK(pthread_cond_wait(&cond, &mutex));
        shared++;
        OK(i % 2 ? pthread_cond_signal(&cond) : pthread_cond_broadcast(&cond));
        OK(pthread_mutex_unlock(&mutex));
    }
}

static void with_timed_cond(int side) {
    for (int i = 0; i < TURNS; i++) {
        struct timespec at = time_in(CLOCK_REALTIME, 20000);
        OK(pthread_mutex_lock(&mutex));
        while (shared % 2 != side)
            OK(pthread_cond_timedwait(&cond, &mutex, &at));
        shared++;
        OK(pthread_cond_signal(&cond));
        OK(pthread_mutex_unlock(&mutex));
    }
}

static void with_rwlock(int side) {
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_rwlock_rdlock(&rwlock));
        int was = shared;
        sched_yield();
        WANT(shared, was);
        OK(pthread_rwlock_unlock(&rwlock));
        OK(pthread_rwlock_wrlock(&rwlock));
        if (i % 7 == side)
            pause_ms(1);
        shared++;
        OK(pthread_rwlock_unlock(&rwlock));
    }
}

static void with_spin(int side) {
    (void)side;
    for (int i = 0; i < TURNS; i++) {
        OK(pthread_spin_lock(&spin));
        shared++;
        OK(pthread_spin_unlock(&spin));
        sched_yield();
    }
}

static void with_barrier(int side) {
    (void)side;
    for (int i = 0; i < TURNS; i++) {
        add(&shared, 1);
        int r = pthread_barrier_wait(&barrier);
        CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD, "barrier: %d", r);
        WANT(get(&shared), 2 * (i + 1));
        r = pthread_barrier_wait(&barrier);
        CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD, "barrier: %d", r);
    }
}

static void with_sems(int side) {
    for (int i = 0; i < TURNS; i++) {
        DONE(sem_wait(&sems[side]));
        shared++;
        DONE(sem_post(&sems[1 - side]));
    }
}

static void count_once(void) {
    pause_ms(2);
    onces++;
}
static void with_once(int side) {
    (void)side;
    OK(pthread_once(&once, count_once));
    WANT(onces, 1);
    add(&shared, TURNS);
}

static void with_pipes(int side) {
    char c = 'x';
    if (side == 0)
        WANT(write(pipes[1][1], &c, 1), 1);
    for (int i = 0; i < TURNS; i++) {
        WANT(read(pipes[side][0], &c, 1), 1);
        shared++;
        if (i + 1 < TURNS || side == 1)
            WANT(write(pipes[1 - side][1], &c, 1), 1);
    }
}

static void with_eventfd(int side) {
    uint64_t one = 1, got;
    for (int i = 0; i < TURNS; i++)
        if (side)
            WANT(write(event, &one, 8), 8);
    for (uint64_t n = 0; side == 0 && n < TURNS; n += got)
        WANT(read(event, &got, 8), 8);
    add(&shared, TURNS);
}

static void *made(void *arg) {
    add((int *)arg, 1);
    return arg;
}
static void with_threads(int side) {
    (void)side;
    for (int i = 0; i < TURNS; i++)
        WANT((intptr_t)join(spawn(made, &shared)), (intptr_t)&shared);
}

static void with_keys(int side) {
    OK(pthread_setspecific(key, as_pointer(side + 1)));
    for (int i = 0; i < TURNS; i++) {
        WANT((intptr_t)pthread_getspecific(key), side + 1);
        sched_yield();
    }
    add(&shared, TURNS);
}

static void with_malloc(int side) {
    for (int i = 0; i < TURNS; i++) {
        char *p = malloc((size_t)(i + 1) * 100);
        memset(p, side, (size_t)(i + 1) * 100);
        sched_yield();
        free(p);
    }
    add(&shared, TURNS);
}

static void key_gone(void *value) {
    (void)value;
    add(&destroyed, 1);
}

static const struct primitive {
    const char *name;
    void (*use)(int side);
} primitives[] = {
    {"mutex", with_mutex},
    {"recursive mutex", with_recursive},
    {"timed mutex", with_timed_mutex},
    {"cond", with_cond},
    {"timed cond", with_timed_cond},
    {"rwlock", with_rwlock},
    {"spin lock", with_spin},
    {"barrier", with_barrier},
    {"semaphore", with_sems},
    {"once", with_once},
    {"pipe", with_pipes},
    {"eventfd", with_eventfd},
    {"threads", with_threads},
    {"keys", with_keys},
    {"malloc", with_malloc},
};
enum { PRIMITIVES = sizeof primitives / sizeof *primitives };

/* ---- the foreign threads ---- */

static const struct primitive *now;
static int foreign_done;

static void foreign(void) {
    now->use(1);
    set(&foreign_done, 1);
}

static void on_value(union sigval v) {
    WANT(v.sival_int, 77);
    foreign();
}

static struct sigevent by_thread(void) {
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 77};
    ev.sigev_notify_function = on_value;
    return ev;
}

static void by_timer(void) {
    static timer_t timer;
    static bool there;
    struct sigevent ev = by_thread();
    struct itimerspec soon = {.it_value.tv_nsec = 100000};
    if (there)
        DONE(timer_delete(timer));
    DONE(timer_create(CLOCK_MONOTONIC, &ev, &timer));
    there = true;
    DONE(timer_settime(timer, 0, &soon, NULL));
}

static void by_aio(void) {
    static struct aiocb cb;
    static char buf[16];
    static int fd = -1;
    if (fd < 0)
        fd = (int)DONE(open("/proc/self/exe", O_RDONLY));
    cb = (struct aiocb){
        .aio_fildes = fd, .aio_buf = buf, .aio_nbytes = sizeof buf, .aio_sigevent = by_thread()};
    DONE(aio_read(&cb));
}

static void by_getaddrinfo(void) {
    static struct gaicb cb, *list[1] = {&cb};
    struct sigevent ev = by_thread();
    static const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    cb = (struct gaicb){.ar_name = "127.0.0.1", .ar_request = &numeric};
    WANT(getaddrinfo_a(GAI_NOWAIT, list, 1, &ev), 0);
}

static void by_message(void) {
    static mqd_t q = -1;
    char name[64], msg[8];
    if (q < 0) {
        struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = sizeof msg};
        snprintf(name, sizeof name, "/foreign-%d", getpid());
        q = (mqd_t)DONE(mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr));
        mq_unlink(name);
    }
    mq_receive(q, msg, sizeof msg, NULL);
    struct sigevent ev = by_thread();
    DONE(mq_notify(q, &ev));
    DONE(mq_send(q, "x", 1, 0));
}

static int on_clone(void *arg) {
    (void)arg;
    foreign();
    return 0;
}

static void by_clone(void) {
    static char *stack;
    static pid_t last;
    if (!stack)
        stack = malloc(256 << 10);
    if (last)
        waitpid(last, NULL, __WALL);
    last = (pid_t)DONE(
        clone(on_clone, stack + (256 << 10), CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL));
}

static const struct maker {
    const char *name;
    void (*start)(void);
    bool plain; /* not a thread of libc's: on NPTL it has its maker's identity and may not use it */
} makers[] = {
    {"timer", by_timer, false},
    {"aio", by_aio, false},
    {"getaddrinfo_a", by_getaddrinfo, false},
    {"mq_notify", by_message, false},
    {"clone", by_clone, true},
};

static void reset(void) {
    shared = 0;
    onces = 0;
    once = (pthread_once_t)PTHREAD_ONCE_INIT;
    OK(pthread_barrier_destroy(&barrier));
    OK(pthread_barrier_init(&barrier, NULL, 2));
    sem_destroy(&sems[0]);
    sem_destroy(&sems[1]);
    DONE(sem_init(&sems[0], 0, 1));
    DONE(sem_init(&sems[1], 0, 0));
    set(&foreign_done, 0);
}

static void *ours(void *arg) {
    now->use(0);
    return arg;
}

int main(void) {
    check_start();
    pthread_mutexattr_t attr;
    OK(pthread_mutexattr_init(&attr));
    OK(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE));
    OK(pthread_mutex_init(&recursive, &attr));
    OK(pthread_barrier_init(&barrier, NULL, 2));
    OK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
    OK(pthread_key_create(&key, key_gone));
    DONE(pipe(pipes[0]));
    DONE(pipe(pipes[1]));
    event = (int)DONE(eventfd(0, 0));
    for (size_t m = 0; m < sizeof makers / sizeof *makers; m++)
        for (int i = 0; i < PRIMITIVES; i++) {
            if (makers[m].plain && !check_expects("lib"))
                continue;
            now = &primitives[i];
            reset();
            if (getenv("FOREIGN_TRACE"))
                printf("%s %s\n", makers[m].name, now->name), fflush(stdout);
            pthread_t t = spawn(ours, NULL);
            makers[m].start();
            join(t);
            wait_until(&foreign_done, 1);
            CHECK(get(&shared) == 2 * TURNS, "%s, %s: expected %d turns, came %d", makers[m].name,
                  now->name, 2 * TURNS, shared);
        }
    return 0;
}
