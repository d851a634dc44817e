/* key_destructor_creates.c - a thread made, joined, locked for and waited for in a key destructor
 */
#include "check.h"

static pthread_key_t key;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_t orphans[20];
static int made, ran;

static void *child(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    ran++;
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void destroy(void *value) {
    void *memory = malloc(1000);
    CHECK(memory, "expected malloc to work in a destructor");
    memset(memory, 1, 1000);
    WANT(join(spawn(child, value)), (intptr_t)value); /* outlived by us */
    orphans[add(&made, 1) - 1] = spawn(child, value); /* outlives us */
    free(memory);
}

static void *run(void *arg) {
    OK(pthread_setspecific(key, as_pointer((intptr_t)arg + 1)));
    return arg;
}

int main(void) {
    check_start();
    OK(pthread_key_create(&key, destroy));
    run_all(20, run);
    WANT(made, 20);
    join_all(orphans, 20);
    WANT(ran, 40);
    return 0;
}
