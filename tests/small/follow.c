/* follow.c - is the library in this process, and in its children? Prints LD_PRELOAD as well */
#include "check.h"

#include <sys/wait.h>

static const char *const count = "grep -c 'libgthread.so' /proc/self/maps; true";

static void *body(void *arg) {
    int here = check_library_mapped(), there = -1;
    FILE *f = popen(count, "r");
    CHECK(f, "popen");
    WANT(fscanf(f, "%d", &there), 1);
    WANT(pclose(f), 0);
    const char *preload = getenv("LD_PRELOAD");
    printf("here %d, in a child %d, LD_PRELOAD %s\n", here, there > 0, preload ? preload : "unset");
    return arg;
}

int main(void) {
    check_start();
    pthread_t t = spawn(body, NULL);
    join(t);
    return 0;
}
