/* s3_masks.c - DANGERS S3: a thread that blocks everything still has its SIGSEGV handler called, as
 * one thread's mask keeps no signal from another; and a child of fork, vfork or posix_spawn that
 * execs starts with the mask of the thread that made it, no more and no less (a shell clears its
 * own) */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

static __thread sigjmp_buf back;
static __thread volatile int faults;
static int handled;
static volatile int *volatile nowhere = (int *)8;
extern char **environ;

static void on_fault(int sig) {
    (void)sig;
    faults++;
    siglongjmp(back, 1);
}

static void on_term(int sig) {
    (void)sig;
    add(&handled, 1);
}

static void block(int how, int sig) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    OK(pthread_sigmask(how, &set, NULL));
}

/* Blocks all but SIGSEGV, runs beside one that blocks nothing, and faults. */
static void *faulting(void *arg) {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
    for (volatile int i = 0; i < 20; i++) {
        if (!sigsetjmp(back, 1))
            *nowhere = 1;
        sched_yield();
        WANT(faults, i + 1);
    }
    sigset_t now;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &now));
    WANT(sigismember(&now, SIGTERM), 1);
    WANT(sigismember(&now, SIGSEGV), 0);
    return arg;
}

static void *open_to_all(void *arg) {
    (void)arg;
    while (get(&handled) < 1)
        sched_yield();
    return NULL;
}

/* What /proc/self/status of a child says of its mask. */
static char *const show[] = {(char *)"sed", (char *)"-n", (char *)"s/^SigBlk:[[:space:]]*//p",
                             (char *)"/proc/self/status", NULL};

static uint64_t read_mask(FILE *f) {
    unsigned long long mask = ~0ULL;
    WANT(fscanf(f, "%llx", &mask), 1);
    return mask;
}

/* What the child says that writes to this pipe; it ends well. */
static uint64_t mask_of(pid_t pid, const int *fd) {
    int status;
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    uint64_t mask = read_mask(f);
    fclose(f);
    DONE(waitpid(pid, &status, 0));
    WANT(status, 0);
    return mask;
}

static uint64_t mask_by_spawn(void) {
    int fd[2];
    pid_t pid;
    DONE(pipe(fd));
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
    OK(posix_spawn(&pid, "/bin/sed", &fa, NULL, show, environ));
    posix_spawn_file_actions_destroy(&fa);
    return mask_of(pid, fd);
}

static uint64_t mask_by_fork(bool shared) {
    int fd[2];
    DONE(pipe(fd));
    pid_t pid = shared ? vfork() : fork();
    if (pid == 0) {
        dup2(fd[1], 1);
        execv("/bin/sed", show);
        _exit(127);
    }
    DONE(pid);
    return mask_of(pid, fd);
}

static void *with_child(void *arg) {
    int sig = (int)(long)arg;
    uint64_t want = sig ? 1ULL << (sig - 1) : 0;
    if (sig)
        block(SIG_BLOCK, sig);
    for (int i = 0; i < 3; i++) {
        WANT(mask_by_spawn(), want);
        WANT(mask_by_fork(false), want);
        WANT(mask_by_fork(true), want);
    }
    return NULL;
}

int main(void) {
    check_start();
    DONE(sigaction(SIGSEGV, &(struct sigaction){.sa_handler = on_fault}, NULL));
    DONE(sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL));
    pthread_t open = spawn(open_to_all, NULL), closed[4];
    block(SIG_BLOCK, SIGTERM); /* from here on only `open` takes it */
    spawn_all(closed, 4, faulting);
    join_all(closed, 4);
    DONE(kill(getpid(), SIGTERM));
    join(open);
    WANT(get(&handled), 1);
    block(SIG_UNBLOCK, SIGTERM);
    pthread_t parents[] = {spawn(with_child, (void *)0L), spawn(with_child, (void *)SIGUSR1),
                           spawn(with_child, (void *)SIGTERM)};
    join_all(parents, 3);
    return 0;
}
