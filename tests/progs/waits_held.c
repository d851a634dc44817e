/* waits_held.c - the calls on files, names and devices that mostly are answered at once, when they
 * are not: a disk or a server that does not answer. See held_call.h for how, waits.h for the
 * trials. needs: time
 */
#include "held_call.h"
#include "waits.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netdb.h>
#include <pwd.h>
#include <shadow.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <syslog.h>
#include <termios.h>

/* Fortified callers' entries; the headers have them only as inline functions. */
ssize_t __pread_chk(int fd, void *b, size_t n, off_t at, size_t size);
ssize_t __readlink_chk(const char *path, char *b, size_t n, size_t size);
ssize_t __readlinkat_chk(int dir, const char *path, char *b, size_t n, size_t size);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);
char *__realpath_chk(const char *path, char *to, size_t size);

static int file;
static char b[8192];
static const char *const there = "/etc/passwd", *const nowhere = "/nowhere/at/all";

/* What a function that returns a pointer, an error number or nothing comes to. */
static long pointer(const void *p) { return p ? 0 : -errno; }
#define POINTER(name, expr)                                                                        \
    static long name(void) { return pointer(expr); }
#define NUMBER(name, expr)                                                                         \
    static long name(void) { return -(expr); }

/* ---- what is on the disk, or is to be ---- */

#define V (&(struct iovec){b, 1})
CALL(c_pread, pread(file, b, 1, 0))
CALL(c_pread_chk, __pread_chk(file, b, 1, 0, sizeof b))
CALL(c_pwrite, pwrite(file, b, 1, 0))
CALL(c_preadv, preadv(file, V, 1, 0))
CALL(c_pwritev, pwritev(file, V, 1, 0))
CALL(c_preadv2, preadv2(file, V, 1, 0, 0))
CALL(c_pwritev2, pwritev2(file, V, 1, 0, 0))
CALL(c_read, read(file, b, 1))
CALL(c_readv, readv(file, V, 1))
CALL(c_writev, writev(file, V, 1))
CALL(c_close, close(file))
CALL(c_fsync, fsync(file))
CALL(c_fdatasync, fdatasync(file))
CALL(c_sync, (sync(), 0))
CALL(c_syncfs, syncfs(file))
CALL(c_sync_file_range, sync_file_range(file, 0, 1, 0))
CALL(c_msync, msync(NULL, 1, MS_SYNC))
CALL(c_fallocate, fallocate(file, 0, 0, 1))
NUMBER(c_posix_fallocate, posix_fallocate(file, 0, 1))
NUMBER(c_posix_fadvise, posix_fadvise(file, 0, 1, POSIX_FADV_WILLNEED))
CALL(c_readahead, readahead(file, 0, 1))
CALL(c_ftruncate, ftruncate(file, 0))
CALL(c_truncate, truncate(nowhere, 0))
CALL(c_copy_file_range, copy_file_range(file, NULL, file, NULL, 1, 0))
CALL(c_getdents64, getdents64(file, b, sizeof b))

/* ---- names of files ---- */

static struct stat st;
static struct statx sx;
static struct statfs fs;
static struct statvfs vfs;
CALL(c_stat, stat(there, &st))
CALL(c_lstat, lstat(there, &st))
CALL(c_fstatat, fstatat(AT_FDCWD, there, &st, 0))
CALL(c_statx, statx(AT_FDCWD, there, 0, STATX_SIZE, &sx))
CALL(c_access, access(there, R_OK))
CALL(c_faccessat, faccessat(AT_FDCWD, there, R_OK, 0))
CALL(c_readlink, readlink(there, b, sizeof b))
CALL(c_readlinkat, readlinkat(AT_FDCWD, there, b, sizeof b))
CALL(c_readlink_chk, __readlink_chk(there, b, sizeof b, sizeof b))
CALL(c_readlinkat_chk, __readlinkat_chk(AT_FDCWD, there, b, sizeof b, sizeof b))
POINTER(c_realpath, realpath(there, b))
POINTER(c_realpath_chk, __realpath_chk(there, b, sizeof b))
POINTER(c_canonicalize, canonicalize_file_name(there))
CALL(c_statfs, statfs(there, &fs))
CALL(c_fstatfs, fstatfs(file, &fs))
CALL(c_statvfs, statvfs(there, &vfs))
CALL(c_fstatvfs, fstatvfs(file, &vfs))
CALL(c_mkdir, mkdir(nowhere, 0700))
CALL(c_mkdirat, mkdirat(AT_FDCWD, nowhere, 0700))
CALL(c_rmdir, rmdir(nowhere))
CALL(c_unlink, unlink(nowhere))
CALL(c_unlinkat, unlinkat(AT_FDCWD, nowhere, 0))
CALL(c_remove, remove(nowhere))
CALL(c_rename, rename(nowhere, nowhere))
CALL(c_renameat, renameat(AT_FDCWD, nowhere, AT_FDCWD, nowhere))
CALL(c_renameat2, renameat2(AT_FDCWD, nowhere, AT_FDCWD, nowhere, RENAME_NOREPLACE))
CALL(c_link, link(nowhere, nowhere))
CALL(c_linkat, linkat(AT_FDCWD, nowhere, AT_FDCWD, nowhere, 0))
CALL(c_symlink, symlink(nowhere, nowhere))
CALL(c_symlinkat, symlinkat(nowhere, AT_FDCWD, nowhere))

