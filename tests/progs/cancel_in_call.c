/* cancel_in_call.c - a cancellation that is pending or arrives in read, poll, accept, waitpid: the
 * thread ends with its cleanup handlers run, and whatever ran on its kernel thread goes on */
#include "check.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { ROUNDS = 20, CALLS = 5 };

static int inside[CALLS], cleaned, pair[2], listener;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void cleanup(void *arg) {
    pause_ms(1); /* the handlers may do what threads do: wait, lock, call the kernel */
    OK(pthread_mutex_lock(&mutex));
    cleaned++;
    OK(pthread_mutex_unlock(&mutex));
    CHECK(write(pair[1], "", 0) == 0, "expected a write in a handler to succeed");
    (void)arg;
}

static void block(int call) {
    struct pollfd p = {pair[0], POLLIN, 0};
    char c;
    switch (call) {
    case 0:
        CHECK(read(pair[0], &c, 1) < 0, "expected read never to return");
        break;
    case 1:
        CHECK(poll(&p, 1, -1) < 0, "expected poll never to return");
        break;
    case 2:
        CHECK(accept(listener, NULL, NULL) < 0, "expected accept never to return");
        break;
    case 3:
        CHECK(recv(pair[0], &c, 1, 0) < 0, "expected recv never to return");
        break;
    default:
        pause();
        break;
    }
    check_fail("expected the call to end by cancellation only");
}

static void *blocker(void *arg) {
    pthread_cleanup_push(cleanup, NULL);
    add(&inside[(intptr_t)arg], 1);
    block((int)(intptr_t)arg);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *pending(void *arg) {
    pthread_cleanup_push(cleanup, NULL);
    OK(pthread_cancel(pthread_self()));
    block((int)(intptr_t)arg);
    pthread_cleanup_pop(0);
    return NULL;
}

/* A request that comes while cancellation is disabled is kept for the next point. */
static void *disabled(void *arg) {
    char c = 'x';
    OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
    OK(pthread_cancel(pthread_self()));
    WANT(write(pair[0], &c, 1), 1);
    WANT(read(pair[1], &c, 1), 1);
    OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
    return pending(arg);
}

static void *work(void *arg) {
    for (int i = 0; i < 100; i++)
        sched_yield();
    return arg;
}

int main(void) {
    check_start();
    DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    listener = (int)DONE(socket(AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr addr = {.sa_family = AF_UNIX};
    DONE(bind(listener, &addr, sizeof(sa_family_t))); /* a name of the kernel's choice */
    DONE(listen(listener, 5));
    int ended = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int call = 0; call < CALLS; call++) {
            pthread_t thread = spawn(blocker, as_pointer(call));
            wait_until(&inside[call], round + 1);
            if (round % 2)
                pause_ms(1); /* it sleeps in the call; else it is just about to */
            OK(pthread_cancel(thread));
            CHECK(join(thread) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
            CHECK(join(spawn(pending, as_pointer(call))) == PTHREAD_CANCELED, "and at once");
            CHECK(join(spawn(disabled, as_pointer(call))) == PTHREAD_CANCELED, "and when enabled");
            WANT(cleaned, ended += 3);
            run_all(3, work);
        }
    return 0;
}
