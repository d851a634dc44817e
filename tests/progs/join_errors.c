/* join_errors.c - what pthread_join refuses: oneself, and a detached thread */
#include "check.h"

static int stop;

static void *join_self(void *arg) {
    (void)arg;
    ERR(pthread_join(pthread_self(), NULL), EDEADLK);
    return NULL;
}

static void *until_stopped(void *arg) {
    wait_until(&stop, 1);
    return arg;
}

static const struct timespec past = {1, 0};

static void detached(void) {
    pthread_t thread = spawn(until_stopped, NULL);
    OK(pthread_detach(thread));
    ERR(pthread_join(thread, NULL), EINVAL);
    ERR(pthread_timedjoin_np(thread, NULL, &past), EINVAL);
}

int main(void) {
    check_start();
    ERR(pthread_join(pthread_self(), NULL), EDEADLK); /* before the first create */
    join(spawn(join_self, NULL));
    detached();
    set(&stop, 1);
    return 0;
}
