// ring.cc THREADS SECONDS - C++ threads: a ring by condition variables, half std::thread, half
// Boost; thread_local objects are destroyed, exceptions cross futures, shared_mutex and call_once
// keep their word
#include <boost/thread.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

static std::atomic<int> destroyed;
struct Local {
    int value = 0;
    ~Local() { destroyed++; }
};
static thread_local Local local;

template <class Mutex, class Condition, class Lock>
struct Cell {
    Mutex mutex;
    Condition condition;
    long token = 0; // 0: none, -1: end
    void put(long t) {
        Lock lock(mutex);
        while (token != 0)
            condition.wait(lock);
        token = t;
        condition.notify_all();
    }
    long take() {
        Lock lock(mutex);
        while (token == 0)
            condition.wait(lock);
        long t = token;
        if (t > 0)
            token = 0;
        condition.notify_all();
        return t;
    }
    void end() {
        Lock lock(mutex);
        token = -1;
        condition.notify_all();
    }
};
using StdCell = Cell<std::mutex, std::condition_variable, std::unique_lock<std::mutex>>;
using BoostCell = Cell<boost::mutex, boost::condition_variable, boost::unique_lock<boost::mutex>>;

static std::atomic<bool> stop;

template <class CellType, class Thread>
static long ring(int n, double seconds) {
    std::vector<CellType> cells(n);
    std::vector<long> hops(n);
    std::vector<Thread> threads;
    for (int i = 0; i < n; i++)
        threads.emplace_back([&, i] {
            local.value = i;
            for (long t; (t = cells[i].take()) > 0;) {
                hops[i]++;
                if (stop || local.value != i)
                    break;
                cells[(i + 1) % n].put(t);
            }
        });
    cells[0].put(1);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    stop = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (auto &c : cells)
        c.end();
    for (auto &t : threads)
        t.join();
    stop = false;
    long sum = 0;
    for (long h : hops)
        sum += h;
    return sum;
}

static bool futures() {
    std::vector<std::future<int>> all;
    for (int i = 0; i < 100; i++)
        all.push_back(std::async(std::launch::async, [i] {
            if (i % 10 == 3)
                throw std::runtime_error("three");
            return i;
        }));
    int sum = 0, thrown = 0;
    for (auto &f : all)
        try {
            sum += f.get();
        } catch (const std::runtime_error &) {
            thrown++;
        }
    return thrown == 10 && sum == 4950 - 480;
}

static bool shared_and_once() {
    std::shared_mutex mutex;
    std::once_flag once;
    int made = 0;
    long count = 0, seen = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 50; i++)
        threads.emplace_back([&] {
            std::call_once(once, [&] { made++; });
            for (int k = 0; k < 1000; k++)
                if (k % 10) {
                    std::shared_lock lock(mutex);
                    __atomic_fetch_add(&seen, count >= 0, __ATOMIC_RELAXED);
                } else {
                    std::unique_lock lock(mutex);
                    count++;
                }
        });
    for (auto &t : threads)
        t.join();
    return made == 1 && count == 5000 && seen == 45000;
}

int main(int, char **argv) {
    int n = atoi(argv[1]);
    double seconds = atof(argv[2]);
    long hops = ring<StdCell, std::thread>(n, seconds / 2);
    hops += ring<BoostCell, boost::thread>(n, seconds / 2);
    bool good = hops > 0 && destroyed == 2 * n && futures() && shared_and_once();
    printf("%s rate=%.0f\n", good ? "ok" : "wrong", hops / seconds);
    return !good;
}
