/* main_returns.c - return from main ends the process, whatever the threads are doing */
#include "util.h"

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int arrived, pipe_ends[2];

static void *busy_or_blocked(void *arg) {
    char c;
    add(&arrived, 1);
    switch ((intptr_t)arg % 5) {
    case 0:
        pthread_mutex_lock(&held);
        break;
    case 1:
        CHECK(read(pipe_ends[0], &c, 1) < 0, "expected read to block for ever");
        break;
    case 2:
        sleep(1000);
        break;
    case 3:
        while (pthread_mutex_trylock(&held) == EBUSY)
            sched_yield();
        break;
    default:
        pthread_cond_wait(&cond, (pthread_mutex_t[]){PTHREAD_MUTEX_INITIALIZER});
    }
    check_fail("expected no blocked thread to go on");
}

static void handler(void) { printf("handled\n"); }

static int process(void) {
    pthread_t threads[20];
    alarm(50);
    atexit(handler);
    OK(pthread_mutex_lock(&held));
    spawn_all(threads, 20, busy_or_blocked);
    wait_until(&arrived, 20);
    pause_ms(10);
    printf("returning\n");
    return 23; /* from main: see there */
}

int main(void) {
    check_start();
    char text[100] = "";
    int out[2];
    DONE(pipe(pipe_ends));
    DONE(pipe(out));
    pid_t pid = (pid_t)DONE(fork()); /* before there are threads */
    if (pid == 0) {
        DONE(dup2(out[1], 1));
        return process();
    }
    DONE(close(out[1]));
    child_exits(pid, 23);
    DONE(read(out[0], text, sizeof text - 1));
    CHECK(strcmp(text, "returning\nhandled\n") == 0,
          "expected the line and then the exit handler's, came %s", text);
    return 0;
}
