// std_20.cc - what C++20 adds: jthread and stop tokens, latch, barrier, semaphores, waiting on
// atomics, condition_variable_any with a stop token; each with a result that tells a lost or
// invented wake-up
#include "check.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

enum { N = 8, ROUNDS = 100 };

static void jthreads() {
    std::atomic<int> started{0}, stopped{0}, told{0};
    std::mutex mutex;
    std::condition_variable_any changed;
    bool never = false;
    {
        std::vector<std::jthread> all;
        for (int i = 0; i < N; i++)
            all.emplace_back([&](std::stop_token stop) {
                std::unique_lock<std::mutex> lock(mutex);
                started++;
                if (!changed.wait(lock, stop, [&] { return never; }))
                    stopped++;
            });
        while (started < N)
            std::this_thread::yield();
        WANT(stopped, 0);
    } // each is asked to stop, and joined
    WANT(stopped, N);
    std::atomic<long> turns{0};
    std::jthread spins([&](std::stop_token stop) {
        while (!stop.stop_requested())
            turns++;
    });
    while (turns == 0)
        std::this_thread::yield();
    std::stop_callback note(spins.get_stop_token(), [&] { told++; });
    CHECK(spins.request_stop(), "expected the first request to be it");
    CHECK(!spins.request_stop(), "expected the second request to do nothing");
    spins.join();
    WANT(told, 1);
}

static void latches() {
    for (int round = 0; round < ROUNDS; round++) {
        std::latch ready(N), go(1);
        std::atomic<int> before{0}, after{0};
        std::vector<std::jthread> all;
        for (int i = 0; i < N; i++)
            all.emplace_back([&] {
                before++;
                ready.count_down();
                go.wait();
                after++;
            });
        ready.wait();
        WANT(before, N);
        WANT(after, 0);
        CHECK(!go.try_wait(), "expected the latch to be closed");
        go.count_down();
        all.clear();
        WANT(after, N);
    }
}

static void barriers() {
    long phases = 0, sum[N] = {0};
    std::atomic<int> inside{0};
    auto completed = [&]() noexcept {
        if (inside.exchange(0) == N)
            phases++;
    };
    std::barrier<decltype(completed)> barrier(N, completed);
    std::vector<std::jthread> all;
    for (int i = 0; i < N; i++)
        all.emplace_back([&, i] {
            for (int round = 0; round < ROUNDS; round++) {
                inside++;
                if (i == round % N)
                    std::this_thread::yield();
                barrier.arrive_and_wait();
                CHECK(phases >= round + 1, "expected phase %d to be over, came %ld", round, phases);
                sum[i] += phases;
                barrier.arrive_and_wait(); // nobody counts: completion finds 0
                sum[i] -= phases;
            }
        });
    all.clear();
    WANT(phases, ROUNDS);
    for (long s : sum)
        WANT(s, 0);
}

static void semaphores() {
    std::counting_semaphore<3> places(3);
    std::binary_semaphore ping(0), pong(0);
    std::atomic<int> inside{0}, most{0};
    std::vector<std::jthread> all;
    for (int i = 0; i < N; i++)
        all.emplace_back([&] {
            for (int round = 0; round < ROUNDS; round++) {
                places.acquire();
                int now = ++inside, seen = most;
                while (now > seen && !most.compare_exchange_weak(seen, now))
                    continue;
                std::this_thread::yield();
                inside--;
                places.release();
            }
        });
    all.clear();
    CHECK(most <= 3, "expected at most 3 inside, came %d", most.load());
    int turns = 0;
    std::jthread other([&] {
        for (int i = 0; i < 1000; i++) {
            ping.acquire();
            turns++;
            pong.release();
        }
    });
    for (int i = 0; i < 1000; i++) {
        WANT(turns, i);
        ping.release();
        pong.acquire();
    }
    auto at = std::chrono::steady_clock::now() + 20ms;
    CHECK(!ping.try_acquire_for(20ms), "expected a time-out");
    CHECK(std::chrono::steady_clock::now() >= at, "expected no time-out before its time");
}

// Turns taken by waiting for an atomic; of a type that is a futex, and of those that are not.
template <typename T>
static void atomics() {
    std::atomic<T> turn{0};
    std::vector<std::jthread> all;
    std::vector<int> order;
    for (int i = 0; i < N; i++)
        all.emplace_back([&, i] {
            for (int round = 0; round < 10; round++) {
                T want = (T)(round * N + i);
                for (T now; (now = turn.load()) != want;)
                    turn.wait(now);
                order.push_back((int)want);
                turn.store((T)(want + 1));
                turn.notify_all();
            }
        });
    all.clear();
    WANT(order.size(), 10 * N);
    for (int i = 0; i < 10 * N; i++)
        WANT(order[(size_t)i], i);
    std::atomic_flag flag = ATOMIC_FLAG_INIT;
    std::jthread waits([&] { flag.wait(false); });
    flag.test_and_set();
    flag.notify_one();
}

int main() {
    check_start();
    jthreads();
    latches();
    barriers();
    semaphores();
    atomics<int>();
    atomics<char>();
    atomics<long>();
    return 0;
}
