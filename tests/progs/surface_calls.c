/* surface_calls.c - calls that are intercepted only to be announced do what libc's do: results and
 * errors of each, before the first thread and on a thread; and the odd ones of syscall() */
#include "util.h"

#include <dirent.h>
#include <grp.h>
#include <linux/futex.h>
#include <mntent.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pty.h>
#include <pwd.h>
#include <shadow.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <termios.h>
#include <utmp.h>
#include <wordexp.h>

static char dir[64], a[96], b[96];

static void files(void) {
    char buf[4096], real[PATH_MAX];
    int fd = (int)DONE(open(a, O_RDWR | O_CREAT | O_EXCL, 0600));
    DONE(fallocate(fd, 0, 0, 8192));
    OK(posix_fallocate(fd, 8192, 4096));
    ERR(posix_fallocate(-1, 0, 1), EBADF);
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    WANT(readahead(fd, 0, 4096), 0);
    DONE(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
    DONE(syncfs(fd));
    FAILS(syncfs(-1), EBADF);
    DONE(ftruncate(fd, 5));
    struct stat st;
    DONE(stat(a, &st));
    WANT(st.st_size, 5);
    DONE(truncate(a, 7));
    DONE(lstat(a, &st));
    WANT(st.st_size, 7);
    DONE(fstatat(AT_FDCWD, a, &st, 0));
    struct statx sx;
    DONE(statx(AT_FDCWD, a, 0, STATX_SIZE, &sx));
    WANT(sx.stx_size, 7);
    FAILS(stat("/nowhere/at/all", &st), ENOENT);
    DONE(access(a, R_OK));
    FAILS(faccessat(AT_FDCWD, b, F_OK, 0), ENOENT);
    struct statfs fs;
    struct statvfs vfs;
    DONE(statfs(a, &fs));
    DONE(fstatfs(fd, &fs));
    DONE(statvfs(a, &vfs));
    DONE(fstatvfs(fd, &vfs));
    CHECK(vfs.f_blocks == fs.f_blocks, "expected statvfs to tell what statfs does");
    DONE(close(fd));

    DONE(symlink(a, b));
    WANT(readlink(b, buf, sizeof buf), strlen(a));
    WANT(readlinkat(AT_FDCWD, b, buf, sizeof buf), strlen(a));
    CHECK(realpath(b, real) && strcmp(real, a) == 0, "expected %s, came %s", a, real);
    char *name = canonicalize_file_name(b);
    CHECK(name && strcmp(name, a) == 0, "expected %s", a);
    free(name);
    DONE(unlink(b));
    DONE(symlinkat(a, AT_FDCWD, b));
    DONE(unlinkat(AT_FDCWD, b, 0));
    DONE(link(a, b));
    DONE(unlink(b));
    DONE(linkat(AT_FDCWD, a, AT_FDCWD, b, 0));
    FAILS(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE), EEXIST);
    DONE(remove(b));
    DONE(rename(a, b));
    DONE(renameat(AT_FDCWD, b, AT_FDCWD, a));
    DONE(unlink(a));
    DONE(mkdir(a, 0700));
    DONE(rmdir(a));
    DONE(mkdirat(AT_FDCWD, a, 0700));
    fd = (int)DONE(open(a, O_RDONLY | O_DIRECTORY));
    CHECK(getdents64(fd, buf, sizeof buf) > 0, "expected . and ..");
    DONE(close(fd));
    DONE(remove(a));
}

