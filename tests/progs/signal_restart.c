/* signal_restart.c - which calls go on after a handler with SA_RESTART and which end with EINTR
 * anyway (signal(7)); without SA_RESTART all end; and a signal of another thread ends none, nor
 * makes it longer. One thread for each call; those that go on end when what they wait for comes. */
#include "util.h"

#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { RESTARTS, ENDS };

static int pipe_fd[2], pair_fd[2], timed_fd[2], listener, epfd, lock_fd, other_fd, queue_id;
static char path[] = "/tmp/signal_restart_XXXXXX";
static sem_t sem;
static uint32_t word, *shared_word;
static pid_t child;

static struct timespec far(clockid_t clock) { return time_in(clock, 40000); }

static long do_read(void) {
    char c;
    return read(pipe_fd[0], &c, 1);
}
static long do_recv(void) {
    char c;
    return recv(pair_fd[0], &c, 1, 0);
}
static long do_recv_timeout(void) {
    char c;
    return recv(timed_fd[0], &c, 1, 0);
}
static long do_accept(void) {
    int fd = accept(listener, NULL, NULL);
    return fd < 0 ? -1 : close(fd);
}
static long do_waitpid(void) {
    int status;
    return waitpid(child, &status, 0);
}
static long do_flock(void) { return flock(lock_fd, LOCK_EX); }
static long do_sem_wait(void) { return sem_wait(&sem); }
static long do_futex(void) {
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL) == -1 && errno == EAGAIN ? 0 : -1;
}
static long do_futex_timed(void) {
    struct timespec t = {40, 0};
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t);
}
static long do_futex_until(void) {
    struct timespec t = far(CLOCK_REALTIME);
    int op = FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME;
    return syscall(SYS_futex, &word, op, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY);
}
static long do_futex_shared(void) {
    struct timespec t = {40, 0};
    return syscall(SYS_futex, shared_word, FUTEX_WAIT, 0, &t);
}
static long do_sem_timedwait(void) {
    struct timespec t = far(CLOCK_REALTIME);
    return sem_timedwait(&sem, &t);
}
static long do_poll(void) { return poll(NULL, 0, 40000); }
static long do_ppoll(void) {
    struct timespec t = {40, 0};
    return ppoll(NULL, 0, &t, NULL);
}
static long do_select(void) {
    struct timeval t = {40, 0};
    return select(0, NULL, NULL, NULL, &t);
}
static long do_pselect(void) {
    struct timespec t = {40, 0};
    return pselect(0, NULL, NULL, NULL, &t, NULL);
}
static long do_epoll_wait(void) {
    struct epoll_event ev;
    return epoll_wait(epfd, &ev, 1, 40000);
}
static long do_nanosleep(void) {
    struct timespec t = {40, 0}, left = {0, 0};
    long r = nanosleep(&t, &left);
    int e = errno;
    CHECK(r != -1 || (left.tv_sec >= 20 && left.tv_sec < 40), "expected what was left, came %ld",
          (long)left.tv_sec);
    errno = e;
    return r;
}
static long do_clock_nanosleep(void) {
    struct timespec t = far(CLOCK_REALTIME);
    errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
    return errno ? -1 : 0;
}
static long do_sleep(void) {
    unsigned left = sleep(40);
    errno = EINTR;
    return left ? -1 : 0;
}
static long do_usleep(void) { return usleep(40000000); }
static long do_pause(void) { return pause(); }
static long do_sigtimedwait(void) {
    sigset_t s;
    siginfo_t info;
    struct timespec t = {40, 0};
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    return sigtimedwait(&s, &info, &t);
}
static long do_msgrcv(void) {
    char m[16];
    return msgrcv(queue_id, m, 4, 0, 0);
}

static const struct call {
    const char *name;
    long (*call)(void);
    int kind;
} calls[] = {
    {"read", do_read, RESTARTS},
    {"recv", do_recv, RESTARTS},
    {"recv with SO_RCVTIMEO", do_recv_timeout, ENDS},
    {"accept", do_accept, RESTARTS},
    {"waitpid", do_waitpid, RESTARTS},
    {"flock", do_flock, RESTARTS},
    {"sem_wait", do_sem_wait, RESTARTS},
    {"futex", do_futex, RESTARTS},
    {"futex with a time-out", do_futex_timed, ENDS},
    {"futex with a deadline", do_futex_until, ENDS},
    {"shared futex with a time-out", do_futex_shared, ENDS},
    {"sem_timedwait", do_sem_timedwait, ENDS},
    {"poll", do_poll, ENDS},
    {"ppoll", do_ppoll, ENDS},
    {"select", do_select, ENDS},
    {"pselect", do_pselect, ENDS},
    {"epoll_wait", do_epoll_wait, ENDS},
    {"nanosleep", do_nanosleep, ENDS},
    {"clock_nanosleep", do_clock_nanosleep, ENDS},
    {"sleep", do_sleep, ENDS},
    {"usleep", do_usleep, ENDS},
    {"pause", do_pause, ENDS},
    {"sigtimedwait", do_sigtimedwait, ENDS},
    {"msgrcv", do_msgrcv, ENDS},
};
enum { CALLS = sizeof calls / sizeof *calls };

