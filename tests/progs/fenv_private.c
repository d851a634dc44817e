/* fenv_private.c - rounding mode, exceptions and control words are each thread's own */
#include "check.h"

#include <fenv.h>
#include <xmmintrin.h>

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

/* 1/3 rounded in the current mode, by SSE and by the x87: the two have a control word each. */
static void rounds_as(int mode) {
    volatile double one = 1, three = 3, minus = -1;
    volatile long double lone = 1, lthree = 3;
    WANT(fegetround(), mode);
    double up = one / three, down = minus / three;
    long double lup = lone / lthree;
    CHECK((up > 0.33333333333333331) == (mode == FE_UPWARD), "SSE rounds wrongly in mode %x", mode);
    CHECK((down < -0.33333333333333331) == (mode == FE_DOWNWARD), "SSE rounds -1/3 wrongly in %x",
          mode);
    long double nearest = 0.333333333333333333342368351437379203616728773340582847595214843750L;
    bool below = lup < nearest;
    CHECK(below == (mode == FE_DOWNWARD || mode == FE_TOWARDZERO), "x87 rounds wrongly in mode %x",
          mode);
}

static void *grandchild(void *arg) {
    rounds_as(modes[(intptr_t)arg % 4]);
    return NULL;
}

static void *run(void *arg) {
    int mode = modes[(intptr_t)arg % 4];
    WANT(fegetround(), FE_UPWARD); /* the creator's, at the time of creation */
    OK(fesetround(mode));
    OK(feclearexcept(FE_ALL_EXCEPT));
    for (int i = 0; i < 50; i++) {
        rounds_as(mode);
        if (i % 10)
            sched_yield();
        else
            pause_ms(1);
    }
    join(spawn(grandchild, arg));
    OK(fesetround(FE_TONEAREST));
    return NULL;
}

/* Flush-to-zero lies in MXCSR, beside the rounding mode. */
static void *flush_to_zero(void *arg) {
    bool on = (intptr_t)arg % 2;
    _MM_SET_FLUSH_ZERO_MODE(on ? _MM_FLUSH_ZERO_ON : _MM_FLUSH_ZERO_OFF);
    for (int i = 0; i < 50; i++) {
        volatile double tiny = 2.2250738585072014e-308, half = 0.5;
        CHECK((tiny * half == 0) == on, "expected flush-to-zero to be %d", on);
        sched_yield();
    }
    return NULL;
}

int main(void) {
    check_start();
    OK(fesetround(FE_UPWARD));
    run_all(16, run);
    WANT(fegetround(), FE_UPWARD); /* no thread has changed main's */
    rounds_as(FE_UPWARD);
    OK(fesetround(FE_TONEAREST));
    run_all(10, flush_to_zero);
    return 0;
}
