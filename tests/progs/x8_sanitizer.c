/* x8_sanitizer.c - a program with a sanitizer's runtime (here: with its symbol), which must know
 * each kernel thread, gets one line on stderr and the system's threads (DANGERS X8) */
#include "check.h"

#include <fcntl.h>
#include <sys/syscall.h>

char __tsan_init[1]; /* exported: see tests.mk */

static void *run(void *arg) {
    long tid;
    __asm__ volatile("syscall" : "=a"(tid) : "0"(SYS_gettid) : "rcx", "r11", "memory");
    WANT(gettid(), tid);
    return arg;
}

int main(void) {
    check_start();
    int fd[2], err = (int)DONE(dup(2));
    char text[600] = "";
    DONE(pipe2(fd, O_NONBLOCK));
    DONE(dup2(fd[1], 2));
    for (int i = 0; i < 5; i++)
        run_all(10, run);
    DONE(dup2(err, 2));
    ssize_t n = read(fd[0], text, sizeof text - 1);
    if (!check_expects("lib")) {
        CHECK(n < 0 && errno == EAGAIN, "expected nothing on stderr, came %s", text);
        return 0;
    }
    CHECK(n > 0, "expected a line on stderr, came nothing");
    CHECK(strstr(text, "gthread: ThreadSanitizer") == text && strchr(text, '\n') == text + n - 1,
          "expected one line that names ThreadSanitizer, came %s", text);
    return 0;
}
