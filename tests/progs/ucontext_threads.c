/* ucontext_threads.c - coroutines by makecontext and swapcontext within threads that are switched
 */
#include "check.h"

#include <ucontext.h>

enum { N = 10, COROUTINES = 5, STEPS = 40, STACK = 64 << 10 };

struct world {
    ucontext_t main, own[COROUTINES];
    int number, steps[COROUTINES], ended;
};

static __thread int mark; /* the thread's, on whichever stack it is */

/* makecontext passes ints: the pointer comes in two halves. */
static void coroutine(unsigned high, unsigned low, int me) {
    struct world *world = (struct world *)((uintptr_t)high << 32 | low);
    volatile char local[1000];
    memset((void *)local, me, sizeof local);
    for (int i = 0; i < STEPS; i++) {
        WANT(mark, world->number);
        WANT(world->steps[me], i);
        world->steps[me]++;
        if (i % 3 == 0)
            sched_yield(); /* the thread is switched away while on a stack of the program's */
        if (i % 17 == 0)
            pause_ms(1);
        WANT(local[999], me);
        DONE(swapcontext(&world->own[me], &world->main));
    }
    world->ended++;
}

static void *run(void *arg) {
    struct world *world = calloc(1, sizeof *world);
    char *stacks = malloc((size_t)COROUTINES * STACK);
    CHECK(world && stacks, "expected memory");
    mark = world->number = (int)(intptr_t)arg;
    for (int i = 0; i < COROUTINES; i++) {
        ucontext_t *own = &world->own[i];
        DONE(getcontext(own));
        own->uc_stack.ss_sp = stacks + i * STACK;
        own->uc_stack.ss_size = STACK;
        own->uc_link = &world->main; /* where it goes when the function returns */
        makecontext(own, (void (*)(void))coroutine, 3, (unsigned)((uintptr_t)world >> 32),
                    (unsigned)(uintptr_t)world, i);
    }
    for (int step = 0; step <= STEPS; step++)
        for (int i = 0; i < COROUTINES; i++)
            DONE(swapcontext(&world->main, &world->own[i]));
    WANT(world->ended, COROUTINES);
    WANT(mark, (intptr_t)arg);
    free(stacks);
    free(world);
    return NULL;
}

int main(void) {
    check_start();
    run_all(N, run);
    return 0;
}
