/* netpoll_stress.c - random streams, records and connections over pipes, FIFOs and sockets, by all
 * calls that wait for descriptors, with dup, dup2, descriptors that are passed on, close, fclose,
 * shutdown, close_range and closefrom in between: every byte and record arrives once and in order,
 * nobody waits for ever. Runs for NETPOLL_STRESS seconds (2). */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { STREAMS = 10, PIECE_MAX = 20000, HIGH = 700 };

static int over; /* no new sessions */
static int streams_done, records_done, served;

static unsigned char byte_at(uint64_t seed, size_t at) {
    return (unsigned char)(at * 7 + at / 251 + seed);
}

static uint64_t below(uint64_t *rng, uint64_t n) { return random_next(rng) % n; }

/* ---- making descriptors ---- */

enum kind { PIPE, SOCKETPAIR, TCP, UNIX_LISTEN, FIFO };

struct stream {
    enum kind kind;
    uint64_t seed;
    size_t total;
    int end[2]; /* read, write; -1: the threads make them, from the next two */
    int listener;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char path[64];
};

static void listen_on(struct stream *s, const struct sockaddr *addr, socklen_t len) {
    s->listener = (int)DONE(socket(addr->sa_family, SOCK_STREAM, 0));
    DONE(bind(s->listener, addr, len));
    DONE(listen(s->listener, 5));
    s->addr_len = sizeof s->addr;
    DONE(getsockname(s->listener, (struct sockaddr *)&s->addr, &s->addr_len));
}

static void stream_make(struct stream *s, uint64_t *rng, int number) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr un = {.sa_family = AF_UNIX};
    /* Few FIFOs: opening one waits in the kernel, which takes a kernel thread and 10 ms. */
    enum kind kind = below(rng, 20) ? (enum kind)below(rng, FIFO) : FIFO;
    *s = (struct stream){.kind = kind, .end = {-1, -1}, .listener = -1};
    s->seed = random_next(rng);
    s->total = below(rng, 4) ? below(rng, 20000) : below(rng, 400000);
    switch (s->kind) {
    case PIPE:
        DONE(pipe2(s->end, below(rng, 2) ? O_CLOEXEC : 0));
        break;
    case SOCKETPAIR:
        DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, s->end));
        break;
    case TCP:
        listen_on(s, (struct sockaddr *)&in, sizeof in);
        break;
    case UNIX_LISTEN:
        listen_on(s, &un, sizeof(sa_family_t));
        break;
    default:
        snprintf(s->path, sizeof s->path, "/tmp/netpoll_stress.%d.%d", (int)getpid(), number);
        unlink(s->path);
        DONE(mkfifo(s->path, 0600));
    }
}

static int end_of(struct stream *s, int which) {
    if (s->end[which] >= 0)
        return s->end[which];
    if (s->kind == FIFO)
        return (int)DONE(open(s->path, which ? O_WRONLY : O_RDONLY));
    if (which)
        return (int)DONE(accept4(s->listener, NULL, NULL, SOCK_CLOEXEC));
    int fd = (int)DONE(socket(s->addr.ss_family, SOCK_STREAM, 0));
    DONE(connect(fd, (struct sockaddr *)&s->addr, s->addr_len));
    return fd;
}

/* ---- the number changes, the description stays ---- */

/* Through a socket pair and back. */
static int passed_on(int fd) {
    int carrier[2], got;
    char c = 'x', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec v = {&c, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, carrier));
    *h = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    WANT(sendmsg(carrier[0], &m, 0), 1);
    DONE(close(fd));
    m.msg_controllen = sizeof control;
    WANT(recvmsg(carrier[1], &m, 0), 1);
    CHECK(CMSG_FIRSTHDR(&m), "expected the descriptor to come along");
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof got);
    DONE(close(carrier[0]));
    DONE(close(carrier[1]));
    return got;
}

static int renumber(int fd, uint64_t *rng) {
    int other;
    switch (below(rng, 60)) {
    case 0:
        other = (int)DONE(dup(fd));
        break;
    case 1:
        other = (int)DONE(fcntl(fd, F_DUPFD_CLOEXEC, 3 + (int)below(rng, 50)));
        break;
    case 2:
        other = (int)DONE(open("/dev/null", O_RDWR));
        DONE(dup2(fd, other));
        break;
    case 3:
        return passed_on(fd);
    case 4:
        closefrom(HIGH); /* nothing of ours is there, but what belongs to no program may be */
        return fd;
    case 5:
        DONE(close_range(HIGH + (unsigned)below(rng, 3000), ~0U, 0));
        return fd;
    default:
        return fd;
    }
    DONE(close(fd));
    return other;
}

static void end_it(int fd, bool writes, bool is_socket, uint64_t *rng) {
    switch (below(rng, 4)) {
    case 0:
        if (is_socket)
            DONE(shutdown(fd, writes ? SHUT_WR : SHUT_RD));
        break;
    case 1: {
        FILE *f = fdopen(fd, writes ? "w" : "r");
        CHECK(f, "expected fdopen to succeed");
        WANT(fclose(f), 0);
        return;
    }
    case 2:
        DONE(close_range((unsigned)fd, (unsigned)fd, 0));
        return;
    default:
        break;
    }
    DONE(close(fd));
}

