/* process.c - new processes: fork, vfork, clone, exec, posix_spawn, system, popen
 *
 * A child of fork is rebuilt by an atfork handler that was registered first (shim_reset_child), so
 * that forks inside libc (daemon, forkpty) are covered too; only _Fork and clone run none.
 *
 * A child of vfork shares our memory while its parent's thread is stopped. It finds its G inside a
 * system call's bracket, without a P, and marked (t->vforked): so every call it makes is the
 * kernel's own (DANGERS F1). A section is open meanwhile in the parent, so that the mask which
 * the child is to inherit stays where it was set.
 *
 * Children inherit the mask of the G, which the kernel does not know: it is shown to it before the
 * calls here, and what the program ignores is ignored in the kernel before an exec (S3).
 */
#include "shim/fd.h"
#include "shim/inherit.h"
#include "shim/signal.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

/* ---- the mask that a child inherits ----
 * It is the kernel's of this M from mask_lend to mask_take_back, which are inside one section and
 * nothing else: the trampoline gives on what comes meanwhile and leaves the mask alone. */

static void mask_lend(struct thread *t) {
    t->mask_shown = true;
    m_mask_set(sig_blocked(t));
}

static void mask_take_back(struct thread *t) {
    t->mask_shown = false;
    m_mask_follow();
}

/* ---- vfork ---- */

/* The running M shows to what comes of the next call what belongs to its G: until inherit_end. A
 * section meanwhile, so that the G stays on it. gives_p: the call may take long. */
static void inherit_begin(struct thread *t, struct inherit_saved *saved, bool gives_p) {
    if (fd_tracked())
        fd_all_shared();
    section_begin();
    sig_export_ignored();
    if (gives_p)
        syscall_enter_block();
    inherit_show(t, saved);
    mask_lend(t);
}

static void inherit_end(struct thread *t, const struct inherit_saved *saved, bool gives_p) {
    int err = errno;
    mask_take_back(t);
    inherit_hide(saved);
    if (gives_p)
        syscall_exit();
    section_end();
    errno = err;
}

static void child_shares_memory(struct thread *t, struct inherit_saved *saved) {
    inherit_begin(t, saved, true);
    t->vforked = true;
}

/* Still on the M of child_shares_memory, which the kernel has kept. */
static void child_is_gone(struct thread *t, const struct inherit_saved *saved) {
    t->vforked = false;
    inherit_end(t, saved, true);
}

/* Is the calling thread a G of this process, not what a vfork's child sees? */
static struct thread *self_here(void) { return signal_own() && getg() ? thread_self() : NULL; }

/* From jump.S. */
void process_vfork_before(void);
void process_vfork_before(void) {
    struct thread *t = self_here();
    if (!t)
        return;
    section_begin(); /* the M whose memory it is must be the one that vforks */
    child_shares_memory(t, signal_m_inherit());
    section_end();
}

/* r: the kernel's result. */
pid_t process_vfork_after(int r);
pid_t process_vfork_after(int r) {
    struct thread *t = thread_self();
    if (t && t->vforked && sys(SYS_getpid) == signal_pid)
        child_is_gone(t, signal_m_inherit());
    if (r >= 0)
        return r;
    errno = -r;
    return -1;
}

/* ---- fork and clone ---- */

/* Runs no atfork handlers. */
SHIM_API pid_t shim__Fork(void) {
    pid_t pid = next(_Fork)();
    if (pid == 0)
        shim_reset_child();
    return pid;
}

struct clone_start {
    int (*fn)(void *);
    void *arg;
    bool own_memory; /* a fork: the runtime is to be reset */
};

static int clone_child(void *p) {
    struct clone_start s = *(struct clone_start *)p;
    if (s.own_memory)
        shim_reset_child();
    else
        tcb_set_tid(arch_tp(), (int32_t)sys(SYS_gettid));
    return s.fn(s.arg);
}

/* Memory for the start and an identity: a child that shares our memory and goes on beside us must
 * not have this G's. It lasts as long as the process: nobody tells us when the child is gone. */
static struct clone_start *clone_identity(uintptr_t *tls) {
    size_t size = tcb_overhead() + 4096;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    *tls = tcb_make((uintptr_t)at, (uintptr_t)at + size, 0, 0);
    return *tls ? (struct clone_start *)at : NULL;
}

