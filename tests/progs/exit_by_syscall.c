/* exit_by_syscall.c - a thread that ends by the exit system call itself can be joined */
#include "check.h"

#include <sys/syscall.h>

static void *leaver(void *arg) {
    syscall(SYS_exit, 0);
    return arg;
}

int main(void) {
    check_start();
    for (int i = 0; i < 50; i++)
        run_all(4, leaver);
    return 0;
}
