/* waits_kernel.c - the calls that wait in the kernel or for other processes, by name and by number:
 * FIFOs, file locks, children, queues, semaphores, asynchronous requests; see waits.h needs: time
 */
#include "waits.h"

#include <aio.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char path[64];
static int fd[2] = {-1, -1}, other = -1, id = -1;
static struct timespec soon = {0, TIMED_MS *MS_NS};

static void shut(int *f) {
    if (*f >= 0)
        close(*f);
    *f = -1;
}

/* ---- opening a FIFO: waits for the other end ---- */

static FILE *stream;
static void fifo_make(void) { DONE(mkfifo(path, 0600)); }
static void fifo_clear(void) {
    shut(&fd[0]);
    shut(&other);
    if (stream)
        fclose(stream);
    stream = NULL;
    DONE(unlink(path));
}
/* 0: opened. */
static long opened(long f) { return f < 0 ? f : (fd[0] = (int)f, 0); }
DO(fifo_write, other = (int)DONE(open(path, O_WRONLY)))
DO(fifo_read, other = (int)DONE(open(path, O_RDONLY)))
CALL(c_open, opened(open(path, O_RDONLY)))
CALL(c_open_writing, opened(open(path, O_WRONLY)))
CALL(c_openat, opened(openat(AT_FDCWD, path, O_RDONLY)))
CALL(c_creat, opened(creat(path, 0600)))
CALL(c_fopen, (stream = fopen(path, "r")) ? 0 : -1)
CALL(n_open, opened(syscall(SYS_open, path, O_RDONLY, 0)))
CALL(n_openat, opened(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0)))

/* ---- locks of files ---- */

static struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
static pid_t holder;
static int tell[2] = {-1, -1};

/* Two descriptions, the other one has the lock. */
static void lock_make(void) {
    fd[0] = (int)DONE(open(path, O_RDWR | O_CREAT, 0600));
    other = (int)DONE(open(path, O_RDWR));
    DONE(flock(other, LOCK_EX));
    DONE(fcntl(other, F_OFD_SETLK, &whole));
}
static void lock_clear(void) {
    shut(&fd[0]);
    shut(&other);
    DONE(unlink(path));
}
static void lock_give(void) {
    struct flock un = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    DONE(flock(other, LOCK_UN));
    DONE(fcntl(other, F_OFD_SETLK, &un));
}
DO(lock_close, shut(&other))
CALL(c_flock, flock(fd[0], LOCK_EX))
CALL(c_ofd, fcntl(fd[0], F_OFD_SETLKW, &whole))
CALL(n_flock, syscall(SYS_flock, fd[0], LOCK_EX))
CALL(n_ofd, syscall(SYS_fcntl, fd[0], F_OFD_SETLKW, &whole))

/* Locks of a process: a child has it until its pipe ends. */
static void child_until_told(void (*first)(void)) {
    int ready[2];
    char c;
    DONE(pipe(tell));
    DONE(pipe(ready));
    holder = (pid_t)DONE(fork());
    if (!holder) {
        close(tell[1]);
        if (first)
            first();
        if (write(ready[1], "r", 1) != 1 || read(tell[0], &c, 1) != 0)
            _exit(9);
        _exit(7);
    }
    shut(&tell[0]);
    shut(&ready[1]);
    WANT(read(ready[0], &c, 1), 1);
    shut(&ready[0]);
}
static void child_tell(void) { shut(&tell[1]); }
static void child_clear(void) {
    shut(&tell[1]);
    if (waitpid(holder, NULL, 0) < 0)
        WANT(errno, ECHILD);
}
static void process_lock_take(void) { DONE(fcntl(fd[0], F_SETLK, &whole)); }
static void process_lock_make(void) {
    fd[0] = (int)DONE(open(path, O_RDWR | O_CREAT, 0600));
    child_until_told(process_lock_take);
}
static void process_lock_clear(void) {
    child_clear();
    shut(&fd[0]);
    DONE(unlink(path));
}
CALL(c_setlkw, fcntl(fd[0], F_SETLKW, &whole))
CALL(c_lockf, lockf(fd[0], F_LOCK, 0))
CALL(n_setlkw, syscall(SYS_fcntl, fd[0], F_SETLKW, &whole))