static void terminals(void) {
    int master, slave, status;
    struct termios t;
    DONE(openpty(&master, &slave, NULL, NULL, NULL));
    DONE(tcgetattr(slave, &t));
    t.c_lflag &= ~(tcflag_t)ECHO;
    DONE(tcsetattr(slave, TCSADRAIN, &t));
    DONE(tcdrain(slave));
    DONE(tcsendbreak(slave, 0));
    int peer = (int)DONE(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    WANT(write(peer, "x", 1), 1);
    DONE(close(peer));
    DONE(close(slave));
    DONE(close(master));
    DONE(close((int)DONE(getpt())));
    pid_t pid = (pid_t)DONE(forkpty(&master, NULL, NULL, NULL));
    if (!pid)
        _exit(isatty(0) && isatty(2) ? 5 : 6);
    WANT(waitpid(pid, &status, 0), pid);
    WANT(WEXITSTATUS(status), 5);
    DONE(close(master));
    FAILS(login_tty(-1), EBADF);
}

static void descriptors(void) {
    char name[40], line[256];
    snprintf(name, sizeof name, "/gthread-surface.%d", (int)getpid());
    DONE(close((int)DONE(shm_open(name, O_RDWR | O_CREAT, 0600))));
    DONE(shm_unlink(name));
    FAILS(mq_open(name, O_RDWR), ENOENT);
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 8}, is;
    mqd_t q = (mqd_t)DONE(mq_open(name, O_RDWR | O_CREAT, 0600, &attr));
    DONE(mq_getattr(q, &is));
    WANT(is.mq_msgsize, 8);
    DONE(mq_close(q));
    FAILS(mq_close(q), EBADF);
    DONE(mq_unlink(name));
    int pidfd = (int)DONE(pidfd_open(getpid(), 0));
    DONE(close((int)DONE(pidfd_getfd(pidfd, pidfd, 0))));
    DONE(pidfd_send_signal(pidfd, 0, NULL, 0));
    FAILS(pidfd_send_signal(-1, 0, NULL, 0), EBADF);
    DONE(close(pidfd));
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent one;
    CHECK(mounts && getmntent_r(mounts, &one, line, sizeof line), "expected a mount");
    endmntent(mounts);
    DIR *d = opendir("/");
    CHECK(d && readdir(d), "expected / to have something");
    DONE(closedir(d));
}

static void names(void) {
    struct passwd pw, *p = getpwnam("root");
    struct group gr, *g = getgrgid(0);
    struct spwd sp, *s;
    struct hostent he, *h;
    char buf[8192];
    int err, n = 32;
    gid_t ids[32];
    CHECK(p && p->pw_uid == 0, "getpwnam: expected root");
    CHECK((p = getpwuid(0)) && !strcmp(p->pw_name, "root"), "getpwuid: expected root");
    OK(getpwnam_r("root", &pw, buf, sizeof buf, &p));
    OK(getpwuid_r(0, &pw, buf, sizeof buf, &p));
    ERR(getpwuid_r(0, &pw, buf, 1, &p), ERANGE);
    OK(getpwnam_r("no such user", &pw, buf, sizeof buf, &p));
    CHECK(!p, "expected no such user");
    setpwent();
    OK(getpwent_r(&pw, buf, sizeof buf, &p));
    CHECK(getpwent(), "expected a second user");
    endpwent();
    CHECK(g && getgrnam(g->gr_name), "expected the group of 0");
    OK(getgrgid_r(0, &gr, buf, sizeof buf, &g));
    OK(getgrnam_r("root", &gr, buf, sizeof buf, &g));
    setgrent();
    OK(getgrent_r(&gr, buf, sizeof buf, &g));
    CHECK(getgrent(), "expected a second group");
    endgrent();
    CHECK(getgrouplist("root", 0, ids, &n) >= 1 && ids[0] == 0, "expected root's group");
    getspnam("root");
    getspnam_r("no such user", &sp, buf, sizeof buf, &s);
    CHECK(!s, "expected no such user");
    WANT(innetgr("no such group", "host", "user", "domain"), 0);

    struct addrinfo *ai, hints = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_INET};
    WANT(getaddrinfo("127.0.0.1", "80", &hints, &ai), 0);
    WANT(getnameinfo(ai->ai_addr, ai->ai_addrlen, buf, 64, NULL, 0, NI_NUMERICHOST), 0);
    CHECK(strcmp(buf, "127.0.0.1") == 0, "expected 127.0.0.1, came %s", buf);
    freeaddrinfo(ai);
    CHECK((h = gethostbyname("127.0.0.1")) && h->h_length == 4, "gethostbyname");
    CHECK((h = gethostbyname2("127.0.0.1", AF_INET)) && h->h_length == 4, "gethostbyname2");
    OK(gethostbyname_r("127.0.0.1", &he, buf, sizeof buf, &h, &err));
    OK(gethostbyname2_r("127.0.0.1", AF_INET, &he, buf, sizeof buf, &h, &err));
    struct gaicb request = {.ar_name = "127.0.0.1", .ar_request = &hints}, *list[] = {&request};
    WANT(getaddrinfo_a(GAI_WAIT, list, 1, NULL), 0);
    WANT(gai_error(&request), 0);
    WANT(gai_suspend((const struct gaicb *const *)list, 1, NULL), EAI_ALLDONE);
    freeaddrinfo(request.ar_result);
    syslog(LOG_DEBUG | LOG_USER, "surface_calls of %s: %d", "gthread", 1);
}

