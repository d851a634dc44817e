/* million_creates.c - create and join a million times: memory in use stays flat  (needs: time)
 *
 * Under NPTL, where a thread costs 50 us and more, 20,000 times show the same.
 */
#include "util.h"

static volatile long sum;

static void *work(void *arg) {
    volatile char stack[2000];
    stack[0] = stack[1999] = 1; /* touches the stack, and TLS by errno, as threads do */
    errno = 5;
    sum += (intptr_t)arg;
    return arg;
}

int main(void) {
    check_start();
    long count = check_expects("lib") ? 1000000 : 20000, early = 0;
    for (long i = 0; i < count; i++) {
        if (i == 1000)
            early = resident_kb();
        WANT(join(spawn(work, as_pointer(i))), i);
    }
    long growth = resident_kb() - early, limit = 1024;
    /* Each further P may have its 64 free threads of 9 kB by and by, where Ms change often
     * (preempt=50). A leak of 16 bytes a thread would be 16 MB. */
    const char *procs = getenv("GTHREAD_PROCS");
    if (procs && atoi(procs) > 2)
        limit += (atoi(procs) - 2) * 64 * 9;
    CHECK(growth < limit, "expected less than %ld KB more after %ld threads, came %ld", limit,
          count, growth);
    WANT(sum, count * (count - 1) / 2);
    return 0;
}