SHIM_API int shim_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...) {
    va_list ap;
    va_start(ap, arg);
    pid_t *ptid = va_arg(ap, pid_t *);
    void *tls = va_arg(ap, void *);
    pid_t *ctid = va_arg(ap, pid_t *);
    va_end(ap);
    struct thread *t = self_here();
    struct clone_start here = {fn, arg, true}, *beside;
    uintptr_t identity;
    int r;
    if (!t || !fn || !stack || (flags & CLONE_VM && flags & CLONE_SETTLS))
        return next(clone)(fn, stack, flags, arg, ptid, tls, ctid);
    if (!(flags & CLONE_VM))
        return next(clone)(clone_child, stack, flags, &here, ptid, tls, ctid);
    if (flags & CLONE_VFORK) {
        struct inherit_saved saved;
        child_shares_memory(t, &saved);
        r = next(clone)(fn, stack, flags, arg, ptid, tls, ctid);
        child_is_gone(t, &saved);
        return r;
    }
    if (!(beside = clone_identity(&identity))) {
        errno = ENOMEM;
        return -1;
    }
    *beside = (struct clone_start){fn, arg, false};
    section_begin();
    mask_lend(t);
    r = next(clone)(clone_child, stack, flags | CLONE_SETTLS, beside, ptid, (void *)identity, ctid);
    mask_take_back(t);
    section_end();
    return r;
}

/* A fork by number, from syscall(): which of these calls return in a child with memory of its own?
 */
bool process_is_fork(long nr, long a) {
    if (nr == SYS_fork)
        return true;
    if (nr == SYS_clone)
        return !((unsigned long)a & CLONE_VM);
    return nr == SYS_clone3 && a && !(*(const uint64_t *)a & CLONE_VM);
}

/* ---- exec ---- */

/* In a section before nobody is kept from kicking this M, so that it is this one. */
static void exec_begin(struct thread *t, struct inherit_saved *saved) {
    section_begin();
    sig_exec_begin();
    inherit_begin(t, saved, false);
}

static void exec_failed(struct thread *t, const struct inherit_saved *saved) {
    sig_exec_failed();
    inherit_end(t, saved, false);
    section_end();
}

/* What is pending stays so, in the kernel: it gets a copy, which is dropped if the exec fails. */
#define EXEC(call)                                                                                 \
    ({                                                                                             \
        struct thread *t_ = self_here();                                                           \
        struct inherit_saved saved_;                                                               \
        int copies_ = 0;                                                                           \
        if (t_) {                                                                                  \
            exec_begin(t_, &saved_);                                                               \
            copies_ = sig_copy_to_kernel(t_);                                                      \
        }                                                                                          \
        int r_ = (call);                                                                           \
        if (t_) {                                                                                  \
            int err_ = errno;                                                                      \
            sig_drop_copies(copies_);                                                              \
            errno = err_;                                                                          \
            exec_failed(t_, &saved_);                                                              \
        }                                                                                          \
        r_;                                                                                        \
    })

SHIM_API int shim_execve(const char *path, char *const argv[], char *const envp[]) {
    return EXEC(next(execve)(path, argv, envp));
}
SHIM_API int shim_execv(const char *path, char *const argv[]) {
    return EXEC(next(execve)(path, argv, environ));
}
SHIM_API int shim_execvpe(const char *file, char *const argv[], char *const envp[]) {
    return EXEC(next(execvpe)(file, argv, envp));
}
SHIM_API int shim_execvp(const char *file, char *const argv[]) {
    return EXEC(next(execvpe)(file, argv, environ));
}
SHIM_API int shim_fexecve(int fd, char *const argv[], char *const envp[]) {
    return EXEC(next(fexecve)(fd, argv, envp));
}
SHIM_API int shim_execveat(int dir, const char *path, char *const argv[], char *const envp[],
                           int flags) {
    return EXEC(next(execveat)(dir, path, argv, envp, flags));
}

/* The arguments as an array on the stack of the caller of this macro; `ap` ends behind the NULL. */
#define ARGV_OF(ap, first, argv)                                                                   \
    va_list count_;                                                                                \
    size_t n_ = 1;                                                                                 \
    va_copy(count_, ap);                                                                           \
    while (va_arg(count_, char *))                                                                 \
        n_++;                                                                                      \
    va_end(count_);                                                                                \
    char *argv[n_ + 1];                                                                            \
    argv[0] = (char *)(first);                                                                     \
    for (size_t i_ = 1; i_ <= n_; i_++)                                                            \
    argv[i_] = va_arg(ap, char *)

SHIM_API int shim_execl(const char *path, const char *arg, ...) {
    va_list ap;
    va_start(ap, arg);
    ARGV_OF(ap, arg, argv);
    va_end(ap);
    return shim_execv(path, argv);
}
SHIM_API int shim_execlp(const char *file, const char *arg, ...) {
    va_list ap;
    va_start(ap, arg);
    ARGV_OF(ap, arg, argv);
    va_end(ap);
    return shim_execvp(file, argv);
}
SHIM_API int shim_execle(const char *path, const char *arg, ...) {
    va_list ap;
    va_start(ap, arg);
    ARGV_OF(ap, arg, argv);
    char *const *envp = va_arg(ap, char *const *);
    va_end(ap);
    return shim_execve(path, argv, envp);
}

/* ---- spawning ---- */

/* libc makes the child with what the kernel's mask is now, and the parent's thread stands still
 * until the exec: without its P, and in a section, so that it stays on this M before. */
