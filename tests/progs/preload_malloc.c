/* preload_malloc.c - with another malloc in LD_PRELOAD, before or after us, whose locks are then
 * our mutexes: memory goes from thread to thread, threads come and go, one has its own kernel
 * thread */
#include "util.h"

#include <sys/resource.h>

enum { N = 12, ROUNDS = 300 };

static void *slots[64];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *swaps(void *arg) {
    uint64_t rng = check_seed + (uint64_t)(intptr_t)arg;
    if ((intptr_t)arg == 0)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&rng);
        size_t size = 1 + r % (i % 50 ? 2000 : 300000);
        char *mine = malloc(size);
        CHECK(mine, "no memory");
        memset(mine, (int)r, size);
        OK(pthread_mutex_lock(&mutex));
        char *other = slots[r >> 32 & 63];
        slots[r >> 32 & 63] = mine;
        OK(pthread_mutex_unlock(&mutex));
        free(other);
        if (i % 16 == 0)
            sched_yield();
    }
    return arg;
}

static void child(const char *library, bool first) {
    const char *have = getenv("LD_PRELOAD");
    char preload[PATH_MAX], self[PATH_MAX] = "";
    int status;
    DONE(readlink("/proc/self/exe", self, sizeof self - 1));
    snprintf(preload, sizeof preload, "%s %s %s", first ? library : "", have ? have : "",
             first ? "" : library);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        setenv("LD_PRELOAD", preload, 1);
        execl(self, self, library, (char *)NULL);
        _exit(127);
    }
    DONE(waitpid(pid, &status, 0));
    CHECK(status == 0, "LD_PRELOAD=\"%s\": wait status %x", preload, (unsigned)status);
}

static void work(const char *library) {
    void *malloc_of = dlsym(RTLD_DEFAULT, "malloc");
    Dl_info info;
    CHECK(dladdr(malloc_of, &info) && strstr(info.dli_fname, library),
          "malloc is not the one of %s", library);
    for (int i = 0; i < 5; i++)
        run_all(N, swaps);
    pid_t pid = (pid_t)DONE(fork());
    if (!pid) {
        run_all(3, swaps);
        _exit(0);
    }
    child_exits(pid, 0);
}

int main(int argc, char **argv) {
    static const char *const libraries[] = {"libjemalloc.so.2", "libtcmalloc_minimal.so.4"};
    int tried = 0;
    check_start();
    if (argc > 1) {
        work(argv[1]);
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "/usr/lib/x86_64-linux-gnu/%s", libraries[i]);
        if (access(path, R_OK))
            continue;
        tried++;
        child(libraries[i], false);
        child(libraries[i], true);
    }
    if (!tried)
        check_skip("neither libjemalloc2 nor libtcmalloc is installed");
    return 0;
}
