// exit_destructors.cc - pthread_exit unwinds: destructors and catch (...) run, in order
#include "check.h"

static __thread char trail[16];

struct note {
    char mark;
    explicit note(char m) : mark(m) {}
    ~note() { trail[strlen(trail)] = mark; }
};

[[gnu::noinline]] static void inner() {
    note c('c');
    sched_yield();
    pthread_exit(trail);
}

static void handler(void *) { trail[strlen(trail)] = 'h'; }

[[gnu::noinline]] static void outer() {
    note b('b');
    pthread_cleanup_push(handler, nullptr);
    try {
        inner();
    } catch (...) { // a forced unwind passes here and must go on
        trail[strlen(trail)] = '!';
        throw;
    }
    pthread_cleanup_pop(0);
}

static char seen[16][16];

static void *run(void *arg) {
    // The thread's own TLS is gone after it: a destructor of the outermost scope copies it out.
    struct copy {
        char *to;
        ~copy() { strcpy(to, trail); }
    } out = {seen[(intptr_t)arg]};
    note a('a');
    outer();
    return nullptr;
}

int main() {
    check_start();
    run_all(16, run);
    for (auto &s : seen)
        CHECK(strcmp(s, "c!hba") == 0, "expected the trail c!hba, came %s", s);
    return 0;
}
