/* calls_refused.c - a bit of everything, where the kernel may refuse what the library needs for it
 *
 * By itself it checks that all of it works. tests/inject.sh has system calls of the library fail
 * at every n-th time (tests/small/failcall): then a thread that cannot be made is EAGAIN and is
 * done without, fork may say EAGAIN too, and all the rest must still be right: nothing lost, no
 * other error. CALLS_REFUSED=1 says that calls fail; else every thread must come.
 */
#include "util.h"

#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

enum { CROWD = 150, TRIES = 2 };

static bool refusing;
static int made, refused;

/* A thread, if there can be one: with nobody but us, the same things must work. */
static bool try_spawn_with(const pthread_attr_t *attr, pthread_t *thread, void *(*run)(void *),
                           void *arg) {
    for (int i = 0; i < TRIES; i++) {
        int error = pthread_create(thread, attr, run, arg);
        if (!error) {
            made++;
            return true;
        }
        CHECK(refusing && error == EAGAIN,
              "pthread_create: expected success, or EAGAIN when calls fail; came %s",
              check_name_of(error));
        pause_ms(1);
    }
    refused++;
    return false;
}

static bool try_spawn(pthread_t *thread, void *(*run)(void *), void *arg) {
    return try_spawn_with(NULL, thread, run, arg);
}

/* ---- many threads, of several shapes ---- */

static sem_t go;
static int ran;

static void *wait_and_count(void *arg) {
    char page[5000];
    memset(page, (int)(intptr_t)arg, sizeof page);
    WANT(sem_wait(&go), 0);
    CHECK(page[4999] == (char)(intptr_t)arg, "expected the stack to be kept");
    add(&ran, 1);
    return arg;
}

static void crowd(size_t stack, int n) {
    pthread_t threads[CROWD];
    bool there[CROWD];
    pthread_attr_t attr;
    int want = 0;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstacksize(&attr, stack));
    OK(sem_init(&go, 0, 0));
    set(&ran, 0);
    for (int i = 0; i < n; i++)
        want += there[i] = try_spawn_with(&attr, &threads[i], wait_and_count, as_pointer(i));
    for (int i = 0; i < want; i++)
        WANT(sem_post(&go), 0);
    for (int i = 0; i < n; i++)
        if (there[i])
            WANT(join(threads[i]), i);
    WANT(get(&ran), want);
    OK(sem_destroy(&go));
    OK(pthread_attr_destroy(&attr));
}

static void own_stack(void) {
    static char stack[128 << 10] __attribute__((aligned(4096)));
    pthread_attr_t attr;
    pthread_t thread;
    OK(pthread_attr_init(&attr));
    OK(pthread_attr_setstack(&attr, stack, sizeof stack));
    OK(sem_init(&go, 0, 1));
    if (try_spawn_with(&attr, &thread, wait_and_count, as_pointer(3)))
        WANT(join(thread), 3);
    OK(sem_destroy(&go));
    OK(pthread_attr_destroy(&attr));
}

static void *set_it(void *word) {
    set(word, 1);
    return NULL;
}

static void detached(void) {
    static int done[10];
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        done[i] = 0;
        if (try_spawn(&thread, set_it, &done[i])) {
            OK(pthread_detach(thread));
            wait_until(&done[i], 1);
        }
    }
}

/* ---- descriptors: each wait ends when, and only when, there is something ---- */

static int served[2]; /* what the other thread reads from, and its peer */

static void *late_write(void *fd) {
    uint64_t one = 1;
    pause_ms(2);
    WANT(write((int)(intptr_t)fd, &one, sizeof one), sizeof one);
    return NULL;
}

/* wait(fd) must come back when another thread has written, having read 8 bytes. */
static void waits(int fd, int to, void (*wait)(int fd)) {
    pthread_t writer;
    if (try_spawn(&writer, late_write, as_pointer(to))) {
        wait(fd);
        join(writer);
    } else {
        late_write(as_pointer(to));
        wait(fd);
    }
}

static void by_read(int fd) {
    uint64_t value = 0;
    WANT(read(fd, &value, sizeof value), sizeof value);
    WANT(value, 1);
}

