// std_threads.cc - std::thread, async, future, promise, packaged_task
#include "check.h"

#include <atomic>
#include <chrono>
#include <future>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static void threads() {
    std::vector<std::thread> all;
    std::vector<std::thread::id> ids(40);
    std::atomic<int> sum{0};
    for (int i = 0; i < 40; i++)
        all.emplace_back([i, &ids, &sum] {
            ids[i] = std::this_thread::get_id();
            std::this_thread::yield();
            std::this_thread::sleep_for(1ms);
            sum += i;
        });
    for (auto &t : all) {
        CHECK(t.joinable(), "expected a thread to be joinable");
        t.join();
        CHECK(!t.joinable(), "expected a joined thread not to be joinable");
    }
    WANT(sum, 780);
    for (auto id : ids)
        CHECK(id != std::this_thread::get_id() && id != std::thread::id(),
              "expected ids to differ");
}

static long recursive_sum(const int *from, const int *to) {
    if (to - from <= 100)
        return std::accumulate(from, to, 0L);
    const int *middle = from + (to - from) / 2;
    auto left = std::async(std::launch::async, recursive_sum, from, middle);
    return recursive_sum(middle, to) + left.get();
}

static void futures() {
    std::vector<int> numbers(20000);
    std::iota(numbers.begin(), numbers.end(), 0);
    WANT(recursive_sum(numbers.data(), numbers.data() + 20000), 199990000L);

    auto fails = std::async(std::launch::async, []() -> int { throw std::out_of_range("far"); });
    try {
        fails.get();
        check_fail("expected the future to throw");
    } catch (const std::out_of_range &) {
    }

    std::promise<int> promise;
    auto shared = promise.get_future().share();
    std::vector<std::thread> waiters;
    std::atomic<int> got{0};
    for (int i = 0; i < 20; i++)
        waiters.emplace_back([shared, &got] { got += shared.get(); });
    CHECK(shared.wait_for(20ms) == std::future_status::timeout, "expected the wait to time out");
    WANT(got, 0);
    promise.set_value(3);
    for (auto &t : waiters)
        t.join();
    WANT(got, 60);

    std::packaged_task<int(int)> task([](int n) { return n * 2; });
    auto result = task.get_future();
    std::thread runner(std::move(task), 21);
    WANT(result.get(), 42);
    runner.join();

    auto deferred = std::async(std::launch::deferred, [] { return std::this_thread::get_id(); });
    CHECK(deferred.get() == std::this_thread::get_id(), "expected deferred to run here");
}

int main() {
    check_start();
    threads();
    futures();
    WANT(std::async(std::launch::async,
                    [] { // the same from a thread
                        threads();
                        futures();
                        return 5;
                    })
             .get(),
         5);
    return 0;
}
