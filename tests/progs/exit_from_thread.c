/* exit_from_thread.c - exit(3) in a thread: handlers run once, the status counts, others don't */
#include "util.h"

static int handled, pipe_ends[2], go;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void at_end(void) {
    char c = (char)('0' + add(&handled, 1));
    if (write(pipe_ends[1], &c, 1) != 1)
        _exit(98);
    sched_yield(); /* handlers may block, while others go on */
    pause_ms(5);
}

static void *blocked(void *arg) {
    char c;
    wait_until(&go, 1);
    switch ((intptr_t)arg % 3) {
    case 0:
        pthread_mutex_lock(&held);
        break;
    case 1:
        if (read(0, &c, 1) == 0) /* may come to an end in time: then sleep */
            pause_ms(100000);
        break;
    default:
        for (volatile int i = 0;; i++) /* runs on, now and then giving way */
            if (i % 100000 == 0)
                sched_yield();
    }
    return NULL;
}

static void *exits(void *arg) {
    set(&go, 1);
    pause_ms(10);
    printf("buffered %d\n", (int)(intptr_t)arg); /* stdout is a pipe: flushed by exit */
    exit((int)(intptr_t)arg);
}

static void process(int status) {
    pthread_t threads[9];
    alarm(50);
    OK(atexit(at_end));
    OK(atexit(at_end));
    DONE(dup2(pipe_ends[1], 1));
    OK(pthread_mutex_lock(&held));
    spawn_all(threads, 9, blocked);
    join(spawn(exits, as_pointer(status)));
    _exit(99);
}

int main(void) {
    check_start();
    char text[100] = "", want[100];
    static const int statuses[] = {0, 1, 55, 255};
    for (int i = 0; i < 4; i++) {
        DONE(pipe(pipe_ends));
        pid_t pid = (pid_t)DONE(fork());
        if (pid == 0)
            process(statuses[i]);
        DONE(close(pipe_ends[1]));
        child_exits(pid, statuses[i]);
        long n = DONE(read(pipe_ends[0], text, sizeof text - 1));
        text[n] = 0;
        snprintf(want, sizeof want, "12buffered %d\n", statuses[i]);
        CHECK(strcmp(text, want) == 0, "expected %s, came %s", want, text);
        DONE(close(pipe_ends[0]));
    }
    return 0;
}