static void by_poll(int fd) {
    struct pollfd p = {fd, POLLIN, 0};
    WANT(poll(&p, 1, 10000), 1);
    by_read(fd);
}

static void by_select(int fd) {
    fd_set set;
    struct timeval limit = {10, 0};
    FD_ZERO(&set);
    FD_SET(fd, &set);
    WANT(select(fd + 1, &set, NULL, NULL, &limit), 1);
    by_read(fd);
}

static void by_epoll(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd}, got = {0};
    int ep = (int)DONE(epoll_create1(0));
    DONE(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    WANT(epoll_wait(ep, &got, 1, 10000), 1);
    WANT(got.data.fd, fd);
    DONE(close(ep));
    by_read(fd);
}

static void (*const ways[])(int) = {by_read, by_poll, by_select, by_epoll};

static void tcp_pair(int ends[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listener, (struct sockaddr *)&at, size));
    DONE(listen(listener, 5));
    DONE(getsockname(listener, (struct sockaddr *)&at, &size));
    ends[0] = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(connect(ends[0], (struct sockaddr *)&at, size));
    ends[1] = (int)DONE(accept(listener, NULL, NULL));
    DONE(close(listener));
}

static void descriptors(void) {
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int fd = (int)DONE(eventfd(0, 0));
        waits(fd, fd, ways[i]);
        DONE(close(fd));
        DONE(pipe(served));
        waits(served[0], served[1], ways[i]);
        DONE(close(served[0]));
        DONE(close(served[1]));
        tcp_pair(served);
        waits(served[1], served[0], ways[i]);
        DONE(close(served[0]));
        DONE(close(served[1]));
    }
    struct itimerspec soon = {.it_value = {0, 3 * MS_NS}};
    int timer = (int)DONE(timerfd_create(CLOCK_MONOTONIC, 0));
    DONE(timerfd_settime(timer, 0, &soon, NULL));
    by_read(timer);
    struct pollfd p = {timer, POLLIN, 0};
    WANT(poll(&p, 1, 3), 0); /* and nothing more comes */
    DONE(close(timer));
}

/* A writer that finds the pipe full and a reader that takes its time. */
enum { MUCH = 300000 };

static void *read_much(void *arg) {
    static char part[7000];
    long got = 0, n;
    while (got < MUCH && (n = DONE(read(served[0], part, sizeof part))) > 0) {
        for (long i = 0; i < n; i++)
            CHECK(part[i] == (char)((got + i) % 251), "expected the bytes in their order");
        got += n;
    }
    WANT(got, MUCH);
    return arg;
}

static void full_pipe(void) {
    static char all[MUCH];
    pthread_t reader;
    for (long i = 0; i < MUCH; i++)
        all[i] = (char)(i % 251);
    DONE(pipe(served));
    if (try_spawn(&reader, read_much, NULL)) {
        WANT(write(served[1], all, MUCH), MUCH);
        join(reader);
    }
    DONE(close(served[0]));
    DONE(close(served[1]));
}

/* ---- times ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int stage;

static void *take_turns(void *arg) {
    int mine = (int)(intptr_t)arg;
    OK(pthread_mutex_lock(&lock));
    for (int i = 0; i < 20; i++) {
        while (stage % 2 != mine)
            OK(pthread_cond_wait(&changed, &lock));
        stage++;
        OK(pthread_cond_signal(&changed));
    }
    OK(pthread_mutex_unlock(&lock));
    return NULL;
}

static void times(void) {
    pthread_t other;
    struct timespec until = time_in(CLOCK_REALTIME, 3);
    OK(pthread_mutex_lock(&lock));
    stage = 0;
    ERR(pthread_cond_timedwait(&changed, &lock, &until), ETIMEDOUT);
    OK(pthread_mutex_unlock(&lock));
    NOT_EARLY(CLOCK_REALTIME, until);
    if (try_spawn(&other, take_turns, as_pointer(1))) {
        take_turns(as_pointer(0));
        join(other);
        WANT(stage, 40);
    }
}

/* ---- calls that hold a kernel thread, and threads that have one ---- */