/* ---- waiting ---- */

static void wait_for(int fd, short what, uint64_t *rng) {
    struct pollfd p = {fd, what, 0};
    fd_set set;
    int e;
    struct epoll_event ev = {.events = what == POLLIN ? EPOLLIN : EPOLLOUT};
    struct timespec long_enough = {30, 0};
    switch (below(rng, 4)) {
    case 0:
        WANT(poll(&p, 1, 30000), 1);
        break;
    case 1:
        WANT(ppoll(&p, 1, &long_enough, NULL), 1);
        break;
    case 2:
        FD_ZERO(&set);
        FD_SET(fd, &set);
        WANT(pselect(fd + 1, what == POLLIN ? &set : NULL, what == POLLOUT ? &set : NULL, NULL,
                     &long_enough, NULL),
             1);
        break;
    default:
        e = (int)DONE(epoll_create1(EPOLL_CLOEXEC));
        DONE(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev));
        WANT(epoll_wait(e, &ev, 1, 30000), 1);
        DONE(close(e));
    }
}

/* ---- streams ---- */

static void write_piece(int fd, bool is_socket, unsigned char *buf, size_t n, uint64_t *rng) {
    struct iovec v[2] = {{buf, n / 3}, {buf + n / 3, n - n / 3}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    if (below(rng, 4) == 0)
        wait_for(fd, POLLOUT, rng);
    switch (below(rng, is_socket ? 5 : 2)) {
    case 0:
        WANT(write(fd, buf, n), n);
        break;
    case 1:
        WANT(writev(fd, v, 2), n);
        break;
    case 2:
        WANT(send(fd, buf, n, 0), n);
        break;
    case 3:
        WANT(sendmsg(fd, &m, MSG_NOSIGNAL), n);
        break;
    default:
        for (size_t done = 0; done < n;) {
            ssize_t r = send(fd, buf + done, n - done, MSG_DONTWAIT);
            CHECK(r > 0 || errno == EAGAIN, "expected a part or EAGAIN, came errno %d", errno);
            if (r > 0)
                done += (size_t)r;
            else
                wait_for(fd, POLLOUT, rng);
        }
    }
}

static void *stream_writer(void *arg) {
    struct stream *s = arg;
    uint64_t rng = s->seed + 1;
    bool is_socket = s->kind == SOCKETPAIR || s->kind == TCP || s->kind == UNIX_LISTEN;
    unsigned char *buf = malloc(PIECE_MAX);
    int fd = end_of(s, 1);
    for (size_t at = 0; at < s->total;) {
        size_t n = 1 + below(&rng, below(&rng, 8) ? 200 : PIECE_MAX);
        n = n < s->total - at ? n : s->total - at;
        for (size_t i = 0; i < n; i++)
            buf[i] = byte_at(s->seed, at + i);
        write_piece(fd, is_socket, buf, n, &rng);
        at += n;
        fd = renumber(fd, &rng);
    }
    end_it(fd, true, is_socket, &rng);
    free(buf);
    return NULL;
}

static ssize_t read_piece(int fd, bool is_socket, unsigned char *buf, size_t n, uint64_t *rng) {
    struct iovec v[2] = {{buf, n / 2}, {buf + n / 2, n - n / 2}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    unsigned char c;
    if (below(rng, 4) == 0)
        wait_for(fd, POLLIN, rng);
    switch (below(rng, is_socket ? 6 : 2)) {
    case 0:
        return read(fd, buf, n);
    case 1:
        return readv(fd, v, 2);
    case 2:
        return recv(fd, buf, n, 0);
    case 3:
        return recv(fd, buf, n, MSG_WAITALL);
    case 4:
        return recvmsg(fd, &m, 0);
    default: {
        ssize_t seen = recv(fd, &c, 1, MSG_PEEK), r = recv(fd, buf, n, 0);
        CHECK((seen == 1 && r > 0 && c == buf[0]) || (seen == 0 && r == 0),
              "expected to read what MSG_PEEK has shown: %zd, then %zd", seen, r);
        return r;
    }
    }
}

static void *stream_reader(void *arg) {
    struct stream *s = arg;
    uint64_t rng = s->seed + 2;
    bool is_socket = s->kind == SOCKETPAIR || s->kind == TCP || s->kind == UNIX_LISTEN;
    unsigned char *buf = malloc(PIECE_MAX);
    int fd = end_of(s, 0);
    size_t at = 0;
    for (;;) {
        ssize_t r =
            read_piece(fd, is_socket, buf, 1 + below(&rng, below(&rng, 4) ? 300 : PIECE_MAX), &rng);
        CHECK(r >= 0, "expected to read at %zu of %zu of kind %d, came errno %d", at, s->total,
              (int)s->kind, errno);
        if (r == 0)
            break;
        for (ssize_t i = 0; i < r; i++)
            WANT(buf[i], byte_at(s->seed, at + (size_t)i));
        at += (size_t)r;
        fd = renumber(fd, &rng);
    }
    WANT(at, s->total);
    end_it(fd, false, is_socket, &rng);
    free(buf);
    return NULL;
}

static void *streams(void *arg) {
    uint64_t rng = check_seed + (uint64_t)(intptr_t)arg * 1000;
    while (!get(&over)) {
        struct stream s;
        stream_make(&s, &rng, (int)(intptr_t)arg);
        pthread_t w = spawn(stream_writer, &s), r = spawn(stream_reader, &s);
        join(w);
        join(r);
        if (s.listener >= 0)
            DONE(close(s.listener));
        if (s.path[0])
            DONE(unlink(s.path));
        add(&streams_done, 1);
    }
    return NULL;
}

/* ---- records: many writers and readers of one pipe or socket ---- */

enum { CROWD = 6, RECORDS = 200 };

struct crowd {
    int end[2], next, got[CROWD * RECORDS];
};

static void *record_writer(void *arg) {
    struct crowd *c = arg;
    for (int i = 0; i < RECORDS; i++) {
        int record[4] = {add(&c->next, 1) - 1, 1, 2, 3};
        WANT(write(c->end[1], record, sizeof record), sizeof record);
        if (i % 50 == 0)
            sched_yield();
    }
    return NULL;
}

static void *record_reader(void *arg) {
    struct crowd *c = arg;
    int record[4];
    for (ssize_t r; (r = DONE(read(c->end[0], record, sizeof record))) > 0;) {
        WANT(r, sizeof record);
        WANT(record[3], 3);
        WANT(add(&c->got[record[0]], 1), 1);
    }
    return NULL;
}

static void *crowds(void *arg) {
    for (int round = 0; !get(&over); round++) {
        struct crowd *c = calloc(1, sizeof *c);
        if ((round + (intptr_t)arg) % 2)
            DONE(pipe(c->end));
        else
            DONE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, c->end));
        pthread_t w[CROWD], r[CROWD];
        for (int i = 0; i < CROWD; i++) {
            r[i] = spawn(record_reader, c);
            w[i] = spawn(record_writer, c);
        }
        join_all(w, CROWD);
        DONE(close(c->end[1]));
        join_all(r, CROWD);
        for (int i = 0; i < CROWD * RECORDS; i++)
            WANT(c->got[i], 1);
        DONE(close(c->end[0]));
        free(c);
        add(&records_done, CROWD * RECORDS);
    }
    return NULL;
}

