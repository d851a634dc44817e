/* quota.c - how many CPUs the cgroup's bandwidth limit allows
 *
 * The limit is in files of the process's cgroup and of each one above it, as far up as the mount
 * shows (cgroups(7); Documentation/admin-guide/cgroup-v2.rst, cpu.max; scheduler/sched-bwc.rst,
 * cpu.cfs_quota_us). Which directory that is takes two files: /proc/self/cgroup names the cgroup in
 * each hierarchy, /proc/self/mountinfo says where that is mounted and which cgroup its root is: in
 * a container mostly the container's own. Where the cpu controller is in a hierarchy of version 1,
 * the one of version 2 has no limit.
 *
 * Without stdio's streams and malloc: this runs in the first pthread_create, which may be malloc's.
 */
#include "interpose/quota.h"
#include "interpose/words.h"

#include "syscall.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- lines of a file ---- */

/* A longer line is cut: what we look for in mountinfo stands in lines of two paths. */
#define LINE_MAX_BYTES 1024

struct lines {
    long fd;
    uint32_t at, n;
    char buf[1024], line[LINE_MAX_BYTES];
};

static bool lines_open(struct lines *l, const char *path) {
    l->at = l->n = 0;
    l->fd = sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    return l->fd >= 0;
}

/* One byte, or -1 at the end. */
static int next_byte(struct lines *l) {
    if (l->at == l->n) {
        long n = sys(SYS_read, l->fd, l->buf, sizeof l->buf);
        if (n <= 0)
            return -1;
        l->at = 0;
        l->n = (uint32_t)n;
    }
    return (unsigned char)l->buf[l->at++]; // NOLINT: the kernel has filled it
}

/* The next line, in l->line. False at the end. */
static bool lines_next(struct lines *l) {
    size_t n = 0;
    int c;
    while ((c = next_byte(l)) >= 0 && c != '\n')
        if (n < sizeof l->line - 1 && c)
            l->line[n++] = (char)c;
    l->line[n] = 0;
    return n || c >= 0;
}

static void lines_close(struct lines *l) { sys(SYS_close, l->fd); }

/* ---- which directory ---- */

struct place {
    bool found, v1;
    char group[LINE_MAX_BYTES];   /* the cgroup, from /proc/self/cgroup */
    char dir[2 * LINE_MAX_BYTES]; /* its directory.. */
    size_t top;                   /* ..and how much of that is the mount point */
};

/* A line of /proc/self/cgroup, `hierarchy:controllers:path`. False: another may be better. */
static bool group_line(struct place *p, char *line) {
    char *controllers = strchr(line, ':'),
         *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return false;
    *path++ = 0;
    bool v1 = words_have(++controllers, ',', "cpu"), v2 = !*controllers;
    if (!v1 && (!v2 || p->v1))
        return false;
    p->found = true;
    p->v1 = v1;
    memcpy(p->group, path, strlen(path) + 1);
    return false;
}

/* mountinfo writes blanks and backslashes as \ and three octal digits. In place. */
static void unescape(char *s) {
    char *to = s;
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = 0;
}

/* What of `group` lies below the mount's root; the whole mount if it is not below. */
static const char *below(const char *group, const char *root) {
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(group, root, n) != 0 || (group[n] != '/' && group[n] != 0) ||
        strncmp(group, "/..", 3) == 0)
        return "";
    return strcmp(group + n, "/") == 0 ? "" : group + n;
}

/* A line of /proc/self/mountinfo (proc(5)): `id parent dev ROOT POINT options [tags] - TYPE source
 * OPTIONS`. True: the hierarchy's. */
static bool mount_line(struct place *p, char *line) {
    char *word[5], *rest = strstr(line, " - "), *type, *options;
    if (!rest)
        return false;
    *rest = 0;
    type = rest + 3;
    options = strchr(type, ' ');
    options = options ? strchr(options + 1, ' ') : NULL;
    size_t type_len = strcspn(type, " ");
    const char *want = p->v1 ? "cgroup" : "cgroup2";
    if (!options || type_len != strlen(want) || memcmp(type, want, type_len) != 0 ||
        (p->v1 && !words_have(options + 1, ',', "cpu")))
        return false;
    char *save = NULL;
    for (int i = 0; i < 5; i++)
        if (!(word[i] = strtok_r(i ? NULL : line, " ", &save)))
            return false;
    unescape(word[3]);
    unescape(word[4]);
    p->top = strlen(word[4]);
    snprintf(p->dir, sizeof p->dir, "%s%s", word[4], below(p->group, word[3]));
    return true;
}

/* Calls `line` for each line until it says so. */
static bool each_line(const char *path, bool (*line)(struct place *, char *), struct place *p) {
    struct lines l;
    bool done = false;
    if (!lines_open(&l, path))
        return false;
    while (!done && lines_next(&l))
        done = line(p, l.line);
    lines_close(&l);
    return done;
}

/* ---- the limit ---- */

/* The first line of dir/name in l->line. */
static bool first_line(struct lines *l, const char *dir, const char *name) {
    char path[2 * LINE_MAX_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!lines_open(l, path))
        return false;
    bool any = lines_next(l);
    lines_close(l);
    return any;
}

/* CPUs, rounded up, that this one cgroup may use; 0: no limit. `max` and -1 are none. */
static uint32_t limit_of(const struct place *p) {
    struct lines l;
    long quota = 0, period = 0;
    if (p->v1) {
        if (first_line(&l, p->dir, "cpu.cfs_quota_us"))
            sscanf(l.line, "%ld", &quota);
        if (first_line(&l, p->dir, "cpu.cfs_period_us"))
            sscanf(l.line, "%ld", &period);
    } else if (first_line(&l, p->dir, "cpu.max")) {
        sscanf(l.line, "%ld %ld", &quota, &period);
    }
    if (quota <= 0 || period <= 0)
        return 0;
    long cpus = quota / period + (quota % period != 0);
    return cpus > UINT32_MAX ? 0 : (uint32_t)cpus;
}

uint32_t quota_cpus(const char *proc) {
    struct place p = {0};
    char path[64];
    snprintf(path, sizeof path, "%s/cgroup", proc);
    each_line(path, group_line, &p);
    snprintf(path, sizeof path, "%s/mountinfo", proc);
    if (!p.found || !each_line(path, mount_line, &p))
        return 0;
    uint32_t least = 0;
    for (;;) {
        uint32_t cpus = limit_of(&p);
        if (cpus && (!least || cpus < least))
            least = cpus;
        char *slash = strrchr(p.dir + p.top, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}