static void *wait_for_child(void *arg) {
    int status;
    pid_t pid = (pid_t)(intptr_t)arg;
    WANT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5, "expected status 5, came %x", status);
    return NULL;
}

static void kernel_waits(void) {
    pthread_t waiters[5];
    bool there[5];
    pid_t pids[5];
    for (int i = 0; i < 5; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0 || (refusing && errno == EAGAIN), "fork: expected a child, came %s",
              check_name_of(errno));
        if (pids[i] == 0) {
            pause_ms(5);
            _exit(5);
        }
        there[i] = pids[i] > 0 && try_spawn(&waiters[i], wait_for_child, as_pointer(pids[i]));
    }
    for (int i = 0; i < 5; i++)
        if (there[i])
            join(waiters[i]);
        else if (pids[i] > 0)
            wait_for_child(as_pointer(pids[i]));
}

static void *on_one_cpu(void *arg) {
    cpu_set_t all, one;
    OK(pthread_getaffinity_np(pthread_self(), sizeof all, &all));
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    int error = pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    CHECK(error == 0 || (refusing && error == EAGAIN), "pthread_setaffinity_np: came %s",
          check_name_of(error));
    if (!error)
        WANT(sched_getcpu(), cpu);
    pthread_t child; /* inherits it, and so needs a kernel thread at once */
    int done = 0;
    if (try_spawn(&child, set_it, &done)) {
        join(child);
        WANT(done, 1);
    }
    return arg;
}

static void wired(void) {
    pthread_t thread;
    if (try_spawn(&thread, on_one_cpu, as_pointer(9)))
        WANT(join(thread), 9);
}

/* A child of fork begins anew, with threads of its own. */
static void in_child(void) {
    pid_t pid = fork();
    CHECK(pid >= 0 || (refusing && errno == EAGAIN), "fork: came %s", check_name_of(errno));
    if (pid == 0) {
        crowd(64 << 10, 5);
        times();
        _exit(7);
    }
    if (pid > 0)
        child_exits(pid, 7);
}

/* ---- cancellation and signals ---- */

static void *sleep_long(void *arg) {
    pause_ms(100000);
    return arg;
}

static void cancelled(void) {
    pthread_t thread;
    if (try_spawn(&thread, sleep_long, NULL)) {
        OK(pthread_cancel(thread));
        CHECK(join(thread) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
    }
}

static int handled;
static void handler(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void *read_until_signal(void *fd) {
    uint64_t value;
    FAILS(read((int)(intptr_t)fd, &value, sizeof value), EINTR);
    set(&stage, -1);
    return NULL;
}

static void signalled(void) {
    pthread_t thread;
    struct sigaction sa = {.sa_handler = handler};
    int fd = (int)DONE(eventfd(0, 0));
    DONE(sigaction(SIGUSR1, &sa, NULL));
    set(&stage, 0);
    set(&handled, 0);
    if (try_spawn(&thread, read_until_signal, as_pointer(fd))) {
        while (get(&stage) == 0) {
            OK(pthread_kill(thread, SIGUSR1));
            pause_ms(1);
        }
        join(thread);
        CHECK(get(&handled) > 0, "expected the handler to have run");
    }
    DONE(close(fd));
}

int main(void) {
    check_start();
    refusing = getenv("CALLS_REFUSED");
    CHECK(dlopen("libgcc_s.so.1", RTLD_NOW), "%s", dlerror()); /* libc aborts where it cannot */
    personality(0xffffffff);                                   /* for failcall: we begin */
    static void (*const parts[])(void) = {detached, descriptors, full_pipe, times,     kernel_waits,
                                          wired,    own_stack,   cancelled, signalled, in_child};
    crowd(64 << 10, 20);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        parts[i]();
    crowd(64 << 10, CROWD);
    crowd(8 << 20, CROWD / 3);
    crowd(300 << 20, 2); /* of no class: a mapping each */
    if (refused)
        printf("%d threads made, %d refused\n", made, refused);
    return 0;
}