#define SPAWN(call)                                                                                \
    ({                                                                                             \
        struct thread *t_ = self_here();                                                           \
        struct inherit_saved saved_;                                                               \
        if (t_)                                                                                    \
            inherit_begin(t_, &saved_, true);                                                      \
        __auto_type r_ = (call);                                                                   \
        if (t_)                                                                                    \
            inherit_end(t_, &saved_, true);                                                        \
        r_;                                                                                        \
    })

SHIM_API int shim_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
                              const posix_spawnattr_t *attr, char *const argv[],
                              char *const envp[]) {
    return SPAWN(next(posix_spawn)(pid, path, fa, attr, argv, envp));
}
SHIM_API int shim_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
                               const posix_spawnattr_t *attr, char *const argv[],
                               char *const envp[]) {
    return SPAWN(next(posix_spawnp)(pid, file, fa, attr, argv, envp));
}

/* glibc has these two since 2.39. The child's pidfd instead of its id; the rest is the same. */
int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *fa,
                const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);
int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *fa,
                 const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);

static int pidfd_born(int err, const int *pidfd) {
    if (!err)
        fd_born(*pidfd);
    return err;
}

SHIM_API int shim_pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *fa,
                              const posix_spawnattr_t *attr, char *const argv[],
                              char *const envp[]) {
    if (!next_has(pidfd_spawn))
        return ENOSYS;
    return pidfd_born(SPAWN(next(pidfd_spawn)(pidfd, path, fa, attr, argv, envp)), pidfd);
}
SHIM_API int shim_pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *fa,
                               const posix_spawnattr_t *attr, char *const argv[],
                               char *const envp[]) {
    if (!next_has(pidfd_spawnp))
        return ENOSYS;
    return pidfd_born(SPAWN(next(pidfd_spawnp)(pidfd, file, fa, attr, argv, envp)), pidfd);
}

SHIM_API FILE *shim_popen(const char *command, const char *mode) {
    return stream_born(SPAWN(next(popen)(command, mode)));
}

/* Commands in the words are run, by a shell each. */
SHIM_API int shim_wordexp(const char *words, wordexp_t *result, int flags) {
    return SPAWN(next(wordexp)(words, result, flags));
}

/* system(3). libc's own would change the kernel's mask and actions over a long wait, in which this
 * G may have to run a handler and go on elsewhere. Several at once share one saved pair of actions.
 */
static pthread_mutex_t system_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned system_calls;
static struct sigaction system_int, system_quit;

static void system_begin(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    pthread_mutex_lock(&system_lock);
    if (system_calls++ == 0) {
        sigaction(SIGINT, &ignore, &system_int);
        sigaction(SIGQUIT, &ignore, &system_quit);
    }
    pthread_mutex_unlock(&system_lock);
}

static void system_end(void) {
    pthread_mutex_lock(&system_lock);
    if (--system_calls == 0) {
        sigaction(SIGINT, &system_int, NULL);
        sigaction(SIGQUIT, &system_quit, NULL);
    }
    pthread_mutex_unlock(&system_lock);
}

/* As glibc: the child goes too. */
static void system_cancelled(void *child) {
    pid_t pid = *(pid_t *)child;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    system_end();
}

static int system_spawn(const char *command, const sigset_t *mask, pid_t *pid) {
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    posix_spawnattr_t attr;
    sigset_t dfl;
    sigemptyset(&dfl);
    if (system_int.sa_handler != SIG_IGN)
        sigaddset(&dfl, SIGINT);
    if (system_quit.sa_handler != SIG_IGN)
        sigaddset(&dfl, SIGQUIT);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, mask);
    posix_spawnattr_setsigdefault(&attr, &dfl);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int err = posix_spawn(pid, "/bin/sh", NULL, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    return err;
}

/* The status, or -1 with errno. Cancelled, the child is killed. */
static int system_wait(pid_t pid) {
    int status = -1;
    pthread_cleanup_push(system_cancelled, &pid);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    pthread_cleanup_pop(0);
    return status;
}

static int system_run(const char *command) {
    sigset_t chld, old;
    pid_t pid = 0;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    system_begin();
    sigprocmask(SIG_BLOCK, &chld, &old);
    int err = system_spawn(command, &old, &pid);
    int status = err ? 127 << 8 /* as if the shell could not be run */ : system_wait(pid);
    err = err ? err : errno;
    system_end();
    sigprocmask(SIG_SETMASK, &old, NULL);
    errno = err;
    return status;
}

SHIM_API int shim_system(const char *command) {
    if (!self_here())
        return next(system)(command);
    return command ? system_run(command) : system_run("exit 0") == 0;
}

SHIM_API int shim_pclose(FILE *f) {
    if (!g_may_park())
        return next(pclose)(f);
    fd_forget(fileno(f));
    return LIBC_CALL_BLOCK(next(pclose)(f));
}
