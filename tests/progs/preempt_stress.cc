/* preempt_stress.cc - what an interruption at any instruction could break, all at once: malloc and
 * free of blocks that others have made, stdio on one shared file, C++ exceptions, floating point
 * checked bit by bit, setjmp and longjmp, dlopen and dlclose. PREEMPT_STRESS gives the seconds (1);
 * under GTHREAD_DEBUG=preempt=50 each thread is stopped every 50 us
 * needs: time */
#include "util.h"

#include <csetjmp>
#include <cmath>
#include <stdexcept>
#include <string>

enum { EACH = 2, KINDS = 6, BLOCKS = 64 };

static int64_t until;
static int turns[KINDS];
static void *blocks[BLOCKS];
static FILE *shared_file;
static int lines_written;

static bool goes_on(int kind) {
    add(&turns[kind], 1);
    return now_ns(CLOCK_MONOTONIC) < until;
}

/* Puts a block with a pattern in a place, takes out what another thread has put there. */
static void *do_malloc(void *arg) {
    uint64_t random = check_seed + (uint64_t)(intptr_t)arg;
    while (goes_on(0)) {
        uint64_t r = random_next(&random);
        size_t size = 16 + r % (r % 16 ? 500 : 300000);
        unsigned char *fresh = (unsigned char *)malloc(size);
        memset(fresh, (int)(size & 0xff), size);
        memcpy(fresh, &size, sizeof size);
        unsigned char *old =
            (unsigned char *)__atomic_exchange_n(&blocks[r / 7 % BLOCKS], fresh, __ATOMIC_ACQ_REL);
        if (!old)
            continue;
        memcpy(&size, old, sizeof size);
        for (size_t i = sizeof size; i < size; i++)
            CHECK(old[i] == (size & 0xff), "a block of %zu bytes has %x at %zu", size, old[i], i);
        free(old);
    }
    return NULL;
}

/* Whole lines, that each say what they are. */
static void *do_stdio(void *arg) {
    for (int i = 0; goes_on(1); i++) {
        CHECK(fprintf(shared_file, "%ld %d %a %ld %d\n", (long)arg, i, i / 3.0, (long)arg, i) > 0,
              "fprintf: errno %d", errno);
        add(&lines_written, 1);
    }
    return NULL;
}

static void check_lines(void) {
    char line[200];
    int n = 0;
    rewind(shared_file);
    while (fgets(line, sizeof line, shared_file)) {
        long who, who_again;
        int i, again;
        double third;
        CHECK(sscanf(line, "%ld %d %la %ld %d", &who, &i, &third, &who_again, &again) == 5 &&
                  who == who_again && i == again && third == i / 3.0,
              "line %d is %s", n, line);
        n++;
    }
    WANT(n, get(&lines_written));
}

struct counted {
    int *n;
    explicit counted(int *at) : n(at) { ++*n; }
    counted(const counted &) = delete;
    ~counted() { --*n; }
};

static void throw_from(int depth, int *alive) {
    counted c(alive);
    if (!depth)
        throw std::runtime_error(std::to_string(*alive));
    throw_from(depth - 1, alive);
}

static void *do_throw(void *arg) {
    (void)arg;
    int alive = 0;
    for (int i = 0; goes_on(2); i++) {
        try {
            throw_from(i % 20, &alive);
        } catch (const std::runtime_error &e) {
            CHECK(e.what() == std::to_string(i % 20 + 1), "caught %s for %d", e.what(), i % 20 + 1);
        }
        WANT(alive, 0);
    }
    return NULL;
}

/* The same sum of vectors, scalars and the x87 each time. */
static uint64_t sum_bits(void) {
    double v[16], s = 0;
    long double x = 1;
    for (int i = 0; i < 16; i++)
        v[i] = 1.0 / (i + 3);
    for (int k = 0; k < 200; k++) {
        for (int i = 0; i < 16; i++)
            v[i] = v[i] * 1.0000001 + 1e-9 * k;
        x = x * 1.00001L + sqrtl(x);
        x = fmodl(x, 1000.0L);
    }
    for (int i = 0; i < 16; i++)
        s += v[i];
    s += (double)x;
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    return bits;
}

static void *do_floats(void *arg) {
    (void)arg;
    uint64_t want = sum_bits();
    while (goes_on(3)) {
        uint64_t got = sum_bits();
        CHECK(got == want, "the sum is %llx, was %llx", (unsigned long long)got,
              (unsigned long long)want);
    }
    return NULL;
}

__attribute__((noinline)) static void jump_to(jmp_buf to) { longjmp(to, 7); }

static void *do_jump(void *arg) {
    (void)arg;
    volatile int jumps = 0;
    for (volatile int i = 0; goes_on(4); i = i + 1) {
        jmp_buf here;
        int came = setjmp(here);
        if (!came)
            jump_to(here);
        WANT(came, 7);
        jumps = jumps + 1;
        WANT(jumps, i + 1);
    }
    return NULL;
}

static void *do_dlopen(void *arg) {
    (void)arg;
    while (goes_on(5)) {
        void *library = open_helper("tls_dynamic");
        CHECK(find_symbol(library, "tls_number"), "expected the symbol");
        WANT(dlclose(library), 0);
    }
    return NULL;
}

int main() {
    check_start();
    const char *given = getenv("PREEMPT_STRESS");
    int seconds = given ? atoi(given) : 1;
    alarm(3 * (unsigned)seconds + 60); /* what was written is read again, line by line */
    until = now_ns(CLOCK_MONOTONIC) + seconds * SECOND_NS;
    CHECK(shared_file = tmpfile(), "tmpfile: errno %d", errno);
    void *(*const run[KINDS])(void *) = {do_malloc, do_stdio, do_throw,
                                         do_floats, do_jump,  do_dlopen};
    pthread_t threads[KINDS * EACH];
    for (long i = 0; i < KINDS * EACH; i++)
        threads[i] = spawn(run[i % KINDS], (void *)i);
    join_all(threads, KINDS * EACH);
    check_lines();
    printf("malloc %d, stdio %d, throw %d, floats %d, jumps %d, dlopen %d\n", turns[0], turns[1],
           turns[2], turns[3], turns[4], turns[5]);
    for (int k = 0; k < KINDS; k++)
        CHECK(turns[k] > EACH, "kind %d has had %d turns", k, turns[k]);
    return 0;
}