/* ---- children ---- */

static int status;
static siginfo_t info;
static void child_make(void) { child_until_told(NULL); }
/* 7: it ended, and it was that one. */
static long ended(long pid) {
    return pid < 0 ? pid : pid == holder && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}
static long ended_info(long r) { return r ? r : info.si_pid == holder ? info.si_status : 0; }
CALL(c_wait, ended(wait(&status)))
CALL(c_waitpid, ended(waitpid(holder, &status, 0)))
CALL(c_wait3, ended(wait3(&status, 0, NULL)))
CALL(c_wait4, ended(wait4(holder, &status, 0, NULL)))
CALL(c_waitid, ended_info(waitid(P_PID, (id_t)holder, &info, WEXITED)))
CALL(n_wait4, ended(syscall(SYS_wait4, holder, &status, 0, NULL)))
CALL(n_waitid, ended_info(syscall(SYS_waitid, P_PID, holder, &info, WEXITED, NULL)))

/* Children that libc makes: they wait for the FIFO. */
static char command[128];
DO(fifo_line, int f = (int)DONE(open(path, O_WRONLY)); WANT(write(f, "x\n", 2), 2); close(f))
CALL(c_system, system(command))
static FILE *piped;
static void popen_make(void) {
    fifo_make();
    piped = popen(command, "r");
    CHECK(piped, "popen: errno %d", errno);
}
CALL(c_pclose, pclose(piped))

/* ---- System V and POSIX queues ---- */

static struct {
    long type;
    char text[8];
} message = {1, ""};
static struct sembuf down = {0, -1, 0}, up = {0, 1, 0};
static void msg_make(void) { id = (int)DONE(msgget(IPC_PRIVATE, 0600 | IPC_CREAT)); }
static void msg_full(void) {
    struct msqid_ds ds;
    msg_make();
    DONE(msgctl(id, IPC_STAT, &ds));
    ds.msg_qbytes = 8;
    DONE(msgctl(id, IPC_SET, &ds));
    DONE(msgsnd(id, &message, 8, 0));
}
DO(msg_remove, if (id >= 0) DONE(msgctl(id, IPC_RMID, NULL)); id = -1)
DO(msg_give, DONE(msgsnd(id, &message, 1, 0)))
DO(msg_take, WANT(msgrcv(id, &message, 8, 0, 0), 8))
CALL(c_msgrcv, msgrcv(id, &message, 8, 0, 0))
CALL(c_msgsnd, msgsnd(id, &message, 8, 0))
CALL(n_msgrcv, syscall(SYS_msgrcv, id, &message, 8, 0, 0))
CALL(n_msgsnd, syscall(SYS_msgsnd, id, &message, 8, 0))

static void sysv_make(void) { id = (int)DONE(semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT)); }
DO(sysv_remove, if (id >= 0) DONE(semctl(id, 0, IPC_RMID)); id = -1)
DO(sysv_give, DONE(semop(id, &up, 1)))
CALL(c_semop, semop(id, &down, 1))
CALL(c_semtimedop, semtimedop(id, &down, 1, NULL))
CALL(t_semtimedop, semtimedop(id, &down, 1, &soon))
CALL(n_semop, syscall(SYS_semop, id, &down, 1))
CALL(n_semtimedop, syscall(SYS_semtimedop, id, &down, 1, NULL))
CALL(nt_semtimedop, syscall(SYS_semtimedop, id, &down, 1, &soon))

