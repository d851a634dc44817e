/* lookup_gives_ours.c - thread functions that a program looks up are those that it calls by name:
 * by dlsym and dlvsym, of the global scope, the next library, libc's own handle, that of a library
 * which has libc in its scope, and the program's; RTLD_NEXT still begins behind the caller, and
 * what is not found stays so
 */
#include "util.h"

#include <gnu/lib-names.h>
#include <semaphore.h>

/* Of a function that this program has itself, the next one is libc's. */
int getpagesize(void);
int getpagesize(void) { return 42; }

static const struct {
    const char *name, *version;
} functions[] = {
    {"pthread_create", "GLIBC_2.34"},
    {"pthread_create", "GLIBC_2.2.5"},
    {"pthread_mutex_lock", "GLIBC_2.2.5"},
    {"pthread_cond_wait", "GLIBC_2.3.2"},
    {"pthread_cond_wait", "GLIBC_2.2.5"},
    {"sem_post", "GLIBC_2.34"},
    {"read", "GLIBC_2.2.5"},
    {"nanosleep", "GLIBC_2.2.5"},
};

static bool in_library(void *function) {
    Dl_info info;
    CHECK(dladdr(function, &info), "expected dladdr to know %p", function);
    return strstr(info.dli_fname, "/libgthread.so") != NULL;
}

/* Ours under the library, libc's else. */
static void *right(void *found, const char *name, const char *how) {
    CHECK(found, "expected %s to find %s", how, name);
    CHECK(in_library(found) == check_expects("lib"),
          "%s %s: expected the one that is called by "
          "name, came another",
          how, name);
    return found;
}

static void *handle_of(const char *library) {
    void *handle = dlopen(library, RTLD_LAZY);
    CHECK(handle, "expected dlopen(%s) to succeed", library ? library : "NULL");
    return handle;
}

static sem_t done;
static int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static int (*lock)(pthread_mutex_t *);
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int count;

static void *run(void *arg) {
    for (int i = 0; i < 1000; i++) {
        OK((i % 2 ? lock : pthread_mutex_lock)(&mutex));
        count++;
        OK(pthread_mutex_unlock(&mutex));
    }
    DONE(sem_post(&done));
    return arg;
}

int main(void) {
    check_start();
    void *handles[] = {RTLD_DEFAULT,       RTLD_NEXT,
                       handle_of(LIBC_SO), handle_of(LIBPTHREAD_SO),
                       handle_of(LIBM_SO), handle_of(NULL)};
    for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++)
        for (unsigned h = 0; h < sizeof handles / sizeof *handles; h++) {
            const char *name = functions[i].name, *version = functions[i].version;
            right(dlsym(handles[h], name), name, "dlsym");
            right(dlvsym(handles[h], name, version), name, version);
        }
    /* Not ours: as ever. */
    int (*next)(void) = (int (*)(void))dlsym(RTLD_NEXT, "getpagesize");
    WANT(next(), sysconf(_SC_PAGESIZE));
    CHECK(dlvsym(RTLD_NEXT, "getpagesize", "GLIBC_2.2.5") == (void *)next,
          "expected dlvsym to find the next one too");
    for (unsigned h = 0; h < sizeof handles / sizeof *handles; h++) {
        dlerror();
        CHECK(!dlsym(handles[h], "no_such_function_of_ours"), "expected to find nothing");
        CHECK(dlerror(), "expected dlerror to say so");
        CHECK(!dlvsym(handles[h], "getpagesize", "GLIBC_0.1"), "expected to find nothing");
        CHECK(dlerror(), "expected dlerror to say so");
    }
    /* Those that were looked up and those that were not go together. */
    create = (__typeof__(create))dlsym(handles[2], "pthread_create");
    lock = (__typeof__(lock))dlvsym(handles[2], "pthread_mutex_lock", "GLIBC_2.2.5");
    DONE(sem_init(&done, 0, 0));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        OK((i % 2 ? create : pthread_create)(&threads[i], NULL, run, NULL));
    for (int i = 0; i < 4; i++)
        DONE(sem_wait(&done));
    join_all(threads, 4);
    WANT(count, 4000);
    return 0;
}
