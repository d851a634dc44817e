/* cancel_unwind.cc - cancellation unwinds C++: destructors run from the inside out, catch (...)
 * sees it and has to throw it on; at a cancellation point, in a wait, computing, by itself, before
 * start */
#include "check.h"

#include <condition_variable>
#include <cxxabi.h>
#include <mutex>
#include <vector>

namespace {

int inside, order;
std::mutex mutex;
std::condition_variable cond;

struct Tracker {
    int expected; /* its place in the order of destruction */
    explicit Tracker(int place) : expected(place) {}
    ~Tracker() { WANT(add(&order, 1), expected); }
};

/* What a thread does until it is cancelled. */
void sleep_long() { pause_ms(1000000); }

void compute() {
    OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr));
    for (volatile unsigned long n = 0;; n = n + 1)
        continue;
}

void wait_cond() {
    std::unique_lock<std::mutex> lock(mutex);
    Tracker t(1);
    cond.wait(lock, [] { return false; });
}

void read_pipe() {
    static int fd[2];
    static int once = pipe(fd);
    char c;
    WANT(once, 0);
    (void)!read(fd[0], &c, 1);
}

void by_itself() {
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

struct Case {
    const char *name;
    void (*run)();
    bool tracks; /* has a tracker of its own */
};
const Case cases[] = {{"sleep", sleep_long, false},
                      {"compute", compute, false},
                      {"condition", wait_cond, true},
                      {"read", read_pipe, false},
                      {"itself", by_itself, false}};

void *body(void *arg) {
    const Case *c = static_cast<const Case *>(arg);
    int place = c->tracks ? 1 : 0;
    Tracker outer(place + 3);
    try {
        Tracker middle(place + 2);
        try {
            Tracker inner(place + 1);
            set(&inside, 1);
            c->run();
            check_fail("%s: it ended", c->name);
        } catch (abi::__forced_unwind &) {
            WANT(get(&order), place + 1);
            throw;
        }
    } catch (...) {
        WANT(get(&order), place + 2);
        throw;
    }
    return nullptr;
}

void *until_cancelled(void *) {
    Tracker t(1);
    for (;;)
        pause_ms(1000);
}

} // namespace

int main() {
    check_start();
    for (int round = 0; round < 5; round++)
        for (const Case &c : cases) {
            set(&inside, 0);
            set(&order, 0);
            pthread_t t = spawn(body, const_cast<Case *>(&c));
            wait_until(&inside, 1);
            if (round % 2)
                pause_ms(2);
            pthread_cancel(t);
            CHECK(join(t) == PTHREAD_CANCELED, "%s: expected PTHREAD_CANCELED", c.name);
            WANT(order, c.tracks ? 4 : 3);
            CHECK(mutex.try_lock(), "%s: expected the lock to be given up", c.name);
            mutex.unlock();
        }
    for (int i = 0; i < 50; i++) { /* perhaps before it has begun */
        set(&order, 0);
        pthread_t t = spawn(until_cancelled, nullptr);
        OK(pthread_cancel(t));
        CHECK(join(t) == PTHREAD_CANCELED, "expected PTHREAD_CANCELED");
    }
    return 0;
}
