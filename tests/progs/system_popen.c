/* system_popen.c - system(), popen() and posix_spawn() from threads, while others run */
#include "util.h"

#include <spawn.h>

extern char **environ;
static int stop, turns;

static void *churn(void *arg) {
    for (; !get(&stop); sched_yield())
        add(&turns, 1);
    return arg;
}

static void *run(void *arg) {
    int me = (int)(intptr_t)arg;
    char command[80], line[80] = "", want[80];
    snprintf(command, sizeof command, "exit %d", me + 10);
    int status = system(command);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == me + 10,
          "expected exit status %d from system, came %x", me + 10, (unsigned)status);

    snprintf(command, sizeof command, "sleep 0.05; echo out %d; exit 3", me);
    FILE *pipe = popen(command, "re");
    CHECK(pipe, "expected popen to work");
    CHECK(fgets(line, sizeof line, pipe), "expected a line from the command");
    snprintf(want, sizeof want, "out %d\n", me);
    CHECK(strcmp(line, want) == 0, "expected %s, came %s", want, line);
    status = pclose(pipe);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "expected 3 from pclose, came %x",
          (unsigned)status);

    pid_t pid;
    char *argv[] = {"sh", "-c", "exit 5", NULL};
    OK(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ));
    child_exits(pid, 5);
    return NULL;
}

int main(void) {
    check_start();
    pthread_t others[3];
    spawn_all(others, 3, churn);
    run_all(6, run);
    int before = get(&turns);
    run(as_pointer(7)); /* from main */
    CHECK(get(&turns) > before, "expected the others to run while main waits for its command");
    set(&stop, 1);
    join_all(others, 3);
    return 0;
}