/* ---- what returns a descriptor ---- */

CALL(c_open, open(there, O_RDONLY))
CALL(c_openat, openat(AT_FDCWD, there, O_RDONLY))
CALL(c_creat, creat(nowhere, 0600))
POINTER(c_fopen, fopen(there, "r"))
POINTER(c_freopen, freopen(there, "r", fdopen(dup(file), "r")))
POINTER(c_opendir, opendir("/"))
CALL(c_shm_open, shm_open("/nowhere", O_RDONLY, 0))
CALL(c_mq_open, mq_open("/nowhere", O_RDONLY))
CALL(c_memfd_create, memfd_create("none", 0))
CALL(c_epoll_create, epoll_create(1))
CALL(c_epoll_create1, epoll_create1(0))
CALL(c_timerfd_create, timerfd_create(CLOCK_MONOTONIC, 0))
CALL(c_inotify_init, inotify_init())
CALL(c_inotify_init1, inotify_init1(0))
CALL(c_fanotify_init, fanotify_init(0, 0))
CALL(c_pidfd_open, pidfd_open(1, 0))
CALL(c_pidfd_getfd, pidfd_getfd(file, 0, 0))

/* ---- terminals, and what the kernel knows at random ---- */

static struct termios t;
CALL(c_tcdrain, tcdrain(file))
CALL(c_tcsendbreak, tcsendbreak(file, 0))
CALL(c_tcsetattr, tcsetattr(file, TCSADRAIN, &t))
CALL(c_ioctl, ioctl(file, TCSBRK, 1))
CALL(c_getrandom, getrandom(b, 16, GRND_RANDOM))
CALL(c_getentropy, getentropy(b, 16))

/* ---- users, groups and services: files, where there is no server. Only that they come back ----
 */

static struct passwd pw, *p;
static struct group gr, *g;
static struct spwd sp, *s;
static gid_t ids[32];
static int n_ids = 32;
#define NAMES(name, expr)                                                                          \
    static long name(void) { return (long)(expr)&0; }
NAMES(c_getpwnam, getpwnam("root"))
NAMES(c_getpwuid, getpwuid(0))
NAMES(c_getpwnam_r, getpwnam_r("root", &pw, b, sizeof b, &p))
NAMES(c_getpwuid_r, getpwuid_r(0, &pw, b, sizeof b, &p))
NAMES(c_getpwent, (setpwent(), getpwent()))
NAMES(c_getpwent_r, (setpwent(), getpwent_r(&pw, b, sizeof b, &p)))
NAMES(c_getgrnam, getgrnam("root"))
NAMES(c_getgrgid, getgrgid(0))
NAMES(c_getgrnam_r, getgrnam_r("root", &gr, b, sizeof b, &g))
NAMES(c_getgrgid_r, getgrgid_r(0, &gr, b, sizeof b, &g))
NAMES(c_getgrent, (setgrent(), getgrent()))
NAMES(c_getgrent_r, (setgrent(), getgrent_r(&gr, b, sizeof b, &g)))
NAMES(c_getgrouplist, getgrouplist("root", 0, ids, &n_ids))
NAMES(c_getspnam, getspnam("root"))
NAMES(c_getspnam_r, getspnam_r("root", &sp, b, sizeof b, &s))
NAMES(c_syslog, (syslog(LOG_DEBUG | LOG_USER, "waits_held"), closelog(), 0))
static void log_with(bool checks, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    if (checks)
        __vsyslog_chk(LOG_DEBUG | LOG_USER, 1, format, ap);
    else
        vsyslog(LOG_DEBUG | LOG_USER, format, ap);
    va_end(ap);
    closelog();
}
NAMES(c_vsyslog, (log_with(false, "waits_held"), 0))
NAMES(c_vsyslog_chk, (log_with(true, "waits_held"), 0))
static int port;
NAMES(c_rresvport, (port = IPPORT_RESERVED - 1, rresvport(&port)))
NAMES(c_rresvport_af, (port = IPPORT_RESERVED - 1, rresvport_af(&port, AF_INET)))
static struct addrinfo *ai;
NAMES(c_getaddrinfo, getaddrinfo(NULL, "http", NULL, &ai))

