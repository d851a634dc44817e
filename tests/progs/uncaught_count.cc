// uncaught_count.cc - std::uncaught_exceptions counts the thread's own exceptions, in mid-unwind
// too
#include "check.h"

#include <exception>

static int unwinding, release;

struct looks {
    int expect;
    explicit looks(int e) : expect(e) {}
    ~looks() {
        for (int i = 0; i < 20; i++) {
            WANT(std::uncaught_exceptions(), expect);
            sched_yield();
        }
    }
};

// Stops in the middle of unwinding, with one exception in flight and then with two.
struct stops {
    ~stops() {
        WANT(std::uncaught_exceptions(), 1);
        add(&unwinding, 1);
        wait_until(&release, 1);
        WANT(std::uncaught_exceptions(), 1);
        try {
            looks two(2);
            throw 2L;
        } catch (long) {
            WANT(std::uncaught_exceptions(), 1);
        }
    }
};

static void *in_flight(void *arg) {
    try {
        stops here;
        throw 1;
    } catch (int) {
        WANT(std::uncaught_exceptions(), 0);
        CHECK(std::current_exception() != nullptr, "expected a current exception in the handler");
    }
    CHECK(std::current_exception() == nullptr, "expected none after the handler");
    return arg;
}

static void *none(void *arg) {
    looks zero(0); // others are in mid-unwind all the time: not our count
    CHECK(std::current_exception() == nullptr, "expected a new thread without an exception");
    return arg;
}

int main() {
    check_start();
    enum { N = 10 };
    pthread_t threads[N];
    spawn_all(threads, N, in_flight);
    wait_until(&unwinding, N);
    run_all(N, none);
    WANT(std::uncaught_exceptions(), 0);
    set(&release, 1);
    join_all(threads, N);
    run_all(N, none);
    return 0;
}
