/* own_table.c - a thread with a descriptor table of its own (unshare(2) and close_range(2), by name
 * and by number): its descriptors are its own and those of the threads that it makes, whatever the
 * same numbers are to the process's others, who wait for theirs all the time; what both have open
 * works in both, and the table goes with its threads */
#include "own_table.h"

#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>

/* ---- the process's readers wait while the other thread uses the same numbers ---- */

static int ends[2], back[2], inside, step;

/* Waits by read, poll or epoll in turn; each time what was sent arrives. */
static void *reads_on(void *arg) {
    int fd = ends[0], epoll = (int)DONE(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event e = {.events = EPOLLIN};
    DONE(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
    for (char c = 'a'; c <= 'f'; c++) {
        struct pollfd p = {fd, POLLIN, 0};
        add(&inside, 1);
        if (c % 3 == 1)
            WANT(poll(&p, 1, -1), 1);
        else if (c % 3 == 2)
            WANT(epoll_wait(epoll, &e, 1, -1), 1);
        get_char(fd, c);
    }
    DONE(close(epoll));
    return arg;
}

static void waits_for_reader(int n) {
    wait_until(&inside, n);
    pause_ms(2);
}

/* A table in which the numbers of `ends` are first closed, then other things. */
static void *other_things(void *arg) {
    int fd[2], n = 0;
    get_own_table((int)(intptr_t)arg);
    int reader = ends[0], writer = (int)DONE(fcntl(ends[1], F_DUPFD, 200));
    waits_for_reader(1);
    DONE(close(ends[0]));
    DONE(close(ends[1]));
    FAILS(read(reader, fd, 1), EBADF);
    send_char(writer, 'a');
    waits_for_reader(2);
    ends_make(true, fd);
    WANT(dup2(fd[0], ends[0]), ends[0]);
    WANT(dup2(fd[1], ends[1]), ends[1]);
    send_char(ends[1], 'x'); /* mine */
    get_char(ends[0], 'x');
    DONE(shutdown(ends[1], SHUT_RDWR));
    WANT(read(ends[0], fd, 1), 0);
    send_char(writer, 'b');
    waits_for_reader(3);
    int null = (int)DONE(open("/dev/null", O_RDWR)),
        self = (int)DONE(open("/proc/self/exe", O_RDONLY));
    WANT(dup3(null, ends[1], O_CLOEXEC), ends[1]);
    WANT(dup3(self, ends[0], O_CLOEXEC), ends[0]);
    WANT(write(ends[1], "xyz", 3), 3);
    get_char(ends[0], '\177');
    send_char(writer, 'c');
    waits_for_reader(4);
    DONE(close_range(3, 150, 0));
    FAILS(fcntl(ends[0], F_GETFL), EBADF);
    ends_make(false, fd);
    CHECK(fd[0] == 3 && fd[1] == 4, "expected the lowest numbers, came %d and %d", fd[0], fd[1]);
    for (int i = 0; i < 30; i++) /* births at all numbers that the process has */
        n += close((int)DONE(dup(fd[i % 2]))) + close((int)DONE(eventfd(0, 0)));
    WANT(n, 0);
    send_char(writer, 'd');
    waits_for_reader(5);
    set(&step, 1); /* the process itself writes */
    return NULL;
}

static void numbers(int way, bool socket) {
    ends_make(socket, ends);
    set(&inside, 0);
    set(&step, 0);
    pthread_t reader = spawn(reads_on, NULL), other = spawn(other_things, as_pointer(way));
    wait_until(&step, 1);
    send_char(ends[1], 'e');
    join(other);
    waits_for_reader(6);
    send_char(ends[1], 'f');
    join(reader);
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

/* ---- both have it open ---- */

static void *answers(void *arg) {
    get_own_table((int)(intptr_t)arg);
    set(&step, 1);
    int in = ends[0], out = back[1];
    if ((intptr_t)arg % 2) { /* by numbers that the process does not know */
        in = (int)DONE(dup(in));
        out = (int)DONE(dup(out));
        DONE(close_range(ends[0], ends[0], 0));
        DONE(close(back[1]));
    }
    for (int i = 0; i < 200; i++) {
        struct pollfd p = {in, POLLIN, 0};
        if (i % 3 == 0)
            WANT(poll(&p, 1, -1), 1);
        get_char(in, (char)i);
        if (i % 5 == 0)
            pause_ms(1); /* they wait there */
        send_char(out, (char)(i + 1));
    }
    return NULL;
}

static int64_t quickest = SECOND_NS; /* from a first write there to the end of the wait here */

static void across(int way, bool socket) {
    ends_make(socket, ends);
    ends_make(socket, back);
    set(&step, 0);
    pthread_t other = spawn(answers, as_pointer(way));
    wait_until(&step, 1);
    for (int i = 0; i < 200; i++) {
        struct pollfd p = {back[0], POLLIN, 0};
        int64_t now = now_ns(CLOCK_MONOTONIC);
        send_char(ends[1], (char)i);
        if (i % 4 == 0)
            WANT(poll(&p, 1, -1), 1);
        get_char(back[0], (char)(i + 1));
        now = now_ns(CLOCK_MONOTONIC) - now;
        if (i == 0 && now < quickest)
            quickest = now;
    }
    join(other);
    DONE(close_range((unsigned)ends[0], (unsigned)ends[1], 0));
    DONE(close_range((unsigned)back[0], (unsigned)back[1], 0));
}

/* More than fits, in both directions: who waits for room is in the other table. */
static void *reads_much(void *arg) {
    static char buf[1 << 16];
    long left = 1 << 20;
    get_own_table((int)(intptr_t)arg);
    pause_ms(5);
    while (left) {
        long n = DONE(read(ends[0], buf, sizeof buf));
        left -= n;
    }
    WANT(write(back[1], buf, sizeof buf), sizeof buf);
    WANT(write(back[1], buf, sizeof buf), sizeof buf);
    return NULL;
}

static void much(int way, bool socket) {
    static char buf[1 << 20];
    ends_make(socket, ends);
    ends_make(socket, back);
    pthread_t other = spawn(reads_much, as_pointer(way));
    WANT(write(ends[1], buf, sizeof buf), sizeof buf);
    pause_ms(5);
    for (long left = 1 << 17; left;)
        left -= DONE(read(back[0], buf, sizeof buf));
    join(other);
    DONE(close_range((unsigned)ends[0], (unsigned)ends[1], 0));
    DONE(close_range((unsigned)back[0], (unsigned)back[1], 0));
}

/* What belongs to the open file is the same for both. */
static void *sets(void *arg) {
    struct timeval t = {0, 10000};
    int on = 1;
    get_own_table((int)(intptr_t)arg);
    pause_ms(3);
    send_char(ends[1], 'x');
    wait_until(&step, 2);
    DONE(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    set(&step, 3);
    wait_until(&step, 4);
    DONE(fcntl(ends[0], F_SETFL, 0));
    DONE(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    set(&step, 5);
    wait_until(&step, 6);
    t.tv_usec = 0;
    DONE(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    DONE(ioctl(ends[0], FIONBIO, &on));
    set(&step, 7);
    wait_until(&step, 8);
    DONE(shutdown(ends[1], SHUT_WR));
    return NULL;
}

static void settings(int way) {
    char c;
    ends_make(true, ends);
    set(&step, 0);
    pthread_t other = spawn(sets, as_pointer(way));
    get_char(ends[0], 'x'); /* has waited, so it is known here that it does */
    set(&step, 2);
    wait_until(&step, 3);
    FAILS(read(ends[0], &c, 1), EAGAIN);
    set(&step, 4);
    wait_until(&step, 5);
    FAILS(read(ends[0], &c, 1), EAGAIN); /* after 10 ms */
    set(&step, 6);
    wait_until(&step, 7);
    FAILS(read(ends[0], &c, 1), EAGAIN);
    DONE(fcntl(ends[0], F_SETFL, 0));
    set(&step, 8);
    WANT(read(ends[0], &c, 1), 0);
    join(other);
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

/* ---- threads that it makes ---- */

static void *child_of_it(void *arg) {
    int fd[2], *given = arg;
    get_char(given[0], 'p');
    send_char(given[1], 'q');
    ends_make(false, fd);
    given[2] = fd[0];
    send_char(fd[1], 'r');
    DONE(close(fd[1]));
    return NULL;
}

static void *has_children(void *arg) {
    int fd[2], more[2], given[3];
    get_own_table((int)(intptr_t)arg);
    ends_make(true, fd);
    for (int i = 0; i < 5; i++) {
        ends_make(i % 2, more);
        memcpy(given, (int[]){fd[0], more[1], 0}, sizeof given);
        pthread_t child = spawn(child_of_it, given);
        send_char(fd[1], 'p');
        get_char(more[0], 'q');
        join(child);
        get_char(given[2], 'r');
        DONE(close(given[2]));
        DONE(close(more[0]));
        DONE(close(more[1]));
    }
    set(&step, (int)DONE(fcntl(fd[0], F_DUPFD, 500))); /* where the process never has any */
    wait_until(&step, 1 << 20);
    return NULL;
}

static void children(int way) {
    set(&step, 0);
    pthread_t other = spawn(has_children, as_pointer(way));
    wait_until(&step, 1);
    FAILS(fcntl(get(&step), F_GETFL), EBADF); /* not here */
    set(&step, 1 << 20);
    join(other);
}

/* ---- all numbers ---- */

enum { LIMIT = 8192 };
static int port, spinning, fill_way;
static sem_t posted;

static void *passes_on(void *arg) {
    const int *fd = arg;
    get_char(fd[0], 'p');
    send_char(fd[1], 'q');
    return NULL;
}

/* A process made from such a table has what is in it, and threads. */
static void child_has_all(int limit) {
    int there[2], again[2];
    alarm(30);
    send_char(limit - 1, 'z');
    get_char(3, 'z');
    for (int fd = 3; fd < limit; fd++)
        DONE(fcntl(fd, F_GETFD));
    DONE(close_range(10, ~0U, 0));
    ends_make(false, there);
    ends_make(false, again);
    pthread_t t = spawn(passes_on, (int[]){there[0], again[1]});
    pause_ms(1);
    send_char(there[1], 'p');
    get_char(again[0], 'q');
    join(t);
    _exit(0);
}

/* Every number but 3 names the end of a pipe for writing. What the process has in these places, and
 * what is done for its threads meanwhile, does not show in it. */
static void *fills_up(void *arg) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd[2], n = 0, limit = (int)(intptr_t)arg;
    char c;
    get_own_table(fill_way);
    for (int i = 200; i < limit; i++)
        FAILS(fcntl(i, F_GETFD), EBADF);
    DONE(close_range(3, ~0U, fill_way % 2 ? 0 : CLOSE_RANGE_UNSHARE));
    DONE(pipe2(fd, O_NONBLOCK));
    WANT(fd[0], 3);
    int s = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    a.sin_port = (in_port_t)port;
    DONE(connect(s, (struct sockaddr *)&a, sizeof a));
    while (dup(fd[1]) >= 0)
        n++;
    WANT(errno, EMFILE);
    WANT(n, limit - 6);
    WANT(dup2(fd[1], s), s);
    for (int i = 0; i < 50; i++) {
        DONE(sem_post(&posted));
        pause_ms(i % 2);
    }
    FAILS(read(fd[0], &c, 1), EAGAIN);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid)
        child_has_all(limit);
    child_exits(pid, 0);
    FAILS(read(fd[0], &c, 1), EAGAIN);
    closefrom(3);
    FAILS(fcntl(3, F_GETFD), EBADF);
    WANT(open("/dev/null", O_RDONLY), 3);
    return NULL;
}

static void *spins(void *arg) {
    while (get(&spinning))
        ;
    return arg;
}

static void *takes_posts(void *arg) {
    for (int i = 0; i < 50; i++)
        DONE(sem_wait(&posted));
    return arg;
}

static void all_numbers(int way) {
    struct rlimit was, lim;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    pthread_t spinners[3];
    DONE(getrlimit(RLIMIT_NOFILE, &was));
    lim = was;
    if (lim.rlim_cur > LIMIT)
        lim.rlim_cur = LIMIT;
    DONE(setrlimit(RLIMIT_NOFILE, &lim));
    DONE(sem_init(&posted, 0, 0));
    fill_way = way;
    int s = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(s, (struct sockaddr *)&a, len));
    DONE(listen(s, 5));
    DONE(getsockname(s, (struct sockaddr *)&a, &len));
    port = a.sin_port;
    ends_make(false, ends);
    int another = (int)DONE(dup(ends[0]));
    set(&inside, 0);
    set(&spinning, 1);
    pthread_t reader = spawn(reads_on, NULL);
    waits_for_reader(1);
    pthread_t other = spawn(fills_up, as_pointer((intptr_t)lim.rlim_cur));
    pthread_t takes = spawn(takes_posts, NULL);
    int conn = (int)DONE(accept(s, NULL, NULL));
    spawn_all(spinners, 3, spins);
    join(takes);
    set(&spinning, 0);
    join_all(spinners, 3);
    join(other);
    for (char c = 'a'; c <= 'f'; c++) {
        send_char(ends[1], c);
        waits_for_reader(c - 'a' + 1);
    }
    join(reader);
    DONE(setrlimit(RLIMIT_NOFILE, &was));
    DONE(close(conn));
    DONE(close(another));
    DONE(close(s));
    DONE(close(ends[0]));
    DONE(close(ends[1]));
}

/* ---- its end ---- */

static void *holds(void *arg) {
    get_own_table((int)(intptr_t)arg);
    set(&step, 1);
    wait_until(&step, 2);
    return NULL;
}

static void goes_with_it(int way) {
    char c;
    ends_make(false, ends);
    set(&step, 0);
    pthread_t other = spawn(holds, as_pointer(way));
    wait_until(&step, 1);
    DONE(close(ends[1]));
    struct pollfd p = {ends[0], POLLIN, 0};
    WANT(poll(&p, 1, 5), 0); /* there it is still open */
    set(&step, 2);
    WANT(read(ends[0], &c, 1), 0);
    join(other);
    DONE(close(ends[0]));
}

static void *sees_the_end(void *arg) {
    char c;
    pause_ms(20); /* then the first thread has its own */
    DONE(close(ends[1]));
    set(&step, 2);
    WANT(read(ends[0], &c, 1), 0);
    _exit(0);
    return arg;
}

/* The same of a process's first thread. */
static void first_of_process(void) {
    ends_make(false, ends);
    set(&step, 0);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        alarm(30);
        get_own_table(0); /* of nobody but us: nothing changes */
        pthread_t t = spawn(sees_the_end, NULL);
        (void)t;
        get_own_table(1);
        wait_until(&step, 2);
        pthread_exit(NULL);
    }
    DONE(close(ends[0]));
    DONE(close(ends[1]));
    child_exits(pid, 0);
}

/* ---- all at once ---- */

enum { USERS = 3, ROUNDS = 60 };
static int stop_users;

struct user {
    int fd[2];
    char c;
};

static void *user_reads(void *arg) {
    const struct user *u = arg;
    struct pollfd p = {u->fd[0], POLLIN, 0};
    if (u->c % 3 == 0)
        WANT(poll(&p, 1, -1), 1);
    get_char(u->fd[0], u->c);
    return NULL;
}

/* Descriptors of all kinds come and go, at the lowest numbers of its table. */
static void *uses(void *arg) {
    uint64_t rng = check_seed + (uint64_t)(intptr_t)arg;
    if ((intptr_t)arg >= USERS)
        get_own_table((int)(intptr_t)arg);
    for (int i = 0; i < ROUNDS || !get(&stop_users); i++) {
        struct user u = {.c = (char)random_next(&rng)};
        ends_make(random_next(&rng) % 2, u.fd);
        int more = (int)DONE(random_next(&rng) % 2 ? open("/dev/zero", O_RDONLY) : eventfd(1, 0));
        if (random_next(&rng) % 4 == 0) {
            int d = (int)DONE(dup(u.fd[1]));
            DONE(close(u.fd[1]));
            u.fd[1] = d;
        }
        pthread_t reader = spawn(user_reads, &u);
        if (random_next(&rng) % 2)
            pause_ms(1);
        uint64_t n;
        WANT(read(more, &n, sizeof n), sizeof n);
        DONE(close(more));
        send_char(u.fd[1], u.c);
        join(reader);
        WANT(close(u.fd[0]) + close(u.fd[1]), 0);
        if (i >= ROUNDS * 5)
            break;
    }
    return NULL;
}

static void all_at_once(void) {
    pthread_t threads[2 * USERS];
    spawn_all(threads, 2 * USERS, uses);
    for (int i = USERS; i < 2 * USERS; i++)
        pause_ms(20);
    set(&stop_users, 1);
    join_all(threads, 2 * USERS);
}

int main(void) {
    check_start();
    closefrom(3); /* what was inherited */
    first_of_process();
    for (int way = 0; way < WAYS; way++)
        for (int socket = 0; socket < 2; socket++) {
            numbers(way, socket);
            across(way, socket);
            much(way, socket);
        }
    CHECK(quickest < 12 * MS_NS, "a byte from another table took %ld us at least",
          (long)(quickest / 1000));
    for (int way = 0; way < WAYS; way++) {
        settings(way);
        children(way);
        goes_with_it(way);
    }
    for (int way = 0; way < 2; way++)
        all_numbers(way);
    all_at_once();
    return 0;
}