/* ---- connections: several accept on one socket ---- */

enum { ACCEPTORS = 3, CLIENTS = 4 };

static int listener;
static struct sockaddr_in server = {.sin_family = AF_INET};

static void *acceptor(void *arg) {
    for (;;) {
        int fd = accept(listener, NULL, NULL), id;
        if (fd < 0) {
            CHECK(errno == EINVAL, "expected accept to end by shutdown, came errno %d", errno);
            return arg;
        }
        while (DONE(recv(fd, &id, sizeof id, MSG_WAITALL)) == (long)sizeof id)
            WANT(send(fd, &id, sizeof id, MSG_NOSIGNAL), sizeof id);
        DONE(close(fd));
        add(&served, 1);
    }
}

static void *client(void *arg) {
    uint64_t rng = check_seed + 77 + (uint64_t)(intptr_t)arg;
    while (!get(&over)) {
        int fd = (int)DONE(socket(AF_INET, SOCK_STREAM, 0)), back;
        struct timeval limit = {20, 0};
        DONE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
        DONE(connect(fd, (struct sockaddr *)&server, sizeof server));
        for (int i = (int)below(&rng, 5); i >= 0; i--) {
            int id = (int)random_next(&rng);
            WANT(write(fd, &id, sizeof id), sizeof id);
            WANT(recv(fd, &back, sizeof back, MSG_WAITALL), sizeof back);
            WANT(back, id);
        }
        DONE(close(fd));
    }
    return NULL;
}

int main(void) {
    check_start();
    const char *seconds = getenv("NETPOLL_STRESS");
    int64_t until = now_ns(CLOCK_MONOTONIC) + (seconds ? atoi(seconds) : 2) * SECOND_NS;
    if (seconds)
        alarm((unsigned)atoi(seconds) + 60);
    socklen_t len = sizeof server;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = (int)DONE(socket(AF_INET, SOCK_STREAM, 0));
    DONE(bind(listener, (struct sockaddr *)&server, sizeof server));
    DONE(listen(listener, 8));
    DONE(getsockname(listener, (struct sockaddr *)&server, &len));
    pthread_t s[STREAMS], c[2], a[ACCEPTORS], k[CLIENTS];
    spawn_all(s, STREAMS, streams);
    spawn_all(c, 2, crowds);
    spawn_all(a, ACCEPTORS, acceptor);
    spawn_all(k, CLIENTS, client);
    while (now_ns(CLOCK_MONOTONIC) < until)
        pause_ms(20);
    set(&over, 1);
    join_all(s, STREAMS);
    join_all(c, 2);
    join_all(k, CLIENTS);
    DONE(shutdown(listener, SHUT_RD));
    join_all(a, ACCEPTORS);
    printf("%d streams, %d records, %d connections\n", streams_done, records_done, served);
    return 0;
}