static void words(void) {
    wordexp_t w;
    WANT(wordexp("$(echo a b) x", &w, 0), 0);
    WANT(w.we_wordc, 3);
    CHECK(strcmp(w.we_wordv[1], "b") == 0, "expected b, came %s", w.we_wordv[1]);
    wordfree(&w);
    WANT(wordexp("$(echo no)", &w, WRDE_NOCMD), WRDE_CMDSUB);
}

/* ---- by number ---- */

static int fired;
static pthread_t where;
static void on_timer(int sig) {
    (void)sig;
    where = pthread_self();
    set(&fired, 1);
}

static void timers(void) {
    int id = -1;
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
    struct itimerspec in = {{0, 0}, {0, 5 * MS_NS}};
    signal(SIGUSR2, on_timer);
    ev._sigev_un._tid = gettid();
    set(&fired, 0);
    DONE(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
    DONE(syscall(SYS_timer_settime, id, 0, &in, NULL));
    wait_until(&fired, 1);
    CHECK(pthread_equal(where, pthread_self()), "expected the signal on the thread it is for");
    DONE(syscall(SYS_timer_delete, id));
    FAILS(syscall(SYS_timer_delete, id), EINVAL);
}

static void numbers(bool on_thread) {
    uint64_t usr1 = 1UL << (SIGUSR1 - 1);
    int on = 1, status;
    WANT(syscall(SYS_gettid), gettid());
    DONE(close((int)DONE(syscall(SYS_signalfd4, -1, &usr1, 8, SFD_CLOEXEC))));
    int fd = (int)DONE(syscall(SYS_eventfd2, 0, 0));
    DONE(syscall(SYS_ioctl, fd, FIONBIO, &on));
    FAILS(syscall(SYS_read, fd, &usr1, 8), EAGAIN);
    WANT(syscall(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    DONE(syscall(SYS_close, fd));
    FAILS(syscall(SYS_close, fd), EBADF);
    FAILS(syscall(SYS_wait4, -1, &status, WNOHANG, NULL), ECHILD);
    FAILS(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &(struct timespec){0, -1}, NULL),
          EINVAL);
    FAILS(syscall(100000), ENOSYS);
    int id = (int)DONE(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
    char *at = (char *)syscall(SYS_shmat, id, NULL, 0);
    CHECK(at != (char *)-1, "shmat: errno %d", errno);
    DONE(shmdt(at));
    DONE(shmctl(id, IPC_RMID, NULL));
    at = (char *)syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1L, 0L);
    at = (char *)syscall(SYS_mremap, at, 4096L, 8192L, MREMAP_MAYMOVE, NULL);
    CHECK(at != (char *)-1, "mremap: errno %d", errno);
    DONE(munmap(at, 8192));
    if (check_expects("lib") && on_thread) {
        /* On NPTL nobody could join a thread that has done this. */
        WANT(syscall(SYS_set_tid_address, &status), gettid());
        /* Who waits there would be where nobody looks. */
        FAILS(syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0), ENOSYS);
    }
    timers();
}

static void *all(void *on_thread) {
    char bytes[1000];
    files();
    terminals();
    descriptors();
    names();
    words();
    WANT(getrandom(bytes, sizeof bytes, 0), sizeof bytes);
    DONE(getentropy(bytes, 16));
    FAILS(getentropy(bytes, 1000), EIO);
    numbers(on_thread != NULL);
    return NULL;
}

int main(void) {
    check_start();
    snprintf(dir, sizeof dir, "/tmp/surface_calls.XXXXXX");
    CHECK(mkdtemp(dir), "mkdtemp: errno %d", errno);
    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b", dir);
    all(NULL);
    join(spawn(all, dir));
    sync();
    DONE(rmdir(dir));
    return 0;
}
