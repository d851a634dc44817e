// thread_local_objects.cc - thread_local objects: made at first use, destroyed at the thread's end
#include "check.h"

#include <string>

enum { N = 25 };

static int made, destroyed, order_wrong;
static pthread_key_t key;
static int key_runs;

struct object {
    std::string text;
    pthread_t owner;
    object() : text("a text too long for the small string buffer"), owner(pthread_self()) {
        add(&made, 1);
    }
    ~object() {
        sched_yield(); // destructors may block
        if (!pthread_equal(owner, pthread_self()))
            add(&order_wrong, 1);
        add(&destroyed, 1);
    }
};

struct second { // made after the first, so destroyed before it: it may still use it
    object &first;
    explicit second(object &f) : first(f) {}
    ~second() {
        if (first.text.compare(0, 6, "number") != 0)
            add(&order_wrong, 1);
    }
};

static thread_local object first;

static void at_end(void *) { // keys come after thread_local destructors in glibc
    WANT(get(&destroyed) > 0, 1);
    add(&key_runs, 1);
}

static void use(int me) {
    CHECK(first.text[0] == 'a', "expected a fresh object, came %s", first.text.c_str());
    first.text = "number " + std::to_string(me);
    static thread_local second other(first);
    for (int i = 0; i < 10; i++) {
        sched_yield();
        CHECK(first.text == "number " + std::to_string(me), "expected number %d, came %s", me,
              first.text.c_str());
        CHECK(&other.first == &first, "expected the thread's own object");
    }
}

static void *run(void *arg) {
    use((int)(intptr_t)arg);
    OK(pthread_setspecific(key, arg));
    if ((intptr_t)arg % 2)
        pthread_exit(nullptr);
    return as_pointer(1);
}

static void *unused(void *arg) { return arg; }

int main() {
    check_start();
    OK(pthread_key_create(&key, at_end));
    for (int round = 1; round <= 4; round++) {
        run_all(N, run);
        WANT(made, round * N);
        WANT(destroyed, round * N);
        WANT(key_runs, round * (N - 1)); // one of them has set NULL
        run_all(N, unused);              // who does not use it, does not make it
        WANT(made, round * N);
    }
    WANT(order_wrong, 0);
    return 0;
}
