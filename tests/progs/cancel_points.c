/* cancel_points.c - every cancellation point of POSIX that glibc has: a request that is there
 * before the call acts in it, one that comes while the call waits ends it; what it waited for is
 * left to others
 *
 * Each call is made by a thread of its own: with the request pending; where it waits, with the
 * request coming as it begins and later; where it does not, with cancellation disabled. */
#include "check.h"

#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pty.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>

enum { WAITS = 1, ONLY_PENDING = 0 };

/* What the calls wait for: for ever. */
static int empty_pipe[2], full_pipe[2], empty_pair[2], full_pair[2], listener, full_listener, epoll;
static int file, locked_file, tty, empty_msg, full_msg;
static struct sockaddr_un full_name;
static socklen_t full_len;
static mqd_t empty_mq, full_mq;
static sem_t sem;
static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static mtx_t c11_mutex;
static cnd_t c11_cond;
static pthread_t sleeper;
static char folder[64], fifo[96], name[96];
static pid_t child;

static char block[65536];
static struct timespec far, long_time = {1000, 0};
static struct iovec iov = {block, 1};
static sigset_t usr1;

static struct msghdr *message(void) {
    static _Thread_local struct msghdr m;
    m = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
    return &m;
}

#define CALL(name, expression)                                                                     \
    static void call_##name(void) { (void)!(expression); }

CALL(read, read(empty_pipe[0], block, 1))
CALL(readv, readv(empty_pipe[0], &iov, 1))
CALL(pread, pread(file, block, 1, 0))
CALL(preadv, preadv(file, &iov, 1, 0))
CALL(write, write(full_pipe[1], block, 1))
CALL(writev, writev(full_pipe[1], &iov, 1))
CALL(pwrite, pwrite(file, block, 1, 0))
CALL(pwritev, pwritev(file, &iov, 1, 0))
CALL(recv, recv(empty_pair[0], block, 1, 0))
CALL(recvfrom, recvfrom(empty_pair[0], block, 1, 0, NULL, NULL))
CALL(recvmsg, recvmsg(empty_pair[0], message(), 0))
CALL(send, send(full_pair[0], block, 1, 0))
CALL(sendto, sendto(full_pair[0], block, 1, 0, NULL, 0))
CALL(sendmsg, sendmsg(full_pair[0], message(), 0))
CALL(accept, accept(listener, NULL, NULL))
CALL(accept4, accept4(listener, NULL, NULL, SOCK_CLOEXEC))
static void call_connect(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    connect(fd, (struct sockaddr *)&full_name, full_len);
    close(fd);
}
static struct pollfd *watched(void) {
    static _Thread_local struct pollfd p;
    p = (struct pollfd){empty_pipe[0], POLLIN, 0};
    return &p;
}
CALL(poll, poll(watched(), 1, -1))
CALL(ppoll, ppoll(watched(), 1, NULL, NULL))
static fd_set *watched_set(void) {
    static _Thread_local fd_set s;
    FD_ZERO(&s);
    FD_SET(empty_pipe[0], &s);
    return &s;
}
CALL(select, select(empty_pipe[0] + 1, watched_set(), NULL, NULL, NULL))
CALL(pselect, pselect(empty_pipe[0] + 1, watched_set(), NULL, NULL, NULL, NULL))
CALL(select_time, select(0, NULL, NULL, NULL, &(struct timeval){1000, 0}))
static struct epoll_event event;
CALL(epoll_wait, epoll_wait(epoll, &event, 1, -1))
CALL(epoll_pwait, epoll_pwait(epoll, &event, 1, -1, NULL))
CALL(open_fifo, open(fifo, O_RDONLY))
CALL(open, close(open(name, O_RDONLY)))
CALL(openat, close(openat(AT_FDCWD, name, O_RDONLY)))
CALL(creat, close(creat(name, 0600)))
CALL(close, close(-1))
CALL(fsync, fsync(file))
CALL(fdatasync, fdatasync(file))
CALL(msync, msync(NULL, 0, MS_SYNC))
CALL(tcdrain, tcdrain(tty))
CALL(fcntl, fcntl(locked_file, F_SETLKW, &(struct flock){.l_type = F_WRLCK, .l_len = 1}))
CALL(lockf, lockf(locked_file, F_LOCK, 1))
CALL(mq_receive, mq_receive(empty_mq, block, sizeof block, NULL))
CALL(mq_timedreceive, mq_timedreceive(empty_mq, block, sizeof block, NULL, &far))
CALL(mq_send, mq_send(full_mq, block, 1, 0))
CALL(mq_timedsend, mq_timedsend(full_mq, block, 1, 0, &far))
CALL(msgrcv, msgrcv(empty_msg, block, 8, 0, 0))
CALL(msgsnd, msgsnd(full_msg, &(struct {
                        long type;
                        char text[8];
                    }){1, ""},
                    8, 0))