static mqd_t queue = -1;
static char queue_name[32], text[8];
static void mq_make(void) {
    struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = sizeof text};
    queue = (mqd_t)DONE(mq_open(queue_name, O_RDWR | O_CREAT, 0600, &a));
}
DO(mq_give, DONE(mq_send(queue, "x", 1, 0)))
DO(mq_take, WANT(mq_receive(queue, text, sizeof text, NULL), 1))
DO(mq_full, mq_make(); mq_give())
DO(mq_clear, DONE(mq_close(queue)); DONE(mq_unlink(queue_name)))
static struct timespec in_time(void) { return time_in(CLOCK_REALTIME, TIMED_MS); }
static struct timespec never(void) { return time_in(CLOCK_REALTIME, 1000 * LONG_S); }
#define AT(when) (&(struct timespec[]){when()}[0])
CALL(c_mq_receive, mq_receive(queue, text, sizeof text, NULL))
CALL(c_mq_timedreceive, mq_timedreceive(queue, text, sizeof text, NULL, AT(never)))
CALL(t_mq_timedreceive, mq_timedreceive(queue, text, sizeof text, NULL, AT(in_time)))
CALL(c_mq_send, mq_send(queue, "x", 1, 0))
CALL(c_mq_timedsend, mq_timedsend(queue, "x", 1, 0, AT(never)))
CALL(t_mq_timedsend, mq_timedsend(queue, "x", 1, 0, AT(in_time)))
CALL(n_mq_receive, syscall(SYS_mq_timedreceive, queue, text, sizeof text, NULL, AT(never)))
CALL(nt_mq_receive, syscall(SYS_mq_timedreceive, queue, text, sizeof text, NULL, AT(in_time)))
CALL(n_mq_send, syscall(SYS_mq_timedsend, queue, "x", 1, 0, AT(never)))

/* ---- semaphores and futexes ---- */

static sem_t here, *sem = &here;
static char sem_name[32];
DO(sem_own, sem = &here; DONE(sem_init(sem, 0, 0)))
DO(sem_shared, sem = &here; DONE(sem_init(sem, 1, 0)))
static void sem_named(void) {
    sem = sem_open(sem_name, O_CREAT, 0600, 0);
    CHECK(sem != SEM_FAILED, "sem_open: errno %d", errno);
}
DO(sem_unname, DONE(sem_close(sem)); DONE(sem_unlink(sem_name)))
DO(sem_give, DONE(sem_post(sem)))
CALL(c_sem_wait, sem_wait(sem))
CALL(t_sem_wait, sem_timedwait(sem, AT(in_time)))
CALL(t_sem_clock, sem_clockwait(sem, CLOCK_REALTIME, AT(in_time)))

static int word, *shared_word = &word;
static void shared_make(void) {
    shared_word =
        mmap(NULL, sizeof *shared_word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_word != MAP_FAILED, "mmap: errno %d", errno);
}
DO(shared_clear, DONE(munmap(shared_word, sizeof *shared_word)))
DO(word_make, word = 0)
DO(word_give, word = 1; syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1))
DO(shared_give, *shared_word = 1; syscall(SYS_futex, shared_word, FUTEX_WAKE, 1))
CALL(n_futex, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL))
CALL(nt_futex, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &soon))
CALL(n_futex_shared, syscall(SYS_futex, shared_word, FUTEX_WAIT, 0, NULL))
CALL(nt_futex_shared, syscall(SYS_futex, shared_word, FUTEX_WAIT, 0, &soon))

/* ---- requests that libc's own threads serve ---- */

static struct aiocb request;
static const struct aiocb *const requests[] = {&request};
static char byte;
static void aio_describe(void) {
    DONE(pipe(fd));
    request = (struct aiocb){.aio_fildes = fd[0], .aio_buf = &byte, .aio_nbytes = 1};
    request.aio_lio_opcode = LIO_READ;
    request.aio_sigevent.sigev_notify = SIGEV_NONE;
}
DO(aio_make, aio_describe(); DONE(aio_read(&request)))
static void aio_clear(void) {
    if (aio_error(&request) == EINPROGRESS)
        WANT(write(fd[1], "x", 1), 1);
    while (aio_error(&request) == EINPROGRESS)
        pause_ms(1);
    shut(&fd[0]);
    shut(&fd[1]);
}
DO(aio_give, WANT(write(fd[1], "x", 1), 1))
CALL(c_aio_suspend, aio_suspend(requests, 1, NULL))
CALL(t_aio_suspend, aio_suspend(requests, 1, &soon))
CALL(c_lio_listio, lio_listio(LIO_WAIT, (struct aiocb *[]){&request}, 1, NULL))

