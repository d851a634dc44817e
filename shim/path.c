/* path.c - calls that look up, make and take away names of files, bracketed
 *
 * Mostly answered from the kernel's caches in a microsecond; from a cold disk or another machine's
 * it takes milliseconds, in which the P serves others. What only changes an inode that was looked
 * up before (chmod, times, attributes) is left to sysmon (interpose/surface.tab).
 */
#include "shim/bracket.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What programs linked before glibc 2.33 call for stat and its kin. */
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
/* What fortified callers call. */
ssize_t __readlink_chk(const char *path, char *b, size_t n, size_t size);
ssize_t __readlinkat_chk(int dir, const char *path, char *b, size_t n, size_t size);
char *__realpath_chk(const char *path, char *to, size_t size);

/* ---- asking ---- */

KEEP(int, stat, (const char *path, struct stat *st), (path, st))
KEEP(int, lstat, (const char *path, struct stat *st), (path, st))
KEEP(int, fstatat, (int dir, const char *path, struct stat *st, int fl), (dir, path, st, fl))
KEEP(int, statx, (int dir, const char *path, int fl, unsigned mask, struct statx *st),
     (dir, path, fl, mask, st))
KEEP(int, __xstat, (int version, const char *path, struct stat *st), (version, path, st))
KEEP(int, __lxstat, (int version, const char *path, struct stat *st), (version, path, st))
KEEP(int, __fxstatat, (int version, int dir, const char *path, struct stat *st, int fl),
     (version, dir, path, st, fl))
KEEP(int, access, (const char *path, int mode), (path, mode))
KEEP(int, faccessat, (int dir, const char *path, int mode, int fl), (dir, path, mode, fl))
KEEP(ssize_t, readlink, (const char *path, char *b, size_t n), (path, b, n))
KEEP(ssize_t, readlinkat, (int dir, const char *path, char *b, size_t n), (dir, path, b, n))
KEEP(ssize_t, __readlink_chk, (const char *path, char *b, size_t n, size_t size),
     (path, b, n, size))
KEEP(ssize_t, __readlinkat_chk, (int dir, const char *path, char *b, size_t n, size_t size),
     (dir, path, b, n, size))
KEEP(char *, __realpath_chk, (const char *path, char *to, size_t size), (path, to, size))
KEEP(char *, realpath, (const char *path, char *to), (path, to))
KEEP(char *, canonicalize_file_name, (const char *path), (path))
KEEP(int, statfs, (const char *path, struct statfs *st), (path, st))
KEEP(int, fstatfs, (int fd, struct statfs *st), (fd, st))
KEEP(int, statvfs, (const char *path, struct statvfs *st), (path, st))
KEEP(int, fstatvfs, (int fd, struct statvfs *st), (fd, st))

/* ---- making and taking away ---- */

KEEP(int, mkdir, (const char *path, mode_t mode), (path, mode))
KEEP(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
KEEP(int, rmdir, (const char *path), (path))
KEEP(int, unlink, (const char *path), (path))
KEEP(int, unlinkat, (int dir, const char *path, int fl), (dir, path, fl))
KEEP(int, remove, (const char *path), (path))
KEEP(int, rename, (const char *from, const char *to), (from, to))
KEEP(int, renameat, (int fd, const char *from, int td, const char *to), (fd, from, td, to))
KEEP(int, renameat2, (int fd, const char *from, int td, const char *to, unsigned fl),
     (fd, from, td, to, fl))
KEEP(int, link, (const char *from, const char *to), (from, to))
KEEP(int, linkat, (int fd, const char *from, int td, const char *to, int fl),
     (fd, from, td, to, fl))
KEEP(int, symlink, (const char *text, const char *to), (text, to))
KEEP(int, symlinkat, (const char *text, int dir, const char *to), (text, dir, to))
KEEP(int, truncate, (const char *path, off_t n), (path, n))
