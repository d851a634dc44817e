/* set_tid_address.c - set_tid_address(2) tells the thread's id, and its word is cleared and a futex
 * woken there when the thread has ended; PR_GET_TID_ADDRESS tells the place */
#include "check.h"

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { N = 20 };

static int words[N];

static void *run(void *arg) {
    int *word = &words[(intptr_t)arg], *old = NULL, *now = NULL;
    bool asks = prctl(PR_GET_TID_ADDRESS, &old) == 0; /* EINVAL without CONFIG_CHECKPOINT_RESTORE */
    set(word, 1);
    WANT(syscall(SYS_set_tid_address, word), gettid());
    if (asks) {
        DONE(prctl(PR_GET_TID_ADDRESS, &now));
        CHECK(now == word, "expected the new address, came %p", (void *)now);
    }
    sched_yield();
    if ((intptr_t)arg % 2 && asks) /* back to what joins need on NPTL */
        WANT(syscall(SYS_set_tid_address, old), gettid());
    return asks ? old : NULL;
}

int main(void) {
    check_start();
    pthread_attr_t detached;
    OK(pthread_attr_init(&detached));
    OK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED));
    for (int i = 0; i < N; i++) {
        if (i % 2) {
            bool asks = join(spawn(run, as_pointer(i)));
            WANT(words[i], asks ? 1 : get(&words[i]));
            continue;
        }
        set(&words[i], 2);
        spawn_with(&detached, run, as_pointer(i));
        int v;
        while ((v = get(&words[i])) != 0) {
            struct timespec limit = {20, 0};
            if (syscall(SYS_futex, &words[i], FUTEX_WAIT, v, &limit, NULL, 0) < 0)
                CHECK(errno == EAGAIN, "expected a wake-up for the end, came errno %d", errno);
            sched_yield(); /* from 2 to 1 is not waked for */
        }
    }
    return 0;
}
