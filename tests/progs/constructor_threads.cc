// constructor_threads.cc - threads made by constructors before main, and by destructors after it
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t early, lasting;
static int early_ran, main_began, lasting_saw_main;
static __thread int local = 9;

static void *count(void *arg) {
    WANT(local, 9);
    local = 10;
    OK(pthread_mutex_lock(&mutex));
    early_ran++;
    OK(pthread_cond_signal(&cond));
    OK(pthread_mutex_unlock(&mutex));
    return arg;
}

static void *last_into_main(void *arg) { // begins before main, goes on into it
    wait_until(&main_began, 1);
    set(&lasting_saw_main, 1);
    return arg;
}

__attribute__((constructor)) static void before_main() {
    WANT(join(spawn(count, as_pointer(4))), 4);
    OK(pthread_mutex_lock(&mutex));
    early = spawn(count, as_pointer(5)); // joined in main
    while (early_ran < 2)
        OK(pthread_cond_wait(&cond, &mutex));
    OK(pthread_mutex_unlock(&mutex));
    lasting = spawn(last_into_main, nullptr);
    local = 11;
}

struct object { // a C++ one, run by exit
    ~object() {
        WANT(join(spawn(count, as_pointer(6))), 6);
        WANT(early_ran, 3);
    }
} static object;

int main() {
    check_start();
    WANT(local, 11);
    WANT(join(early), 5);
    WANT(early_ran, 2);
    WANT(lasting_saw_main, 0);
    set(&main_began, 1);
    join(lasting);
    WANT(lasting_saw_main, 1);
    return 0;
}
