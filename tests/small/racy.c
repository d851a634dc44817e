/* racy.c - wrong under some schedules: looks, lets go of the mutex, and acts on what it saw. What
 * tools/chaos-shrink has to find. Exit status 3 when the money went wrong. */
#include "../progs/check.h"

enum { THREADS = 4, ROUNDS = 10 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int account;

static void *pay_in(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        OK(pthread_mutex_lock(&mutex));
        int seen = account;
        OK(pthread_mutex_unlock(&mutex));
        OK(pthread_mutex_lock(&mutex)); /* the bug: another one may have paid in meanwhile */
        account = seen + 1;
        OK(pthread_mutex_unlock(&mutex));
    }
    return arg;
}

int main(void) {
    check_start();
    run_all(THREADS, pay_in);
    printf("account %d\n", account);
    return account == THREADS * ROUNDS ? 0 : 3;
}
