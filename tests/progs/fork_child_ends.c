/* fork_child_ends.c - the one thread of a fork's child ends as a thread does: it returns, it calls
 * pthread_exit, before and after the child has made threads of its own */
#include "util.h"

enum { WAYS = 4 };

static void *nothing(void *arg) { return arg; }

static int ended_here;
static void at_exit(void) { _exit(ended_here ? 7 : 8); }

/* Forks; the child then ends in one of the ways. The exit status shows that exit() ran. */
static void *forker(void *arg) {
    long way = (long)(intptr_t)arg;
    pid_t pid = (pid_t)DONE(fork());
    if (pid) {
        child_exits(pid, 7);
        return NULL;
    }
    ended_here = 1;
    if (way >= 2)
        run_all(3, nothing);
    if (way % 2)
        pthread_exit(NULL);
    return NULL;
}

int main(void) {
    check_start();
    atexit(at_exit);
    for (long way = 0; way < WAYS; way++) /* from a thread */
        join(spawn(forker, as_pointer(way)));
    for (long way = 1; way < WAYS; way += 2) /* and from main */
        forker(as_pointer(way));
    _exit(0);
}
