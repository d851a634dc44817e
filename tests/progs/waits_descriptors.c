/* waits_descriptors.c - the calls that wait for pipes, sockets and several descriptors, by name and
 * by number: see waits.h needs: time */
#include "waits.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

/* Fortified callers' entries; the headers have them only as inline functions. */
ssize_t __read_chk(int fd, void *b, size_t n, size_t size);
ssize_t __recv_chk(int fd, void *b, size_t n, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *b, size_t n, size_t size, int flags, struct sockaddr *from,
                       socklen_t *len);

static int fd[2], more[2], ep = -1, conn = -1;
static FILE *stream;
static char c, big[1 << 16];

/* ---- what is waited for ---- */

static void shut(int *f) {
    if (*f >= 0)
        close(*f);
    *f = -1;
}

static void clear_all(void) {
    if (stream)
        fclose(stream);
    else
        shut(&fd[0]);
    stream = NULL;
    fd[0] = -1;
    shut(&fd[1]);
    shut(&more[0]);
    shut(&more[1]);
    shut(&ep);
    shut(&conn);
}

/* Until no more goes into f; what it waits for is then that somebody takes it out. */
static void fill(int f) {
    int flags = (int)DONE(fcntl(f, F_GETFL));
    DONE(fcntl(f, F_SETFL, flags | O_NONBLOCK));
    while (write(f, big, sizeof big) > 0 || write(f, big, 1) > 0)
        continue;
    WANT(errno, EAGAIN);
    DONE(fcntl(f, F_SETFL, flags));
}

static void drain(int f) {
    int flags = (int)DONE(fcntl(f, F_GETFL));
    DONE(fcntl(f, F_SETFL, flags | O_NONBLOCK));
    while (read(f, big, sizeof big) > 0)
        continue;
    DONE(fcntl(f, F_SETFL, flags));
}

DO(make_pipe, DONE(pipe(fd)))
DO(make_full_pipe, make_pipe(); fill(fd[1]))
DO(make_stream, DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, fd)))
DO(make_full_stream, make_stream(); fill(fd[1]))
DO(make_dgram, DONE(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd)))
DO(make_event, fd[0] = (int)DONE(eventfd(0, 0)))
DO(make_full_event, make_event(); DONE(eventfd_write(fd[0], ULLONG_MAX - 1)))
DO(make_two_pipes, DONE(pipe(fd)); DONE(pipe(more)))

static void make_stdio(void) {
    make_pipe();
    stream = fdopen(fd[0], "r");
    CHECK(stream, "fdopen: errno %d", errno);
}

static void make_file_to_full(void) {
    make_full_stream();
    more[0] = (int)DONE(open("/proc/self/exe", O_RDONLY));
}

/* fd[1] is the terminal, fd[0] who has it on his screen; as it is, without a line's rules. */
static void make_terminal(void) {
    struct termios raw;
    DONE(openpty(&fd[0], &fd[1], NULL, NULL, NULL));
    DONE(tcgetattr(fd[1], &raw));
    cfmakeraw(&raw);
    DONE(tcsetattr(fd[1], TCSANOW, &raw));
}
/* The kernel moves it on to where the other end reads by and by: full is what has stayed full. */
static void make_full_terminal(void) {
    make_terminal();
    for (int i = 0; i < 20; i++) {
        fill(fd[1]);
        pause_ms(1);
    }
}

static struct sockaddr_un name;

static void make_listener(void) {
    fd[0] = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    name = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "gthread-waits-%d", (int)getpid());
    DONE(bind(fd[0], (struct sockaddr *)&name, sizeof name));
    DONE(listen(fd[0], 0));
}

static int dial(int f) { return connect(f, (struct sockaddr *)&name, sizeof name); }

/* The one place in the queue is taken. */
static void make_full_listener(void) {
    make_listener();
    conn = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    DONE(dial(conn));
    fd[1] = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
}

static void make_epoll(void) {
    make_pipe();
    struct epoll_event ev = {.events = EPOLLIN};
    ep = (int)DONE(epoll_create1(0));
    DONE(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &ev));
}