CALL(nanosleep, nanosleep(&long_time, NULL))
CALL(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL))
CALL(clock_nanosleep_abs, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &far, NULL))
CALL(sleep, sleep(1000))
CALL(usleep, usleep(999999999))
CALL(thrd_sleep, thrd_sleep(&long_time, NULL))
CALL(pause, pause())
CALL(sigsuspend, sigsuspend(&usr1))
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* sigpause */
CALL(sigpause, sigpause(SIGUSR1))
CALL(sigwait, sigwait(&usr1, (int *)block))
CALL(sigwaitinfo, sigwaitinfo(&usr1, NULL))
CALL(sigtimedwait, sigtimedwait(&usr1, NULL, &long_time))
CALL(sem_wait, sem_wait(&sem))
CALL(sem_timedwait, sem_timedwait(&sem, &far))
CALL(sem_clockwait, sem_clockwait(&sem, CLOCK_REALTIME, &far))
CALL(join, pthread_join(sleeper, NULL))
CALL(timedjoin, pthread_timedjoin_np(sleeper, NULL, &far))
CALL(testcancel, (pthread_testcancel(), 0))
CALL(wait, wait(NULL))
CALL(waitpid, waitpid(child, NULL, 0))
CALL(waitid, waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT))
CALL(system, system("exec sleep 1000"))
static struct aiocb reading;
static const struct aiocb *const list[] = {&reading};
CALL(aio_suspend, aio_suspend(list, 1, NULL))

/* A condition has its mutex again when the handlers run. */
static void unlock(void *arg) {
    (void)arg;
    OK(pthread_mutex_unlock(&mutex)); /* it checks the owner */
}
static void on_cond(int (*wait)(void)) {
    OK(pthread_mutex_lock(&mutex));
    pthread_cleanup_push(unlock, NULL);
    wait();
    pthread_cleanup_pop(1);
}
static int cond_wait(void) { return pthread_cond_wait(&cond, &mutex); }
static int cond_timedwait(void) { return pthread_cond_timedwait(&cond, &mutex, &far); }
static int cond_clockwait(void) {
    return pthread_cond_clockwait(&cond, &mutex, CLOCK_REALTIME, &far);
}
static void call_cond_wait(void) { on_cond(cond_wait); }
static void call_cond_timedwait(void) { on_cond(cond_timedwait); }
static void call_cond_clockwait(void) { on_cond(cond_clockwait); }
static void c11_unlock(void *arg) {
    (void)arg;
    WANT(mtx_unlock(&c11_mutex), thrd_success);
}
static void call_cnd_wait(void) {
    WANT(mtx_lock(&c11_mutex), thrd_success);
    pthread_cleanup_push(c11_unlock, NULL);
    cnd_wait(&c11_cond, &c11_mutex);
    pthread_cleanup_pop(1);
}

