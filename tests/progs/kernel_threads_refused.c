/* kernel_threads_refused.c - at RLIMIT_NPROC: EAGAIN, a word when nobody can go on, nothing lost
 *
 * A user of its own may have SOME kernel threads. It makes more threads that each wait in the
 * kernel for a file lock, which the parent gives up later. On NPTL those that cannot be are EAGAIN.
 * Under the library all can be; so many are in the kernel that none runs, which is said on stderr
 * once; and when the lock is free all of them end. With one kernel thread only there is no thread:
 * EAGAIN.
 */
#include "util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { SOME = 8, MANY = 20, WATCH_MS = 20000 };

static int file;
static int locked; /* how many have got it */

static void as_other_user(rlim_t processes) {
    uid_t uid = 100000 + (uid_t)getpid(); /* whom no process belongs to yet */
    struct rlimit l = {processes, processes};
    DONE(setrlimit(RLIMIT_NPROC, &l));
    DONE(setresuid(uid, uid, uid));
}

static void *wait_for_lock(void *arg) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    DONE(fcntl(file, F_SETLKW, &lock));
    add(&locked, 1);
    return arg;
}

static void many_wait(void) {
    pthread_t threads[MANY];
    int n = 0, error = 0;
    as_other_user(SOME);
    while (n < MANY && !(error = pthread_create(&threads[n], NULL, wait_for_lock, as_pointer(n))))
        n++;
    CHECK(n == MANY || error == EAGAIN, "expected EAGAIN, came %s", check_name_of(error));
    if (check_expects("lib"))
        WANT(n, MANY);
    for (int i = 0; i < n; i++)
        WANT(join(threads[i]), i);
    WANT(get(&locked), n);
}

static void none_at_all(void) {
    pthread_t thread;
    as_other_user(1);
    for (int i = 0; i < 3; i++) {
        ERR(pthread_create(&thread, NULL, wait_for_lock, NULL), EAGAIN);
        pause_ms(20);
    }
}

/* Runs part in a child whose stderr is `err`. */
static pid_t child_runs(void (*part)(void), int err) {
    pid_t pid = (pid_t)DONE(fork());
    if (pid == 0) {
        DONE(dup2(err, 2));
        part();
        _exit(0);
    }
    return pid;
}

/* How often the library has said that nobody can go on. */
static int times_said(int err) {
    static char text[4096];
    ssize_t n = DONE(pread(err, text, sizeof text - 1, 0));
    int times = 0;
    text[n] = 0;
    for (const char *at = text; (at = strstr(at, "no thread can go on")); at++)
        times++;
    return times;
}

static void fails_with(const char *what, int err) {
    static char text[4096];
    text[DONE(pread(err, text, sizeof text - 1, 0))] = 0;
    check_fail("%s: %s", what, text);
}

static void want_end(pid_t pid, int err) {
    int status;
    WANT(waitpid(pid, &status, 0), pid);
    if (status)
        fails_with("the child failed", err);
}

int main(void) {
    check_start();
    if (geteuid() != 0)
        check_skip("not root: the limit would count this user's other processes");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    file = (int)DONE(memfd_create("lock", 0));
    int err = (int)DONE(memfd_create("stderr", 0)), err2 = (int)DONE(memfd_create("stderr", 0));
    DONE(fcntl(file, F_SETLK, &lock));
    pid_t pid = child_runs(many_wait, err);
    if (check_expects("lib"))
        for (int ms = 0; !times_said(err); ms++) {
            if (ms == WATCH_MS)
                fails_with("nothing was said of the threads that cannot go on", err);
            pause_ms(1);
        }
    else
        pause_ms(20);
    lock.l_type = F_UNLCK;
    DONE(fcntl(file, F_SETLK, &lock));
    want_end(pid, err);
    WANT(times_said(err), check_expects("lib") ? 1 : 0);
    want_end(child_runs(none_at_all, err2), err2);
    return 0;
}