/* Requests that libc's own threads serve: those wait, and these for them. */
static struct gaicb request, *requests[] = {&request};
static struct timespec soon = {0, TIMED_MS *MS_NS};
/* glibc 2.36 says EAI_SYSTEM when the time is over, the manual EAI_AGAIN. */
static long gai(int r) {
    return r == EAI_INTR ? -EINTR : r == EAI_AGAIN || r == EAI_SYSTEM ? -EAGAIN : 0;
}
CALL(c_gai_suspend, gai(gai_suspend((const struct gaicb *const *)requests, 1, NULL)))
CALL(t_gai_suspend, gai(gai_suspend((const struct gaicb *const *)requests, 1, &soon)))
CALL(c_getaddrinfo_a, gai(getaddrinfo_a(GAI_WAIT, requests, 1, NULL)))

/* ---- the table ---- */

/* A call of one of two numbers, for libc has changed from one to the other; -1: no other. */
static const struct held_row {
    const char *name;
    int numbers[2];
    long (*call)(void);
    long want;
    enum on_signal on_signal;
    bool cancels;
    long (*timed)(void);
} held_rows[] = {
/* clang-format off */
#define ROW(name, call, nr, other, cancels) \
    {name, {nr, other}, call, -HELD_ERROR, RESTARTS, cancels, NULL},
#define QUIET(name, call, nr, other) {name, {nr, other}, call, 0, NO_TRIAL, false, NULL},
    ROW("pread", c_pread, SYS_pread64, -1, true)
    ROW( "__pread_chk", c_pread_chk, SYS_pread64, -1, true)
    ROW("pwrite", c_pwrite, SYS_pwrite64, -1, true)
    ROW("preadv", c_preadv, SYS_preadv, -1, true)
    ROW("pwritev", c_pwritev, SYS_pwritev, -1, true)
    ROW("preadv2", c_preadv2, SYS_preadv2, SYS_preadv, true)
    ROW("pwritev2", c_pwritev2, SYS_pwritev2, SYS_pwritev, true)
    ROW( "read of a file", c_read, SYS_read, -1, true)
    ROW("readv of a file", c_readv, SYS_readv, -1, true)
    ROW("writev to a file", c_writev, SYS_writev, -1, true)
    ROW("close", c_close, SYS_close, -1, true)
    ROW("fsync", c_fsync, SYS_fsync, -1, true)
    ROW( "fdatasync", c_fdatasync, SYS_fdatasync, -1, true)
    QUIET("sync", c_sync, SYS_sync, -1)
    ROW("syncfs", c_syncfs, SYS_syncfs, -1, false)
    ROW("sync_file_range", c_sync_file_range, SYS_sync_file_range, -1, true)
    ROW("msync", c_msync, SYS_msync, -1, true)
    ROW( "fallocate", c_fallocate, SYS_fallocate, -1, true)
    ROW("posix_fallocate", c_posix_fallocate, SYS_fallocate, -1, false)
    ROW("posix_fadvise", c_posix_fadvise, SYS_fadvise64, -1, false)
    ROW("readahead", c_readahead, SYS_readahead, -1, false)
    ROW("ftruncate", c_ftruncate, SYS_ftruncate, -1, false)
    ROW( "truncate", c_truncate, SYS_truncate, -1, false)
    ROW("copy_file_range", c_copy_file_range, SYS_copy_file_range, -1, true)
    ROW("getdents64", c_getdents64, SYS_getdents64, -1, false)
    ROW("stat", c_stat, SYS_newfstatat, SYS_stat, false)
    ROW( "lstat", c_lstat, SYS_newfstatat, SYS_lstat, false)
    ROW("fstatat", c_fstatat, SYS_newfstatat, -1, false)
    ROW("statx", c_statx, SYS_statx, -1, false)
    ROW("access", c_access, SYS_access, SYS_faccessat, false)
    ROW("faccessat", c_faccessat, SYS_faccessat, SYS_faccessat2, false)
    ROW( "readlink", c_readlink, SYS_readlink, SYS_readlinkat, false)
    ROW("readlinkat", c_readlinkat, SYS_readlinkat, -1, false)
    ROW("__readlink_chk", c_readlink_chk, SYS_readlink, SYS_readlinkat, false)
    ROW("__readlinkat_chk", c_readlinkat_chk, SYS_readlinkat, -1, false)
    ROW("realpath", c_realpath, SYS_readlink, SYS_readlinkat, false)
    ROW( "__realpath_chk", c_realpath_chk, SYS_readlink, SYS_readlinkat, false)
    ROW("canonicalize_file_name", c_canonicalize, SYS_readlink, SYS_readlinkat, false)
    ROW("statfs", c_statfs, SYS_statfs, -1, false)
    ROW("fstatfs", c_fstatfs, SYS_fstatfs, -1, false)
    ROW( "statvfs", c_statvfs, SYS_statfs, -1, false)
    ROW("fstatvfs", c_fstatvfs, SYS_fstatfs, -1, false)
    ROW("mkdir", c_mkdir, SYS_mkdir, SYS_mkdirat, false)
    ROW("mkdirat", c_mkdirat, SYS_mkdirat, -1, false)
    ROW( "rmdir", c_rmdir, SYS_rmdir, SYS_unlinkat, false)
    ROW("unlink", c_unlink, SYS_unlink, SYS_unlinkat, false)
    ROW("unlinkat", c_unlinkat, SYS_unlinkat, -1, false)
    ROW("remove", c_remove, SYS_unlink, SYS_unlinkat, false)
    ROW( "rename", c_rename, SYS_rename, SYS_renameat, false)
    ROW("renameat", c_renameat, SYS_renameat, SYS_renameat2, false)
    ROW("renameat2", c_renameat2, SYS_renameat2, -1, false)
    ROW("link", c_link, SYS_link, SYS_linkat, false)
    ROW( "linkat", c_linkat, SYS_linkat, -1, false)
    ROW("symlink", c_symlink, SYS_symlink, SYS_symlinkat, false)
    ROW("symlinkat", c_symlinkat, SYS_symlinkat, -1, false)
    ROW("open of a file", c_open, SYS_openat, -1, true)
    ROW( "openat of a file", c_openat, SYS_openat, -1, true)
    ROW("creat of a file", c_creat, SYS_creat, -1, true)
    ROW("fopen of a file", c_fopen, SYS_openat, -1, true)
    ROW( "freopen", c_freopen, SYS_openat, -1, true)
    ROW("opendir", c_opendir, SYS_openat, -1, false)
    ROW("shm_open", c_shm_open, SYS_openat, -1, false)
    ROW("mq_open", c_mq_open, SYS_mq_open, -1, false)
    ROW( "memfd_create", c_memfd_create, SYS_memfd_create, -1, false)
    ROW("epoll_create", c_epoll_create, SYS_epoll_create, SYS_epoll_create1, false)
    ROW("epoll_create1", c_epoll_create1, SYS_epoll_create1, -1, false)
    ROW("timerfd_create", c_timerfd_create, SYS_timerfd_create, -1, false)
    ROW("inotify_init", c_inotify_init, SYS_inotify_init, SYS_inotify_init1, false)
    ROW("inotify_init1", c_inotify_init1, SYS_inotify_init1, -1, false)
    ROW("fanotify_init", c_fanotify_init, SYS_fanotify_init, -1, false)
    ROW("pidfd_open", c_pidfd_open, SYS_pidfd_open, -1, false)
    ROW("pidfd_getfd", c_pidfd_getfd, SYS_pidfd_getfd, -1, false)
    ROW("tcdrain", c_tcdrain, SYS_ioctl, -1, true)
    ROW("tcsendbreak", c_tcsendbreak, SYS_ioctl, -1, false)
    ROW("tcsetattr", c_tcsetattr, SYS_ioctl, -1, false)
    ROW("ioctl", c_ioctl, SYS_ioctl, -1, false)
    ROW("getrandom", c_getrandom, SYS_getrandom, -1, true)
    {"getentropy", {SYS_getrandom, -1}, c_getentropy, -HELD_ERROR, UNMOVED, false, NULL},
    QUIET("getpwnam", c_getpwnam, SYS_openat, -1)
    QUIET("getpwuid", c_getpwuid, SYS_openat, -1)
    QUIET("getpwnam_r", c_getpwnam_r, SYS_openat, -1)
    QUIET("getpwuid_r", c_getpwuid_r, SYS_openat, -1)
    QUIET("getpwent", c_getpwent, SYS_openat, -1)
    QUIET("getpwent_r", c_getpwent_r, SYS_openat, -1)
    QUIET("getgrnam", c_getgrnam, SYS_openat, -1)
    QUIET("getgrgid", c_getgrgid, SYS_openat, -1)
    QUIET("getgrnam_r", c_getgrnam_r, SYS_openat, -1)
    QUIET("getgrgid_r", c_getgrgid_r, SYS_openat, -1)
    QUIET("getgrent", c_getgrent, SYS_openat, -1)
    QUIET("getgrent_r", c_getgrent_r, SYS_openat, -1)
    QUIET("getgrouplist", c_getgrouplist, SYS_openat, -1)
    QUIET("getspnam", c_getspnam, SYS_openat, -1)
    QUIET("getspnam_r", c_getspnam_r, SYS_openat, -1)
    QUIET("syslog", c_syslog, SYS_socket, -1)
    QUIET("vsyslog", c_vsyslog, SYS_socket, -1)
    QUIET("__vsyslog_chk", c_vsyslog_chk, SYS_socket, -1)
    QUIET("rresvport", c_rresvport, SYS_socket, -1)
    QUIET("rresvport_af", c_rresvport_af, SYS_socket, -1)
    QUIET("getaddrinfo of a service", c_getaddrinfo, SYS_openat, -1)
    {"gai_suspend", {SYS_openat, -1}, c_gai_suspend, 0, RESTARTS, false, t_gai_suspend},
    {"getaddrinfo_a", {SYS_openat, -1}, c_getaddrinfo_a, 0, NO_TRIAL, false, NULL},
    /* clang-format on */
};