#define ROW(name, waits)                                                                           \
    { #name, call_##name, waits }
static const struct point {
    const char *name;
    void (*call)(void);
    int waits;
} points[] = {
    ROW(read, WAITS),
    ROW(readv, WAITS),
    ROW(pread, ONLY_PENDING),
    ROW(preadv, ONLY_PENDING),
    ROW(write, WAITS),
    ROW(writev, WAITS),
    ROW(pwrite, ONLY_PENDING),
    ROW(pwritev, ONLY_PENDING),
    ROW(recv, WAITS),
    ROW(recvfrom, WAITS),
    ROW(recvmsg, WAITS),
    ROW(send, WAITS),
    ROW(sendto, WAITS),
    ROW(sendmsg, WAITS),
    ROW(accept, WAITS),
    ROW(accept4, WAITS),
    ROW(connect, WAITS),
    ROW(poll, WAITS),
    ROW(ppoll, WAITS),
    ROW(select, WAITS),
    ROW(pselect, WAITS),
    ROW(select_time, WAITS),
    ROW(epoll_wait, WAITS),
    ROW(epoll_pwait, WAITS),
    ROW(open_fifo, WAITS),
    ROW(open, ONLY_PENDING),
    ROW(openat, ONLY_PENDING),
    ROW(creat, ONLY_PENDING),
    ROW(close, ONLY_PENDING),
    ROW(fsync, ONLY_PENDING),
    ROW(fdatasync, ONLY_PENDING),
    ROW(msync, ONLY_PENDING),
    ROW(tcdrain, ONLY_PENDING),
    ROW(fcntl, WAITS),
    ROW(lockf, WAITS),
    ROW(mq_receive, WAITS),
    ROW(mq_timedreceive, WAITS),
    ROW(mq_send, WAITS),
    ROW(mq_timedsend, WAITS),
    ROW(msgrcv, WAITS),
    ROW(msgsnd, WAITS),
    ROW(nanosleep, WAITS),
    ROW(clock_nanosleep, WAITS),
    ROW(clock_nanosleep_abs, WAITS),
    ROW(sleep, WAITS),
    ROW(usleep, WAITS),
    ROW(thrd_sleep, WAITS),
    ROW(pause, WAITS),
    ROW(sigsuspend, WAITS),
    ROW(sigpause, WAITS),
    ROW(sigwait, WAITS),
    ROW(sigwaitinfo, WAITS),
    ROW(sigtimedwait, WAITS),
    ROW(sem_wait, WAITS),
    ROW(sem_timedwait, WAITS),
    ROW(sem_clockwait, WAITS),
    ROW(join, WAITS),
    ROW(timedjoin, WAITS),
    ROW(testcancel, ONLY_PENDING),
    ROW(wait, WAITS),
    ROW(waitpid, WAITS),
    ROW(waitid, WAITS),
    ROW(system, WAITS),
    ROW(aio_suspend, WAITS),
    ROW(cond_wait, WAITS),
    ROW(cond_timedwait, WAITS),
    ROW(cond_clockwait, WAITS),
    ROW(cnd_wait, WAITS),
};
enum { POINTS = sizeof points / sizeof *points };

static int inside, cleaned, go_on;
static void clean(void *arg) {
    (void)arg;
    add(&cleaned, 1);
}

static void *with_pending(void *arg) {
    const struct point *p = arg;
    pthread_cleanup_push(clean, NULL);
    OK(pthread_cancel(pthread_self()));
    p->call();
    check_fail("%s: a pending request did not act", p->name);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *disabled(void *arg) {
    const struct point *p = arg;
    OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
    OK(pthread_cancel(pthread_self()));
    p->call();
    return NULL;
}

static void *waiting(void *arg) {
    const struct point *p = arg;
    pthread_cleanup_push(clean, NULL);
    set(&inside, 1);
    p->call();
    check_fail("%s: it ended", p->name);
    pthread_cleanup_pop(0);
    return NULL;
}

static void ends_cancelled(const struct point *p, pthread_t t, const char *when) {
    struct timespec limit = time_in(CLOCK_REALTIME, 20000);
    void *result;
    int err = pthread_timedjoin_np(t, &result, &limit);
    CHECK(!err, "%s, %s: expected the thread to end, came %s", p->name, when, check_name_of(err));
    CHECK(result == PTHREAD_CANCELED, "%s, %s: expected PTHREAD_CANCELED", p->name, when);
    CHECK(cleaned == 1, "%s, %s: expected one clean-up, came %d", p->name, when, cleaned);
    set(&cleaned, 0);
}

static void check_point(const struct point *p) {
    ends_cancelled(p, spawn(with_pending, (void *)p), "pending");
    if (!p->waits) {
        join(spawn(disabled, (void *)p));
        return;
    }
    for (int late = 0; late < 2; late++) {
        set(&inside, 0);
        pthread_t t = spawn(waiting, (void *)p);
        wait_until(&inside, 1);
        if (late)
            pause_ms(3);
        OK(pthread_cancel(t));
        ends_cancelled(p, t, late ? "while it waits" : "as it begins");
    }
}

/* ---- afterwards: the waiters that are gone have taken nothing along ---- */

static void *wait_signalled(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    set(&inside, 1);
    struct timespec limit = time_in(CLOCK_REALTIME, 20000);
    OK(pthread_cond_timedwait(&cond, &mutex, &limit));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void nothing_eaten(void) {
    int value;
    DONE(sem_post(&sem));
    DONE(sem_getvalue(&sem, &value));
    WANT(value, 1);
    DONE(sem_trywait(&sem));
    DONE(kill(getpid(), SIGUSR1));
    struct timespec limit = {20, 0};
    WANT(sigtimedwait(&usr1, NULL, &limit), SIGUSR1);
    set(&inside, 0);
    pthread_t t = spawn(wait_signalled, NULL);
    wait_until(&inside, 1);
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    join(t);
    OK(pthread_cond_destroy(&cond)); /* waits for those inside, if it thinks that there are some */
}

/* ---- preparation ---- */

static void *sleep_on(void *arg) {
    wait_until(&go_on, 1);
    return arg;
}

static void fill(int fd) {
    DONE(fcntl(fd, F_SETFL, O_NONBLOCK));
    while (write(fd, block, sizeof block) > 0)
        continue;
    while (write(fd, block, 1) > 0)
        continue;
    DONE(fcntl(fd, F_SETFL, 0));
}

static void prepare_sockets(void) {
    DONE(pipe(empty_pipe));
    DONE(pipe(full_pipe));
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, empty_pair));
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, full_pair));
    fill(full_pipe[1]);
    fill(full_pair[0]);
    struct sockaddr any = {.sa_family = AF_UNIX};
    listener = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    DONE(bind(listener, &any, sizeof(sa_family_t)));
    DONE(listen(listener, 1));
    full_listener = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    DONE(bind(full_listener, &any, sizeof(sa_family_t)));
    DONE(listen(full_listener, 0));
    full_len = sizeof full_name;
    DONE(getsockname(full_listener, (struct sockaddr *)&full_name, &full_len));
    for (int i = 0; i < 16; i++) {
        int fd = (int)DONE(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (connect(fd, (struct sockaddr *)&full_name, full_len) < 0)
            break;
    }
    epoll = (int)DONE(epoll_create1(0));
    DONE(epoll_ctl(epoll, EPOLL_CTL_ADD, empty_pipe[0], &(struct epoll_event){.events = EPOLLIN}));
}

