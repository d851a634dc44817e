/* setuid_threads.c - setgroups, setgid and setuid with threads change the ids of the whole process:
 * each kernel thread, whatever it does, says so; errors change nothing; threads made later have
 * them too */
#include "check.h"

#include <dirent.h>
#include <grp.h>
#include <sys/wait.h>

enum { THREADS = 12, ID = 12345 };

static int stop, fd[2];

static void *body(void *arg) {
    char c;
    long kind = (long)arg % 4;
    while (!get(&stop)) {
        if (kind == 0)
            usleep(1000);
        else if (kind == 1)
            sched_yield();
        else if (kind == 2) {
            (void)!read(fd[0], &c, 1);
            break;
        } else {
            for (volatile int i = 0; i < 100000; i++)
                ;
            sched_yield();
        }
    }
    return NULL;
}

/* Every thread of the kernel's: how many have this id in all four places. */
static void expect_ids(const char *line, unsigned id) {
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir, "/proc/self/task: errno %d", errno);
    struct dirent *e;
    int seen = 0;
    while ((e = readdir(dir))) {
        char path[300], text[256];
        unsigned ids[4];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        if (!f)
            continue; /* it has ended */
        while (fgets(text, sizeof text, f))
            if (strncmp(text, line, strlen(line)) == 0) {
                WANT(sscanf(text + strlen(line), "%u %u %u %u", ids, ids + 1, ids + 2, ids + 3), 4);
                for (int i = 0; i < 4; i++)
                    CHECK(ids[i] == id, "thread %s: expected %s %u, came %s", e->d_name, line, id,
                          text);
                seen++;
            }
        fclose(f);
    }
    closedir(dir);
    CHECK(seen > 1, "expected several kernel threads, came %d", seen);
}

static void *changes(void *arg) {
    gid_t groups[] = {ID, ID + 1};
    DONE(setgroups(2, groups));
    WANT(getgroups(0, NULL), 2);
    DONE(setgid(ID));
    expect_ids("Gid:", ID);
    DONE(setegid(ID));
    DONE(seteuid(0));
    DONE(setuid(ID));
    expect_ids("Uid:", ID);
    FAILS(setuid(0), EPERM);
    FAILS(setgroups(0, NULL), EPERM);
    expect_ids("Uid:", ID);
    return arg;
}

static void run(void) {
    pthread_t threads[THREADS], t;
    DONE(pipe(fd));
    for (long i = 0; i < THREADS; i++)
        threads[i] = spawn(body, (void *)i);
    pause_ms(20);
    t = spawn(changes, NULL);
    join(t);
    WANT(getuid(), ID);
    pthread_t more[THREADS];
    for (long i = 0; i < THREADS; i++)
        more[i] = spawn(body, (void *)i);
    pause_ms(20);
    expect_ids("Uid:", ID);
    set(&stop, 1);
    close(fd[1]);
    join_all(threads, THREADS);
    join_all(more, THREADS);
}

int main(void) {
    check_start();
    if (geteuid() != 0)
        check_skip("needs root");
    run();
    return 0;
}