DO(give, WANT(write(fd[1], "x\n", 1), 1))
DO(give_line, WANT(write(fd[1], "x\n", 2), 2))
DO(give_event, DONE(eventfd_write(fd[0], 1)))
DO(type, WANT(write(fd[0], "x", 1), 1))
DO(take, drain(fd[0]))
DO(take_event, eventfd_t v; DONE(eventfd_read(fd[0], &v)))
DO(take_connection, shut(&conn); more[0] = (int)DONE(accept(fd[0], NULL, NULL)))
DO(connect_to, conn = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0)); DONE(dial(conn)))
DO(close_writer, shut(&fd[1]))
DO(close_reader, shut(&fd[0]))
DO(shut_reading, DONE(shutdown(fd[0], SHUT_RD)))
DO(shut_writing, DONE(shutdown(fd[1], SHUT_WR)))

/* ---- the calls ---- */

static struct timespec soon = {0, TIMED_MS *MS_NS};

static void limit(int f, int option) {
    struct timeval t = {0, TIMED_MS * 1000};
    DONE(setsockopt(f, SOL_SOCKET, option, &t, sizeof t));
}

#define IOV (&(struct iovec){&c, 1})
#define MSG (&(struct msghdr){.msg_iov = IOV, .msg_iovlen = 1})
#define MMSG (&(struct mmsghdr){*MSG, 0})

CALL(c_read, read(fd[0], &c, 1))
CALL(c_read_chk, __read_chk(fd[0], &c, 1, sizeof c))
CALL(c_readv, readv(fd[0], IOV, 1))
CALL(c_preadv2, preadv2(fd[0], IOV, 1, -1, 0))
CALL(c_write, write(fd[1], &c, 1))
CALL(c_writev, writev(fd[1], IOV, 1))
CALL(c_pwritev2, pwritev2(fd[1], IOV, 1, -1, 0))
CALL(c_read_terminal, read(fd[1], &c, 1))
CALL(n_read, syscall(SYS_read, fd[0], &c, 1))
CALL(n_readv, syscall(SYS_readv, fd[0], IOV, 1))
CALL(n_preadv2, syscall(SYS_preadv2, fd[0], IOV, 1, -1L, 0L, 0))
CALL(n_write, syscall(SYS_write, fd[1], &c, 1))
CALL(n_writev, syscall(SYS_writev, fd[1], IOV, 1))
CALL(n_pwritev2, syscall(SYS_pwritev2, fd[1], IOV, 1, -1L, 0L, 0))

CALL(c_recv, recv(fd[0], &c, 1, 0))
CALL(c_recvfrom, recvfrom(fd[0], &c, 1, 0, NULL, NULL))
CALL(c_recv_chk, __recv_chk(fd[0], &c, 1, sizeof c, 0))
CALL(c_recvfrom_chk, __recvfrom_chk(fd[0], &c, 1, sizeof c, 0, NULL, NULL))
CALL(c_recvmsg, recvmsg(fd[0], MSG, 0))
CALL(c_recvmmsg, recvmmsg(fd[0], MMSG, 1, 0, NULL))
CALL(c_send, send(fd[1], &c, 1, 0))
CALL(c_sendto, sendto(fd[1], &c, 1, 0, NULL, 0))
CALL(c_sendmsg, sendmsg(fd[1], MSG, 0))
CALL(c_sendmmsg, sendmmsg(fd[1], MMSG, 1, 0))
CALL(t_recv, (limit(fd[0], SO_RCVTIMEO), recv(fd[0], &c, 1, 0)))
CALL(t_recvfrom, (limit(fd[0], SO_RCVTIMEO), recvfrom(fd[0], &c, 1, 0, NULL, NULL)))
CALL(t_recvmsg, (limit(fd[0], SO_RCVTIMEO), recvmsg(fd[0], MSG, 0)))
CALL(t_recvmmsg, (limit(fd[0], SO_RCVTIMEO), recvmmsg(fd[0], MMSG, 1, 0, NULL)))
CALL(t_read, (limit(fd[0], SO_RCVTIMEO), read(fd[0], &c, 1)))
CALL(t_send, (limit(fd[1], SO_SNDTIMEO), send(fd[1], &c, 1, 0)))
CALL(t_sendto, (limit(fd[1], SO_SNDTIMEO), sendto(fd[1], &c, 1, 0, NULL, 0)))
CALL(t_sendmsg, (limit(fd[1], SO_SNDTIMEO), sendmsg(fd[1], MSG, 0)))
CALL(t_sendmmsg, (limit(fd[1], SO_SNDTIMEO), sendmmsg(fd[1], MMSG, 1, 0)))
CALL(t_write, (limit(fd[1], SO_SNDTIMEO), write(fd[1], &c, 1)))
CALL(n_recvfrom, syscall(SYS_recvfrom, fd[0], &c, 1, 0, NULL, NULL))
CALL(n_recvmsg, syscall(SYS_recvmsg, fd[0], MSG, 0))
CALL(n_recvmmsg, syscall(SYS_recvmmsg, fd[0], MMSG, 1, 0, NULL))
CALL(n_sendto, syscall(SYS_sendto, fd[1], &c, 1, 0, NULL, 0))
CALL(n_sendmsg, syscall(SYS_sendmsg, fd[1], MSG, 0))
CALL(n_sendmmsg, syscall(SYS_sendmmsg, fd[1], MMSG, 1, 0))