static int entered[CALLS], returned[CALLS], result[CALLS], handled[CALLS], flags_now;
static __thread int me = -1;

static void handler(int sig) {
    (void)sig;
    if (me >= 0)
        add(&handled[me], 1);
}

static void *body(void *arg) {
    me = (int)(intptr_t)arg;
    set(&entered[me], 1);
    errno = 0;
    long r = calls[me].call();
    set(&result[me], r < 0 ? errno : 0);
    set(&returned[me], 1);
    return NULL;
}

static bool ends(int i) { return calls[i].kind == ENDS || !(flags_now & SA_RESTART); }

/* Until it has returned, or has gone on after three handlers. */
static void signal_it(int i, pthread_t t) {
    for (int n = 0; n < (ends(i) ? 3000 : 3) && !get(&returned[i]); n++) {
        int before = get(&handled[i]);
        OK(pthread_kill(t, SIGUSR1));
        while (get(&handled[i]) == before)
            pause_ms(1);
        for (int k = 0; ends(i) && k < 20 && !get(&returned[i]); k++)
            pause_ms(1);
    }
    if (ends(i)) {
        WANT(get(&returned[i]), 1);
        CHECK(get(&result[i]) == EINTR, "%s: expected EINTR, came %s", calls[i].name,
              check_name_of(get(&result[i])));
    } else {
        pause_ms(3);
        CHECK(!get(&returned[i]), "%s: expected it to go on, came %s", calls[i].name,
              check_name_of(get(&result[i])));
    }
}

static void let_go_on(void) {
    WANT(write(pipe_fd[1], "x", 1), 1);
    WANT(send(pair_fd[1], "x", 1, 0), 1);
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    DONE(getsockname(listener, (struct sockaddr *)&at, &len));
    int fd = DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    DONE(connect(fd, (struct sockaddr *)&at, len));
    close(fd);
    DONE(kill(child, SIGKILL));
    DONE(flock(other_fd, LOCK_UN));
    DONE(sem_post(&sem));
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    DONE(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1));
}

static void round_with(int flags) {
    pthread_t threads[CALLS];
    flags_now = flags;
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = flags}, NULL));
    memset(returned, 0, sizeof returned);
    memset(entered, 0, sizeof entered);
    word = 0;
    child = DONE(fork());
    if (!child) {
        pause_ms(50000);
        _exit(0);
    }
    DONE(flock(other_fd, LOCK_EX));
    spawn_all(threads, CALLS, body);
    for (int i = 0; i < CALLS; i++)
        wait_until(&entered[i], 1);
    pause_ms(10);
    for (int n = 0; n < 5; n++) /* another thread's, this one's: ends none */
        WANT(raise(SIGUSR1), 0);
    pause_ms(3);
    for (int i = 0; i < CALLS; i++)
        CHECK(!get(&returned[i]), "%s: ended by another thread's signal", calls[i].name);
    for (int i = 0; i < CALLS; i++)
        signal_it(i, threads[i]);
    let_go_on();
    for (int i = 0; i < CALLS; i++) {
        join(threads[i]);
        CHECK(get(&result[i]) == (ends(i) ? EINTR : 0), "%s: came %s", calls[i].name,
              check_name_of(get(&result[i])));
    }
    char c;
    int status;
    if (!(flags & SA_RESTART)) { /* what they did not take */
        WANT(read(pipe_fd[0], &c, 1), 1);
        WANT(recv(pair_fd[0], &c, 1, 0), 1);
        DONE(close(DONE(accept(listener, NULL, NULL))));
        WANT(waitpid(child, &status, 0), child);
        DONE(sem_wait(&sem));
    } else
        DONE(flock(lock_fd, LOCK_UN));
}

int main(void) {
    check_start();
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    OK(pthread_sigmask(SIG_BLOCK, &usr2, NULL));
    DONE(pipe(pipe_fd));
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair_fd));
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, timed_fd));
    struct timeval t = {40, 0};
    DONE(setsockopt(timed_fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    listener = DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    struct {
        sa_family_t family;
    } autobind = {AF_UNIX};
    DONE(bind(listener, (struct sockaddr *)&autobind, sizeof autobind));
    DONE(listen(listener, 5));
    epfd = DONE(epoll_create1(0));
    lock_fd = DONE(mkstemp(path));
    other_fd = DONE(open(path, O_RDWR));
    DONE(unlink(path));
    queue_id = DONE(msgget(IPC_PRIVATE, 0600));
    DONE(sem_init(&sem, 0, 0));
    shared_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_word != MAP_FAILED, "mmap: %s", check_name_of(errno));
    round_with(0);
    round_with(SA_RESTART);
    DONE(msgctl(queue_id, IPC_RMID, NULL));
    return 0;
}
