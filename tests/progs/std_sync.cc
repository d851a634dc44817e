// std_sync.cc - std::mutex and its kin, shared_mutex, call_once, condition variables of both kinds
#include "check.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

template <typename F>
static void on_threads(int n, F f) {
    std::vector<std::thread> all;
    for (int i = 0; i < n; i++)
        all.emplace_back([f, i] { f(i); });
    for (auto &t : all)
        t.join();
}

template <typename M>
static void excludes() {
    M mutex;
    long count = 0;
    on_threads(8, [&](int) {
        for (int i = 0; i < 500; i++) {
            std::lock_guard<M> lock(mutex);
            long before = count;
            if (i % 50 == 0)
                std::this_thread::yield();
            count = before + 1;
        }
    });
    WANT(count, 4000);
}

static void timed() {
    std::timed_mutex mutex;
    mutex.lock();
    on_threads(4, [&](int) {
        auto at = std::chrono::steady_clock::now() + 30ms;
        CHECK(!mutex.try_lock_for(30ms), "expected the lock to be held");
        CHECK(std::chrono::steady_clock::now() >= at, "expected no time-out before its time");
        CHECK(!mutex.try_lock_until(std::chrono::system_clock::now() + 10ms), "expected it held");
    });
    mutex.unlock();
    CHECK(mutex.try_lock_for(10s), "expected the free lock to be taken");
    mutex.unlock();
}

static void shared() {
    std::shared_mutex mutex;
    std::atomic<int> readers{0}, most{0};
    int value = 0;
    on_threads(12, [&](int me) {
        for (int i = 0; i < 200; i++)
            if (me % 4 == 0) {
                std::unique_lock<std::shared_mutex> lock(mutex);
                WANT(readers, 0);
                value++;
            } else {
                std::shared_lock<std::shared_mutex> lock(mutex);
                int now = ++readers, before = value;
                if (now > most)
                    most = now;
                std::this_thread::yield();
                WANT(value, before);
                readers--;
            }
    });
    WANT(value, 600);
    CHECK(most > 1, "expected readers to share the lock, came %d", (int)most);
    std::shared_timed_mutex slow;
    slow.lock_shared();
    on_threads(2,
               [&](int) { CHECK(!slow.try_lock_for(20ms), "expected a reader to keep us out"); });
    slow.unlock_shared();
}

static void once() {
    std::once_flag flag;
    std::atomic<int> tries{0}, caught{0};
    on_threads(10, [&](int) {
        try {
            std::call_once(flag, [&] {
                std::this_thread::sleep_for(5ms);
                if (++tries <= 2)
                    throw std::runtime_error("not yet");
            });
        } catch (const std::runtime_error &) {
            caught++;
        }
    });
    WANT(tries, 3); // two that threw, and the one that did it
    WANT(caught, 2);
    on_threads(10, [&](int) { // function-local statics are guarded by the same means
        static int made = [&] {
            std::this_thread::sleep_for(5ms);
            return ++tries;
        }();
        WANT(made, 4);
    });
}

template <typename CV, typename M>
static void passes_turns() {
    CV cv;
    M mutex;
    int turn = 0;
    on_threads(5, [&](int me) {
        for (int i = 0; i < 200; i++) {
            std::unique_lock<M> lock(mutex);
            cv.wait(lock, [&] { return turn % 5 == me; });
            turn++;
            cv.notify_all();
        }
    });
    WANT(turn, 1000);
    std::unique_lock<M> lock(mutex);
    auto at = std::chrono::steady_clock::now() + 20ms;
    CHECK(!cv.wait_for(lock, 20ms, [] { return false; }), "expected the wait to time out");
    CHECK(std::chrono::steady_clock::now() >= at, "expected no time-out before its time");
}

int main() {
    check_start();
    excludes<std::mutex>();
    excludes<std::recursive_mutex>();
    excludes<std::timed_mutex>();
    excludes<std::shared_mutex>();
    timed();
    shared();
    once();
    passes_turns<std::condition_variable, std::mutex>();
    passes_turns<std::condition_variable_any, std::shared_mutex>();
    return 0;
}