/* 0: accepted; the descriptor goes with the rest. */
static long accepted(long f) { return f < 0 ? f : (more[1] = (int)f, 0); }
CALL(c_accept, accepted(accept(fd[0], NULL, NULL)))
CALL(c_accept4, accepted(accept4(fd[0], NULL, NULL, 0)))
CALL(n_accept, accepted(syscall(SYS_accept, fd[0], NULL, NULL)))
CALL(n_accept4, accepted(syscall(SYS_accept4, fd[0], NULL, NULL, 0)))
CALL(t_accept, (limit(fd[0], SO_RCVTIMEO), accepted(accept(fd[0], NULL, NULL))))
CALL(c_connect, dial(fd[1]))
CALL(n_connect, syscall(SYS_connect, fd[1], &name, sizeof name))
CALL(t_connect, (limit(fd[1], SO_SNDTIMEO), dial(fd[1])))

CALL(c_splice, splice(fd[0], NULL, more[1], NULL, 1, 0))
CALL(c_tee, tee(fd[0], more[1], 1, 0))
CALL(c_vmsplice, vmsplice(fd[1], IOV, 1, 0))
CALL(c_sendfile, sendfile(fd[1], more[0], NULL, 1))
CALL(n_splice, syscall(SYS_splice, fd[0], NULL, more[1], NULL, 1, 0))
CALL(n_tee, syscall(SYS_tee, fd[0], more[1], 1, 0))
CALL(n_vmsplice, syscall(SYS_vmsplice, fd[1], IOV, 1, 0))
CALL(n_sendfile, syscall(SYS_sendfile, fd[1], more[0], NULL, 1))

static eventfd_t value;
CALL(c_eventfd_read, eventfd_read(fd[0], &value))
CALL(c_eventfd_write, eventfd_write(fd[0], 1))

#define POLLFD (&(struct pollfd){fd[0], POLLIN, 0})
#define EVENT (&(struct epoll_event){0, {0}})
static fd_set *one_set(void) {
    static fd_set s;
    FD_ZERO(&s);
    FD_SET(fd[0], &s);
    return &s;
}
#define TIME_COPY (&(struct timespec){0, TIMED_MS * MS_NS})

