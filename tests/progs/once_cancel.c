/* once_cancel.c - a routine of pthread_once that is cancelled has not run: another thread that
 * waits for it runs it, at once or as a later caller; it runs to its end once
 */
#include "check.h"

static pthread_once_t once;
static int inside, tries, ends, done;

static void routine(void) {
    int mine = add(&tries, 1);
    set(&inside, mine);
    if (mine <= 2)
        for (;;)
            pause_ms(1); /* to be cancelled */
    add(&ends, 1);
}

static void *calls(void *arg) {
    OK(pthread_once(&once, routine));
    WANT(get(&ends), 1);
    add(&done, 1);
    return arg;
}

int main(void) {
    check_start();
    for (int round = 0; round < 20; round++) {
        once = (pthread_once_t)PTHREAD_ONCE_INIT;
        inside = tries = ends = done = 0;
        pthread_t first = spawn(calls, NULL), others[4];
        wait_until(&inside, 1);
        if (round % 2) {
            /* Nobody waits; the next caller runs it, and is cancelled too. */
            OK(pthread_cancel(first));
            WANT(join(first) == PTHREAD_CANCELED, 1);
            first = spawn(calls, NULL);
            wait_until(&inside, 2);
        } else {
            set(&tries, 1 + 1); /* only one is cancelled */
        }
        spawn_all(others, 4, calls);
        pause_ms(2);
        WANT(get(&done), 0);
        OK(pthread_cancel(first));
        WANT(join(first) == PTHREAD_CANCELED, 1);
        join_all(others, 4);
        WANT(ends, 1);
        WANT(done, 4);
    }
    return 0;
}
