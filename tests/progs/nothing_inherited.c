/* nothing_inherited.c - a thread starts clean, whatever the former owner of its stack has left */
#include "check.h"

#include <dlfcn.h>
#include <locale.h>
#include <netdb.h>
#include <signal.h>

static locale_t other;
static int dirty_ran, clean_ran;

/* Leaves everything in disorder, and ends. */
static void *dirty(void *arg) {
    errno = EXDEV;
    h_errno = NO_RECOVERY;
    uselocale(other);
    CHECK(dlopen("/nonexistent/library.so", RTLD_NOW) == NULL, "expected dlopen to fail");
    CHECK(strerror(12345) != NULL && strsignal(99) != NULL, "expected some text");
    strtok((char[]){"a,b,c"}, ",");
    OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
    OK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL));
    sigset_t all;
    sigfillset(&all);
    OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
    OK(pthread_setname_np(pthread_self(), "dirty"));
    add(&dirty_ran, 1);
    return arg;
}

static void *clean(void *arg) {
    int state, type;
    char name[16];
    sigset_t mask;
    WANT(errno, 0);
    WANT(h_errno, 0);
    CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE, "expected the global locale");
    CHECK(dlerror() == NULL, "expected no dlerror text");
    OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state));
    WANT(state, PTHREAD_CANCEL_ENABLE);
    OK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type));
    WANT(type, PTHREAD_CANCEL_DEFERRED);
    OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
    WANT(sigismember(&mask, SIGUSR1), 0); /* the creator's mask, not the former thread's */
    WANT(sigismember(&mask, SIGUSR2), 1);
    OK(pthread_getname_np(pthread_self(), name, sizeof name));
    CHECK(strcmp(name, "nothing_inherit") == 0, "expected the creator's name, came %s", name);
    add(&clean_ran, 1);
    pthread_exit(arg);
}

int main(void) {
    check_start();
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    OK(pthread_sigmask(SIG_BLOCK, &usr2, NULL));
    other = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    CHECK(other != (locale_t)0, "expected newlocale to know C.UTF-8");
    for (int i = 0; i < 20; i++) {
        run_all(10, dirty);
        run_all(10, clean);
        join(spawn(dirty, NULL));
        join(spawn(clean, NULL));
    }
    WANT(dirty_ran, 220);
    WANT(clean_ran, 220);
    return 0;
}