CALL(c_poll, poll(POLLFD, 1, -1))
CALL(t_poll, poll(POLLFD, 1, TIMED_MS))
CALL(c_ppoll, ppoll(POLLFD, 1, NULL, NULL))
CALL(t_ppoll, ppoll(POLLFD, 1, &soon, NULL))
CALL(c_select, select(fd[0] + 1, one_set(), NULL, NULL, NULL))
CALL(t_select, select(fd[0] + 1, one_set(), NULL, NULL, &(struct timeval){0, TIMED_MS * 1000}))
CALL(c_pselect, pselect(fd[0] + 1, one_set(), NULL, NULL, NULL, NULL))
CALL(t_pselect, pselect(fd[0] + 1, one_set(), NULL, NULL, &soon, NULL))
CALL(c_epoll, epoll_wait(ep, EVENT, 1, -1))
CALL(t_epoll, epoll_wait(ep, EVENT, 1, TIMED_MS))
CALL(c_epoll_p, epoll_pwait(ep, EVENT, 1, -1, NULL))
CALL(t_epoll_p, epoll_pwait(ep, EVENT, 1, TIMED_MS, NULL))
CALL(c_epoll_p2, epoll_pwait2(ep, EVENT, 1, NULL, NULL))
CALL(t_epoll_p2, epoll_pwait2(ep, EVENT, 1, &soon, NULL))
CALL(n_poll, syscall(SYS_poll, POLLFD, 1, -1))
CALL(nt_poll, syscall(SYS_poll, POLLFD, 1, TIMED_MS))
CALL(n_ppoll, syscall(SYS_ppoll, POLLFD, 1, NULL, NULL, 8))
CALL(nt_ppoll, syscall(SYS_ppoll, POLLFD, 1, TIME_COPY, NULL, 8))
CALL(n_select, syscall(SYS_select, fd[0] + 1, one_set(), NULL, NULL, NULL))
CALL(n_pselect6, syscall(SYS_pselect6, fd[0] + 1, one_set(), NULL, NULL, NULL, NULL))
CALL(nt_pselect6, syscall(SYS_pselect6, fd[0] + 1, one_set(), NULL, NULL, TIME_COPY, NULL))
CALL(n_epoll, syscall(SYS_epoll_wait, ep, EVENT, 1, -1))
CALL(n_epoll_p, syscall(SYS_epoll_pwait, ep, EVENT, 1, -1, NULL, 8))
CALL(n_epoll_p2, syscall(SYS_epoll_pwait2, ep, EVENT, 1, NULL, NULL, 8))
CALL(nt_epoll_p2, syscall(SYS_epoll_pwait2, ep, EVENT, 1, TIME_COPY, NULL, 8))

/* Inside libc, unseen: sysmon has to find these. */
static char line[16];
CALL(c_fgets, fgets(line, sizeof line, stream) ? 2 : -1)
CALL(c_getc, getc(stream))
CALL(c_fread, fread(line, 1, 2, stream) == 2 ? 2 : -1)

