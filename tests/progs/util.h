/* util.h - helpers that several test programs, but not most, share */
#ifndef UTIL_H
#define UTIL_H

#include "check.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>

/* Opens a helper library, which lies in lib/ beside the program. */
static inline void *open_helper(const char *name) {
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = DONE(readlink("/proc/self/exe", self, sizeof self - 1));
    self[n] = 0;
    *strrchr(self, '/') = 0;
    snprintf(path, sizeof path, "%s/lib/%s.so", self, name);
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library, "expected dlopen to succeed, came %s", dlerror());
    return library;
}

static inline void *find_symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    CHECK(found, "expected dlsym to find %s", name);
    return found;
}

/* Wait for that child and want this exit status. */
static inline void child_exits(pid_t pid, int want) {
    int status;
    WANT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == want,
          "expected the child to exit with %d, came wait status %x", want, (unsigned)status);
}

/* A system call that no library sees, of up to four arguments. The result, or -errno. */
static inline long unseen_call(long nr, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* How many KB of memory are resident. */
static inline long resident_kb(void) {
    long pages;
    FILE *statm = fopen("/proc/self/statm", "re");
    CHECK(statm, "expected /proc/self/statm to open");
    WANT(fscanf(statm, "%*d %ld", &pages), 1);
    fclose(statm);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#endif