static const struct row rows[] = {
    {"open of a FIFO", fifo_make, fifo_clear, c_open, fifo_write, 0, RESTARTS, true, NULL, 0, NULL,
     0},
    {"open of a FIFO to write", fifo_make, fifo_clear, c_open_writing, fifo_read, 0, RESTARTS, true,
     NULL, 0, NULL, 0},
    {"openat", fifo_make, fifo_clear, c_openat, fifo_write, 0, RESTARTS, true, NULL, 0, NULL, 0},
    {"creat", fifo_make, fifo_clear, c_creat, fifo_read, 0, RESTARTS, true, NULL, 0, NULL, 0},
    {"fopen", fifo_make, fifo_clear, c_fopen, fifo_write, 0, RESTARTS, true, NULL, 0, NULL, 0},
    {"SYS_open", fifo_make, fifo_clear, n_open, fifo_write, 0, RESTARTS, false, NULL, 0, NULL, 0},
    {"SYS_openat", fifo_make, fifo_clear, n_openat, fifo_write, 0, RESTARTS, false, NULL, 0, NULL,
     0},

    {"flock", lock_make, lock_clear, c_flock, lock_give, 0, RESTARTS, false, NULL, 0, lock_close,
     0},
    {"F_OFD_SETLKW", lock_make, lock_clear, c_ofd, lock_give, 0, RESTARTS, true, NULL, 0,
     lock_close, 0},
    {"F_SETLKW", process_lock_make, process_lock_clear, c_setlkw, child_tell, 0, RESTARTS, true,
     NULL, 0, NULL, 0},
    {"lockf", process_lock_make, process_lock_clear, c_lockf, child_tell, 0, RESTARTS, true, NULL,
     0, NULL, 0},
    {"SYS_flock", lock_make, lock_clear, n_flock, lock_give, 0, RESTARTS, false, NULL, 0,
     lock_close, 0},
    {"SYS_fcntl", lock_make, lock_clear, n_ofd, lock_give, 0, RESTARTS, false, NULL, 0, lock_close,
     0},
    {"SYS_fcntl, F_SETLKW", process_lock_make, process_lock_clear, n_setlkw, child_tell, 0,
     RESTARTS, false, NULL, 0, NULL, 0},

    {"wait", child_make, child_clear, c_wait, child_tell, 7, RESTARTS, true, NULL, 0, NULL, 0},
    {"waitpid", child_make, child_clear, c_waitpid, child_tell, 7, RESTARTS, true, NULL, 0, NULL,
     0},
    {"wait3", child_make, child_clear, c_wait3, child_tell, 7, RESTARTS, true, NULL, 0, NULL, 0},
    {"wait4", child_make, child_clear, c_wait4, child_tell, 7, RESTARTS, true, NULL, 0, NULL, 0},
    {"waitid", child_make, child_clear, c_waitid, child_tell, 7, RESTARTS, true, NULL, 0, NULL, 0},
    {"SYS_wait4", child_make, child_clear, n_wait4, child_tell, 7, RESTARTS, false, NULL, 0, NULL,
     0},
    {"SYS_waitid", child_make, child_clear, n_waitid, child_tell, 7, RESTARTS, false, NULL, 0, NULL,
     0},
    {"system", fifo_make, fifo_clear, c_system, fifo_line, 0, UNMOVED, true, NULL, 0, NULL, 0},
    {"pclose", popen_make, fifo_clear, c_pclose, fifo_line, 0, UNMOVED, false, NULL, 0, NULL, 0},

    {"msgrcv", msg_make, msg_remove, c_msgrcv, msg_give, 1, ENDS, true, NULL, 0, msg_remove,
     -EIDRM},
    {"msgsnd", msg_full, msg_remove, c_msgsnd, msg_take, 0, ENDS, true, NULL, 0, msg_remove,
     -EIDRM},
    {"semop", sysv_make, sysv_remove, c_semop, sysv_give, 0, ENDS, false, NULL, 0, sysv_remove,
     -EIDRM},
    {"semtimedop", sysv_make, sysv_remove, c_semtimedop, sysv_give, 0, ENDS, false, t_semtimedop,
     -EAGAIN, sysv_remove, -EIDRM},
    {"SYS_msgrcv", msg_make, msg_remove, n_msgrcv, msg_give, 1, ENDS, false, NULL, 0, msg_remove,
     -EIDRM},
    {"SYS_msgsnd", msg_full, msg_remove, n_msgsnd, msg_take, 0, ENDS, false, NULL, 0, msg_remove,
     -EIDRM},
    {"SYS_semop", sysv_make, sysv_remove, n_semop, sysv_give, 0, ENDS, false, NULL, 0, sysv_remove,
     -EIDRM},
    {"SYS_semtimedop", sysv_make, sysv_remove, n_semtimedop, sysv_give, 0, ENDS, false,
     nt_semtimedop, -EAGAIN, sysv_remove, -EIDRM},
    {"mq_receive", mq_make, mq_clear, c_mq_receive, mq_give, 1, RESTARTS, true, NULL, 0, NULL, 0},
    {"mq_timedreceive", mq_make, mq_clear, c_mq_timedreceive, mq_give, 1, RESTARTS, true,
     t_mq_timedreceive, -ETIMEDOUT, NULL, 0},
    {"mq_send", mq_full, mq_clear, c_mq_send, mq_take, 0, RESTARTS, true, NULL, 0, NULL, 0},
    {"mq_timedsend", mq_full, mq_clear, c_mq_timedsend, mq_take, 0, RESTARTS, true, t_mq_timedsend,
     -ETIMEDOUT, NULL, 0},
    {"SYS_mq_timedreceive", mq_make, mq_clear, n_mq_receive, mq_give, 1, RESTARTS, false,
     nt_mq_receive, -ETIMEDOUT, NULL, 0},
    {"SYS_mq_timedsend", mq_full, mq_clear, n_mq_send, mq_take, 0, RESTARTS, false, NULL, 0, NULL,
     0},

    {"sem_wait", sem_own, NULL, c_sem_wait, sem_give, 0, RESTARTS, true, t_sem_wait, -ETIMEDOUT,
     NULL, 0},
    {"sem_wait, shared", sem_shared, NULL, c_sem_wait, sem_give, 0, RESTARTS, true, t_sem_wait,
     -ETIMEDOUT, NULL, 0},
    {"sem_wait, named", sem_named, sem_unname, c_sem_wait, sem_give, 0, RESTARTS, true, t_sem_clock,
     -ETIMEDOUT, NULL, 0},
    {"SYS_futex", word_make, NULL, n_futex, word_give, 0, RESTARTS, false, nt_futex, -ETIMEDOUT,
     NULL, 0},
    {"SYS_futex, shared", shared_make, shared_clear, n_futex_shared, shared_give, 0, RESTARTS,
     false, nt_futex_shared, -ETIMEDOUT, NULL, 0},

    {"aio_suspend", aio_make, aio_clear, c_aio_suspend, aio_give, 0, RESTARTS, true, t_aio_suspend,
     -EAGAIN, NULL, 0},
    {"lio_listio", aio_describe, aio_clear, c_lio_listio, aio_give, 0, NO_TRIAL, false, NULL, 0,
     NULL, 0},
};

int main(void) {
    check_start();
    snprintf(path, sizeof path, "/tmp/gthread-waits.%d", (int)getpid());
    snprintf(command, sizeof command, "read x <%s", path);
    snprintf(queue_name, sizeof queue_name, "/gthread-waits.%d", (int)getpid());
    snprintf(sem_name, sizeof sem_name, "/gthread-waits.%d", (int)getpid());
    waits_rows(rows, sizeof rows / sizeof *rows);
    return 0;
}