static const struct row rows[] = {
    {"read of a pipe", make_pipe, clear_all, c_read, give, 1, RESTARTS, true, NULL, 0, close_writer,
     0},
    {"__read_chk", make_pipe, clear_all, c_read_chk, give, 1, RESTARTS, true, NULL, 0, close_writer,
     0},
    {"readv", make_pipe, clear_all, c_readv, give, 1, RESTARTS, true, NULL, 0, close_writer, 0},
    {"preadv2 at -1", make_pipe, clear_all, c_preadv2, give, 1, RESTARTS, true, NULL, 0,
     close_writer, 0},
    {"write to a full pipe", make_full_pipe, clear_all, c_write, take, 1, RESTARTS, true, NULL, 0,
     close_reader, -EPIPE},
    {"writev", make_full_pipe, clear_all, c_writev, take, 1, RESTARTS, true, NULL, 0, close_reader,
     -EPIPE},
    {"pwritev2 at -1", make_full_pipe, clear_all, c_pwritev2, take, 1, RESTARTS, true, NULL, 0,
     close_reader, -EPIPE},
    {"SYS_read", make_pipe, clear_all, n_read, give, 1, RESTARTS, false, NULL, 0, close_writer, 0},
    {"SYS_readv", make_pipe, clear_all, n_readv, give, 1, RESTARTS, false, NULL, 0, close_writer,
     0},
    {"SYS_preadv2", make_pipe, clear_all, n_preadv2, give, 1, RESTARTS, false, NULL, 0,
     close_writer, 0},
    {"SYS_write", make_full_pipe, clear_all, n_write, take, 1, RESTARTS, false, NULL, 0,
     close_reader, -EPIPE},
    {"SYS_writev", make_full_pipe, clear_all, n_writev, take, 1, RESTARTS, false, NULL, 0,
     close_reader, -EPIPE},
    {"SYS_pwritev2", make_full_pipe, clear_all, n_pwritev2, take, 1, RESTARTS, false, NULL, 0,
     close_reader, -EPIPE},
    {"read of a terminal", make_terminal, clear_all, c_read_terminal, type, 1, RESTARTS, true, NULL,
     0, close_reader, -EIO},
    {"write to a terminal that is stopped", make_full_terminal, clear_all, c_write, take, 1,
     RESTARTS, true, NULL, 0, close_reader, -EIO},
    {"eventfd_read", make_event, clear_all, c_eventfd_read, give_event, 0, RESTARTS, true, NULL, 0,
     NULL, 0},
    {"eventfd_write", make_full_event, clear_all, c_eventfd_write, take_event, 0, RESTARTS, true,
     NULL, 0, NULL, 0},

    {"recv", make_stream, clear_all, c_recv, give, 1, RESTARTS, true, t_recv, -EAGAIN, shut_reading,
     0},
    {"recvfrom", make_stream, clear_all, c_recvfrom, give, 1, RESTARTS, true, t_recvfrom, -EAGAIN,
     shut_reading, 0},
    {"__recv_chk", make_stream, clear_all, c_recv_chk, give, 1, RESTARTS, true, NULL, 0,
     shut_reading, 0},
    {"__recvfrom_chk", make_stream, clear_all, c_recvfrom_chk, give, 1, RESTARTS, true, NULL, 0,
     shut_reading, 0},
    {"recvmsg", make_stream, clear_all, c_recvmsg, give, 1, RESTARTS, true, t_recvmsg, -EAGAIN,
     shut_reading, 0},
    {"recvmmsg", make_dgram, clear_all, c_recvmmsg, give, 1, RESTARTS, true, t_recvmmsg, -EAGAIN,
     NULL, 0},
    {"read of a socket", make_stream, clear_all, c_read, give, 1, RESTARTS, true, t_read, -EAGAIN,
     shut_reading, 0},
    {"send", make_full_stream, clear_all, c_send, take, 1, RESTARTS, true, t_send, -EAGAIN,
     shut_writing, -EPIPE},
    {"sendto", make_full_stream, clear_all, c_sendto, take, 1, RESTARTS, true, t_sendto, -EAGAIN,
     shut_writing, -EPIPE},
    {"sendmsg", make_full_stream, clear_all, c_sendmsg, take, 1, RESTARTS, true, t_sendmsg, -EAGAIN,
     shut_writing, -EPIPE},
    {"sendmmsg", make_full_stream, clear_all, c_sendmmsg, take, 1, RESTARTS, true, t_sendmmsg,
     -EAGAIN, shut_writing, -EPIPE},
    {"write to a full socket", make_full_stream, clear_all, c_write, take, 1, RESTARTS, true,
     t_write, -EAGAIN, shut_writing, -EPIPE},
    {"SYS_recvfrom", make_stream, clear_all, n_recvfrom, give, 1, RESTARTS, false, NULL, 0,
     shut_reading, 0},
    {"SYS_recvmsg", make_stream, clear_all, n_recvmsg, give, 1, RESTARTS, false, NULL, 0,
     shut_reading, 0},
    {"SYS_recvmmsg", make_dgram, clear_all, n_recvmmsg, give, 1, RESTARTS, false, NULL, 0, NULL, 0},
    {"SYS_sendto", make_full_stream, clear_all, n_sendto, take, 1, RESTARTS, false, NULL, 0,
     shut_writing, -EPIPE},
    {"SYS_sendmsg", make_full_stream, clear_all, n_sendmsg, take, 1, RESTARTS, false, NULL, 0,
     shut_writing, -EPIPE},
    {"SYS_sendmmsg", make_full_stream, clear_all, n_sendmmsg, take, 1, RESTARTS, false, NULL, 0,
     shut_writing, -EPIPE},
    {"accept", make_listener, clear_all, c_accept, connect_to, 0, RESTARTS, true, t_accept, -EAGAIN,
     shut_reading, -EINVAL},
    {"accept4", make_listener, clear_all, c_accept4, connect_to, 0, RESTARTS, true, NULL, 0,
     shut_reading, -EINVAL},
    {"SYS_accept", make_listener, clear_all, n_accept, connect_to, 0, RESTARTS, false, NULL, 0,
     shut_reading, -EINVAL},
    {"SYS_accept4", make_listener, clear_all, n_accept4, connect_to, 0, RESTARTS, false, NULL, 0,
     shut_reading, -EINVAL},
    {"connect", make_full_listener, clear_all, c_connect, take_connection, 0, RESTARTS, true,
     t_connect, -EAGAIN, close_reader, -ECONNREFUSED},
    {"SYS_connect", make_full_listener, clear_all, n_connect, take_connection, 0, RESTARTS, false,
     NULL, 0, close_reader, -ECONNREFUSED},

    {"splice", make_two_pipes, clear_all, c_splice, give, 1, RESTARTS, true, NULL, 0, close_writer,
     0},
    {"tee", make_two_pipes, clear_all, c_tee, give, 1, RESTARTS, true, NULL, 0, close_writer, 0},
    {"vmsplice", make_full_pipe, clear_all, c_vmsplice, take, 1, RESTARTS, true, NULL, 0,
     close_reader, -EPIPE},
    {"sendfile", make_file_to_full, clear_all, c_sendfile, take, 1, NO_TRIAL, false, NULL, 0,
     shut_writing, -EPIPE},
    {"SYS_splice", make_two_pipes, clear_all, n_splice, give, 1, RESTARTS, false, NULL, 0,
     close_writer, 0},
    {"SYS_tee", make_two_pipes, clear_all, n_tee, give, 1, RESTARTS, false, NULL, 0, close_writer,
     0},
    {"SYS_vmsplice", make_full_pipe, clear_all, n_vmsplice, take, 1, RESTARTS, false, NULL, 0,
     close_reader, -EPIPE},
    {"SYS_sendfile", make_file_to_full, clear_all, n_sendfile, take, 1, NO_TRIAL, false, NULL, 0,
     shut_writing, -EPIPE},

    {"poll", make_pipe, clear_all, c_poll, give, 1, ENDS, true, t_poll, 0, close_writer, 1},
    {"ppoll", make_pipe, clear_all, c_ppoll, give, 1, ENDS, true, t_ppoll, 0, close_writer, 1},
    {"select", make_pipe, clear_all, c_select, give, 1, ENDS, true, t_select, 0, close_writer, 1},
    {"pselect", make_pipe, clear_all, c_pselect, give, 1, ENDS, true, t_pselect, 0, close_writer,
     1},
    {"epoll_wait", make_epoll, clear_all, c_epoll, give, 1, ENDS, true, t_epoll, 0, close_writer,
     1},
    {"epoll_pwait", make_epoll, clear_all, c_epoll_p, give, 1, ENDS, true, t_epoll_p, 0,
     close_writer, 1},
    {"epoll_pwait2", make_epoll, clear_all, c_epoll_p2, give, 1, ENDS, true, t_epoll_p2, 0,
     close_writer, 1},
    {"SYS_poll", make_pipe, clear_all, n_poll, give, 1, ENDS, false, nt_poll, 0, close_writer, 1},
    {"SYS_ppoll", make_pipe, clear_all, n_ppoll, give, 1, ENDS, false, nt_ppoll, 0, close_writer,
     1},
    {"SYS_select", make_pipe, clear_all, n_select, give, 1, ENDS, false, NULL, 0, close_writer, 1},
    {"SYS_pselect6", make_pipe, clear_all, n_pselect6, give, 1, ENDS, false, nt_pselect6, 0,
     close_writer, 1},
    {"SYS_epoll_wait", make_epoll, clear_all, n_epoll, give, 1, ENDS, false, NULL, 0, close_writer,
     1},
    {"SYS_epoll_pwait", make_epoll, clear_all, n_epoll_p, give, 1, ENDS, false, NULL, 0,
     close_writer, 1},
    {"SYS_epoll_pwait2", make_epoll, clear_all, n_epoll_p2, give, 1, ENDS, false, nt_epoll_p2, 0,
     close_writer, 1},

    {"fgets", make_stdio, clear_all, c_fgets, give_line, 2, RESTARTS, true, NULL, 0, NULL, 0},
    {"getc", make_stdio, clear_all, c_getc, give_line, 'x', RESTARTS, true, NULL, 0, NULL, 0},
    {"fread", make_stdio, clear_all, c_fread, give_line, 2, RESTARTS, true, NULL, 0, NULL, 0},
};

int main(void) {
    check_start();
    fd[0] = fd[1] = more[0] = more[1] = -1;
    waits_rows(rows, sizeof rows / sizeof *rows);
    return 0;
}
