/* join_cancelled.c - a join that is cancelled leaves the other thread joinable, and its own thread
 * can be joined by that one */
#include "check.h"

static pthread_t a, b;
static int joining, go_on;

static void *joiner(void *arg) {
    set(&joining, 1);
    join(b);
    return arg;
}

static void *joined(void *arg) {
    wait_until(&go_on, 1);
    CHECK(join(a) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
    set(&joining, 2);
    return arg;
}

int main(void) {
    check_start();
    for (int i = 0; i < 20; i++) {
        joining = go_on = 0;
        b = spawn(joined, as_pointer(3));
        a = spawn(joiner, NULL);
        wait_until(&joining, 1);
        if (i % 2)
            pause_ms(2);
        OK(pthread_cancel(a));
        set(&go_on, 1);
        wait_until(&joining, 2); /* until then it has a joiner */
        WANT(join(b), 3);
    }
    return 0;
}