static void prepare_files(void) {
    strcpy(folder, "/tmp/cancel_points.XXXXXX");
    CHECK(mkdtemp(folder), "expected mkdtemp to succeed");
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    snprintf(name, sizeof name, "%s/file", folder);
    DONE(mkfifo(fifo, 0600));
    file = (int)DONE(open(name, O_RDWR | O_CREAT, 0600));
    int other;
    DONE(openpty(&other, &tty, NULL, NULL, NULL));
    reading = (struct aiocb){.aio_fildes = empty_pipe[0], .aio_buf = block, .aio_nbytes = 1};
    DONE(aio_read(&reading));
}

static void prepare_queues(void) {
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 64};
    char queue[32];
    for (int full = 0; full < 2; full++) {
        snprintf(queue, sizeof queue, "/cancel_points.%d", (int)getpid());
        mqd_t q = mq_open(queue, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
        DONE(q);
        DONE(mq_unlink(queue));
        *(full ? &full_mq : &empty_mq) = q;
    }
    DONE(mq_send(full_mq, block, 1, 0));
    empty_msg = (int)DONE(msgget(IPC_PRIVATE, 0600));
    full_msg = (int)DONE(msgget(IPC_PRIVATE, 0600));
    struct {
        long type;
        char text[1024];
    } m = {1, ""};
    while (msgsnd(full_msg, &m, sizeof m.text, IPC_NOWAIT) == 0)
        continue;
    while (msgsnd(full_msg, &m, 0, IPC_NOWAIT) == 0)
        continue;
}

/* A child that holds the lock and lives until we end it. */
static void prepare_child(void) {
    int ready[2];
    char c;
    DONE(pipe(ready));
    child = (pid_t)DONE(fork());
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = (int)DONE(open(name, O_RDWR));
        DONE(fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK}));
        DONE(write(ready[1], "", 1));
        for (;;)
            pause();
    }
    WANT(read(ready[0], &c, 1), 1);
    locked_file = (int)DONE(open(name, O_RDWR));
}

int main(int argc, char **argv) {
    check_start();
    far = time_in(CLOCK_REALTIME, 1000000);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    pthread_mutexattr_t checks;
    OK(pthread_mutexattr_init(&checks));
    OK(pthread_mutexattr_settype(&checks, PTHREAD_MUTEX_ERRORCHECK));
    OK(pthread_mutex_init(&mutex, &checks));
    mtx_init(&c11_mutex, mtx_plain);
    cnd_init(&c11_cond);
    DONE(sem_init(&sem, 0, 0));
    prepare_sockets();
    prepare_files();
    prepare_queues();
    prepare_child();
    sleeper = spawn(sleep_on, NULL);
    for (int i = 0; i < POINTS; i++)
        if (argc < 2 || strcmp(argv[1], points[i].name) == 0)
            check_point(&points[i]);
    nothing_eaten();
    set(&go_on, 1);
    join(sleeper);
    DONE(kill(child, SIGKILL));
    DONE(msgctl(empty_msg, IPC_RMID, NULL));
    DONE(msgctl(full_msg, IPC_RMID, NULL));
    unlink(fifo);
    unlink(name);
    rmdir(folder);
    return 0;
}