enum { ROWS = sizeof held_rows / sizeof *held_rows };

static const struct held_row *row_now(void) {
    const struct held_row *r = held_rows;
    while (r->name != waits_row)
        r++;
    return r;
}

/* Of calls that the library makes for itself too: what tells this program's. */
static int first_argument(int number) {
    switch (number) {
    case SYS_read:
    case SYS_close:
        return file;
    case SYS_openat:
        return AT_FDCWD;
    default:
        return HELD_NONE;
    }
}

static void make(void) {
    const struct held_row *r = row_now();
    file = (int)DONE(memfd_create("file", 0)); /* in case it goes on after all */
    set(&held->only_fd, first_argument(r->numbers[0]));
    request = (struct gaicb){.ar_service = "http"};
    set(&held->released, 0);
    set(&held->numbers[1], r->numbers[1]);
    set(&held->numbers[0], r->numbers[0]);
    if (r->call == c_gai_suspend)
        WANT(getaddrinfo_a(GAI_NOWAIT, requests, 1, NULL), 0);
}

DO(release, set(&held->released, 1))

static void clear(void) {
    release();
    while (row_now()->timed && gai_error(&request) == EAI_INPROGRESS)
        pause_ms(1);
    set(&held->numbers[0], HELD_NONE);
    set(&held->numbers[1], HELD_NONE);
    DONE(close(file));
}

int main(int argc, char **argv) {
    static struct row rows[ROWS];
    int numbers[2 * ROWS];
    size_t n = 0;
    (void)argc;
    check_start();
    for (size_t i = 0; i < ROWS; i++) {
        const struct held_row *h = &held_rows[i];
        rows[i] = (struct row){h->name,      make,       clear,    h->call, release, h->want,
                               h->on_signal, h->cancels, h->timed, -EAGAIN, NULL,    0};
        numbers[n++] = h->numbers[0];
        if (h->numbers[1] >= 0)
            numbers[n++] = h->numbers[1];
    }
    held_start(argv, numbers, n);
    waits_rows(rows, ROWS);
    return 0;
}
