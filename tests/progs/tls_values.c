/* tls_values.c - __thread variables of the program: initial in each new thread, kept across
 * switches
 *
 * A thread that takes over the stack of a former one must not see what that one left in its TLS.
 */
#include "check.h"

static int target;
static __thread int number = 42;
static __thread int *pointer = &target; /* relocated in the image that is copied */
static __thread char text[40] = "as it is written";
static __thread long zeroed[300];

static void initial(void) {
    WANT(number, 42);
    CHECK(strcmp(text, "as it is written") == 0, "expected the initial text, came %.39s", text);
    CHECK(pointer == &target, "expected the initial pointer");
    for (int i = 0; i < 300; i++)
        WANT(zeroed[i], 0);
}

static void fill(int with) {
    number = with;
    snprintf(text, sizeof text, "text %d", with);
    pointer = &number;
    for (int i = 0; i < 300; i++)
        zeroed[i] = with;
}

static void filled(int with) {
    char want[40];
    snprintf(want, sizeof want, "text %d", with);
    WANT(number, with);
    CHECK(strcmp(text, want) == 0, "expected %s, came %.39s", want, text);
    CHECK(pointer == &number, "expected one address of a __thread variable in a thread");
    for (int i = 0; i < 300; i++)
        WANT(zeroed[i], with);
}

static void *run(void *arg) {
    int me = (int)(intptr_t)arg;
    initial();
    for (int i = 0; i < 10; i++) {
        fill(me * 1000 + i);
        if (i % 3)
            sched_yield();
        else
            pause_ms(1);
        filled(me * 1000 + i);
    }
    return NULL;
}

int main(void) {
    check_start();
    initial();
    fill(-5);
    for (int i = 0; i < 20; i++)
        run_all(25, run); /* the rounds after the first run on used stacks */
    for (int i = 0; i < 100; i++)
        join(spawn(run, as_pointer(i)));
    filled(-5);
    return 0;
}
