/* create_join_many.c - 10,000 threads one after the other and 2,000 at once, each result right */
#include "check.h"

enum { SEQUENCE = 10000, AT_ONCE = 2000 };

static int ran;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *triple(void *arg) {
    add(&ran, 1);
    return as_pointer((intptr_t)arg * 3);
}

static void *wait_then_triple(void *arg) {
    add(&ran, 1);
    OK(pthread_mutex_lock(&gate));
    OK(pthread_mutex_unlock(&gate));
    return as_pointer((intptr_t)arg * 3);
}

int main(void) {
    check_start();
    for (int i = 0; i < SEQUENCE; i++)
        WANT(join(spawn(triple, as_pointer(i))), i * 3);
    WANT(ran, SEQUENCE);

    static pthread_t threads[AT_ONCE];
    ran = 0;
    OK(pthread_mutex_lock(&gate));
    spawn_all(threads, AT_ONCE, wait_then_triple);
    wait_until(&ran, AT_ONCE); /* all of them live at this moment */
    OK(pthread_mutex_unlock(&gate));
    for (int i = AT_ONCE - 1; i >= 0; i--)
        WANT(join(threads[i]), i * 3);
    WANT(ran, AT_ONCE);
    return 0;
}
