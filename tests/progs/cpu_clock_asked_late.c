/* cpu_clock_asked_late.c - the first time that anybody asks for a thread's CPU time, it has what
 * the thread used before: of the first thread, of one that computes, and of one that waits
 */
#include "check.h"

#define PROCESS CLOCK_PROCESS_CPUTIME_ID

static int stop;
static void *runs(void *arg) {
    while (!get(&stop))
        continue;
    return arg;
}

static void *waits(void *arg) {
    while (!get(&stop))
        pause_ms(1);
    return arg;
}

static int64_t asked(pthread_t t) {
    clockid_t clock;
    OK(pthread_getcpuclockid(t, &clock));
    return now_ns(clock);
}

int main(void) {
    check_start();
    while (now_ns(PROCESS) < 50 * MS_NS)
        continue;
    int64_t first = now_ns(PROCESS);
    pthread_t computes = spawn(runs, NULL), idle = spawn(waits, NULL);
    while (now_ns(PROCESS) - first < 400 * MS_NS)
        pause_ms(5);
    int64_t all = now_ns(PROCESS) - first, its = asked(computes);
    /* The library's own threads may take most of the process's time (preempt=50). */
    int64_t idles = asked(idle);
    CHECK(
        its > all / 8 && its > 4 * idles,
        "expected most of %lld ns for the one that computes, came %lld, and %lld for the one that "
        "waits",
        (long long)all, (long long)its, (long long)idles);
    int64_t ours = asked(pthread_self());
    CHECK(ours >= first - 10 * MS_NS && ours < first + all / 3,
          "the first one: expected little more than %lld ns, came %lld", (long long)first,
          (long long)ours);
    set(&stop, 1);
    join(computes);
    join(idle);
    return 0;
}
