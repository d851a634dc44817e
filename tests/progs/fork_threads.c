/* fork_threads.c - fork in a threaded process: the child has one thread, and can do everything */
#include "util.h"

#include <sys/syscall.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int stop, prepared, in_parent, in_child, alive;
static __thread int mine;

static void *churn(void *arg) {
    while (!get(&stop)) { /* in malloc, in stdio and switching, most of the time */
        free(malloc(100 + (size_t)arg));
        add(&alive, 1);
        sched_yield();
    }
    return NULL;
}

static void *child_thread(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    usleep(1000);
    free(malloc(5000));
    return as_pointer((intptr_t)arg + 1);
}

static void in_the_child(int me) {
    pthread_t threads[10];
    alarm(50);
    WANT(mine, me); /* our TLS, and we are this thread */
    WANT(gettid(), getpid());
    WANT(syscall(SYS_gettid), getpid());
    WANT(in_child, 1);
    int before = get(&alive);
    pause_ms(5);
    WANT(get(&alive), before);       /* the others are not here */
    OK(pthread_mutex_unlock(&held)); /* locked by us before the fork */
    char *memory = malloc(100000);
    CHECK(memory, "expected memory in the child");
    memset(memory, 1, 100000);
    free(memory);
    OK(pthread_mutex_lock(&mutex));
    pthread_t waited = spawn(child_thread, as_pointer(1));
    OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    WANT(join(waited), 2);
    for (int round = 0; round < 3; round++) {
        spawn_all(threads, 10, child_thread);
        for (int i = 0; i < 10; i++)
            WANT(join(threads[i]), i + 1);
    }
    pid_t grandchild = (pid_t)DONE(fork());
    if (grandchild == 0)
        _exit((int)(intptr_t)join(spawn(child_thread, as_pointer(8))));
    child_exits(grandchild, 9);
    exit(40 + me); /* with the handlers, of which there are none */
}

static void *forker(void *arg) {
    mine = (int)(intptr_t)arg;
    for (int i = 0; i < 3; i++) {
        OK(pthread_mutex_lock(&held));
        pid_t pid = (pid_t)DONE(fork());
        if (pid == 0)
            in_the_child(mine);
        OK(pthread_mutex_unlock(&held));
        child_exits(pid, 40 + mine);
    }
    return NULL;
}

static void prepare(void) { add(&prepared, 1); }

static void parent(void) { add(&in_parent, 1); }

static void child(void) { in_child = 1; }

int main(void) {
    check_start();
    pthread_t threads[6];
    OK(pthread_atfork(prepare, parent, child));
    spawn_all(threads, 6, churn);
    join(spawn(forker, as_pointer(1))); /* from a thread */
    forker(as_pointer(0));              /* from main */
    run_all(3, forker);                 /* from several at once */
    WANT(prepared, 15);
    WANT(in_parent, 15);
    WANT(in_child, 0);
    set(&stop, 1);
    join_all(threads, 6);
    return 0;
}
