/* quota.c - is the CPU limit of a cgroup found? In made-up /proc files and cgroup directories: each
 * version, a container's own view of them, limits further up, names with blanks */
#include "interpose/quota.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/gthread-quota-XXXXXX";

static void make_top(void) {
    strcpy(top, "/tmp/gthread-quota-XXXXXX");
    cr_assert(mkdtemp(top), "mkdtemp: %s", strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void remove_top(void) { nftw(top, remove_one, 10, FTW_DEPTH | FTW_PHYS); }

TestSuite(quota, .init = make_top, .fini = remove_top);

/* Writes a file below the directory, and the directories above it. */
static void put(const char *name, const char *text) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", top, name);
    for (char *slash = path + strlen(top); (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %s", path, strerror(errno));
}

/* A /proc/self/mountinfo, in which each @ is the directory. */
static void put_mounts(const char *text) {
    char whole[4096];
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '@')
            n += (size_t)snprintf(whole + n, sizeof whole - n, "%s", top);
        else
            whole[n++] = *text;
    }
    whole[n] = 0;
    put("proc/mountinfo", whole);
}

static void expect(uint32_t cpus) {
    char proc[PATH_MAX];
    snprintf(proc, sizeof proc, "%s/proc", top);
    uint32_t found = quota_cpus(proc);
    cr_assert(found == cpus, "expected %u CPUs, came %u", cpus, found);
}

#define V2_MOUNT "30 23 0:26 / @/cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHER_MOUNTS                                                                               \
    "23 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"                                    \
    "24 23 0:5 / /proc rw - proc proc rw\n"

Test(quota, version_2) {
    put("proc/cgroup", "0::/a/b\n");
    put_mounts(OTHER_MOUNTS V2_MOUNT);
    put("cg/a/b/cpu.max", "250000 100000\n");
    expect(3); /* rounded up */
    put("cg/a/b/cpu.max", "200000 100000\n");
    expect(2);
    put("cg/a/b/cpu.max", "1000 100000\n");
    expect(1);
    put("cg/a/b/cpu.max", "max 100000\n");
    expect(0);
}

Test(quota, the_least_of_those_above) {
    put("proc/cgroup", "0::/a/b/c\n");
    put_mounts(V2_MOUNT);
    put("cg/a/b/c/cpu.max", "800000 100000\n");
    put("cg/a/b/cpu.max", "max 100000\n");
    put("cg/a/cpu.max", "400000 100000\n");
    expect(4);
    put("cg/cpu.max", "100000 50000\n"); /* in a container the mount's root has one */
    expect(2);
}

Test(quota, version_1) {
    put("proc/cgroup", "5:memory:/other\n4:cpu,cpuacct:/docker/0123\n0::/\n");
    put_mounts(OTHER_MOUNTS "31 23 0:28 / @/mem rw - cgroup cgroup rw,memory\n"
                            "32 23 0:29 / @/cpu rw - cgroup cgroup rw,cpu,cpuacct\n" V2_MOUNT);
    put("cpu/docker/0123/cpu.cfs_quota_us", "150000\n");
    put("cpu/docker/0123/cpu.cfs_period_us", "100000\n");
    put("cpu/docker/cpu.cfs_quota_us", "-1\n");
    put("cpu/docker/cpu.cfs_period_us", "100000\n");
    put("cg/cpu.max", "100000 100000\n"); /* not where the controller is */
    expect(2);
    put("cpu/docker/0123/cpu.cfs_quota_us", "-1\n");
    expect(0);
}

/* Docker with version 1: the directory is mounted, but the process's cgroup is named from outside.
 */
Test(quota, the_mount_is_a_cgroup_further_down) {
    put("proc/cgroup", "4:cpu:/docker/0123/inner\n");
    put_mounts("32 23 0:29 /docker/0123 @/cpu ro - cgroup cgroup rw,cpu\n");
    put("cpu/inner/cpu.cfs_quota_us", "-1\n");
    put("cpu/inner/cpu.cfs_period_us", "100000\n");
    put("cpu/cpu.cfs_quota_us", "300000\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    expect(3);
    put("proc/cgroup", "4:cpu:/docker/01234\n"); /* another one, with a longer name */
    put("cpu/4/cpu.cfs_quota_us", "100000\n");
    put("cpu/4/cpu.cfs_period_us", "100000\n");
    expect(3);
    put("proc/cgroup", "4:cpu:/../elsewhere\n"); /* outside of the cgroup namespace */
    expect(3);
}

Test(quota, names_with_blanks) {
    put("proc/cgroup", "0::/a b\n");
    put_mounts("30 23 0:26 / @/my\\040cg rw - cgroup2 cgroup2 rw\n");
    put("my cg/a b/cpu.max", "200000 100000\n");
    expect(2);
}

Test(quota, what_cannot_be_told) {
    expect(0); /* no files */
    put("proc/cgroup", "");
    expect(0);
    put("proc/cgroup", "nonsense\n:\n::\n0::/\n");
    expect(0); /* no mountinfo */
    put_mounts("nonsense\n - \n1 2 3 - cgroup2 x rw\n30 23 0:26 / @/cg rw - cgroup2\n");
    expect(0);
    put_mounts(V2_MOUNT);
    expect(0); /* no cpu.max */
    const char *const bad[] = {"", "x", "100000", "100000 0", "-5 100000", "100000 -1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("cg/cpu.max", bad[i]);
        expect(0);
    }
    char text[6000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    put("proc/cgroup", text);
    expect(0);
}
