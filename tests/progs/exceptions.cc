// exceptions.cc - C++ exceptions thrown and caught in many threads that yield on the way
#include "check.h"

#include <exception>
#include <stdexcept>
#include <string>

enum { N = 20, ROUNDS = 100 };

struct yields { // a destructor that lets others run, in the middle of unwinding
    int &count;
    explicit yields(int &c) : count(c) {}
    ~yields() {
        count++;
        sched_yield();
    }
};

[[gnu::noinline]] static void thrower(int depth, int value, int &count) {
    yields guard(count);
    sched_yield();
    if (depth > 0)
        thrower(depth - 1, value, count);
    if (value % 3)
        throw std::runtime_error(std::to_string(value));
    throw value;
}

static void once(int value) {
    int count = 0;
    try {
        try {
            thrower(value % 10, value, count);
        } catch (const std::runtime_error &e) {
            sched_yield(); // caught, and still alive: what() must be ours after the switch
            CHECK(std::stoi(e.what()) == value, "expected %d, came %s", value, e.what());
            throw;
        }
        check_fail("expected an exception");
    } catch (const std::exception &e) {
        pause_ms(value % 50 == 0 ? 1 : 0);
        CHECK(e.what() == std::to_string(value), "expected %d, came %s", value, e.what());
    } catch (int thrown) {
        WANT(thrown, value);
    }
    WANT(count, value % 10 + 1);
}

static void *run(void *arg) {
    for (int i = 0; i < ROUNDS; i++)
        once((int)(intptr_t)arg * 1000 + i);
    return nullptr;
}

// An exception carried from one thread to another.
static std::exception_ptr carried;

static void *catcher(void *) {
    try {
        throw std::logic_error("carried");
    } catch (...) {
        carried = std::current_exception();
    }
    return nullptr;
}

int main() {
    check_start();
    run_all(N, run);
    join(spawn(catcher, nullptr));
    try {
        std::rethrow_exception(carried);
    } catch (const std::logic_error &e) {
        CHECK(std::string(e.what()) == "carried", "expected carried, came %s", e.what());
    }
    return 0;
}
