/* signal_context_kept.c - code that is interrupted by a handler keeps everything: general
 * registers, flags, the red zone, x87 stack and control word, MXCSR, the vector registers; also if
 * the handler uses them, waits, and comes back elsewhere. And a handler starts with clean settings.
 */
#include "check.h"

#include <stddef.h>

#include <immintrin.h>
#include <signal.h>

enum { THREADS = 4, ROUNDS = 100 };

struct state {
    unsigned long seed;
    const int *count;
    long minus_from;
    unsigned csr, old_csr;
    unsigned long lanes[4] __attribute__((aligned(32)));
    unsigned short cw;
};
_Static_assert(offsetof(struct state, lanes) == 32 && offsetof(struct state, cw) == 64, "spin");

/* Fills everything with the seed, spins while *count is what it was, without touching the flags,
 * and returns what differs then, as a number made of parts. Uses its red zone. */
unsigned long spin(struct state *s);
__asm__(".text\n"
        ".type spin, @function\n"
        "spin: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "stmxcsr 28(%rdi)\n ldmxcsr 24(%rdi)\n fldcw 64(%rdi)\n fldpi\n"
        "mov (%rdi), %rax\n mov 8(%rdi), %rsi\n mov 16(%rdi), %r9\n"
        "mov %rax, -8(%rsp)\n mov %rax, -64(%rsp)\n mov %rax, -128(%rsp)\n"
        "mov %rax, %rbx\n mov %rax, %rbp\n mov %rax, %rdx\n mov %rax, %r8\n mov %rax, %r10\n"
        "mov %rax, %r11\n mov %rax, %r12\n mov %rax, %r13\n mov %rax, %r14\n mov %rax, %r15\n"
        "vmovdqa 32(%rdi), %ymm0\n vmovdqa %ymm0, %ymm7\n vmovdqa %ymm0, %ymm15\n"
        "stc\n"
        "1: jnc 2f\n mov (%rsi), %ecx\n lea (%rcx,%r9), %ecx\n jrcxz 1b\n"
        "2: mov $0, %ecx\n jc 3f\n add $1000, %rcx\n"
        "3: mov (%rdi), %r9\n"
        ".macro same what\n cmp %r9, \\what\n je 9f\n inc %rcx\n 9:\n .endm\n"
        "same -8(%rsp)\n same -64(%rsp)\n same -128(%rsp)\n same %rax\n same %rbx\n same %rbp\n"
        "same %rdx\n same %r8\n same %r10\n same %r11\n same %r12\n same %r13\n same %r14\n"
        "same %r15\n"
        "vpcmpeqq 32(%rdi), %ymm0, %ymm0\n vpcmpeqq 32(%rdi), %ymm7, %ymm7\n"
        "vpcmpeqq 32(%rdi), %ymm15, %ymm15\n vpand %ymm0, %ymm7, %ymm0\n"
        "vpand %ymm15, %ymm0, %ymm0\n vpmovmskb %ymm0, %eax\n cmp $-1, %eax\n je 4f\n"
        "add $100, %rcx\n"
        "4: fldpi\n fcomip %st(1), %st\n je 5f\n add $10000, %rcx\n"
        "5: fstp %st(0)\n fnstcw 64(%rdi)\n cmpw $0x27f, 64(%rdi)\n je 6f\n add $100000, %rcx\n"
        "6: stmxcsr 24(%rdi)\n mov 24(%rdi), %eax\n and $0xffc0, %eax\n cmp $0x3f80, %eax\n je 7f\n"
        "add $1000000, %rcx\n"
        "7: ldmxcsr 28(%rdi)\n fninit\n vzeroupper\n mov %rcx, %rax\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size spin, . - spin\n");

static int handled, stop;
static long turns;

static void handler(int sig) {
    unsigned short cw;
    __asm__ volatile("fnstcw %0" : "=m"(cw));
    WANT(cw, 0x37f);
    WANT(_mm_getcsr() & 0xffc0, 0x1f80);
    volatile long double a = 1.5L + sig, b = a * a;
    CHECK(b > a, "expected arithmetic to work");
    _mm_setcsr(0x1f80 | 0x6000);
    __asm__ volatile("fldz\n fld1\n vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n vmovdqa %%ymm0, %%ymm7\n"
                     "vmovdqa %%ymm0, %%ymm15\n" ::
                         : "xmm0", "xmm7", "xmm15");
    if (sig == SIGUSR2)
        pause_ms(1); /* on to another kernel thread, and others here */
    handled++;
}

/* Other threads that use the registers whenever they are let. */
static void *other(void *arg) {
    while (!get(&stop)) {
        __asm__ volatile("vpxor %%ymm0, %%ymm0, %%ymm0\n vmovdqa %%ymm0, %%ymm7\n"
                         "vmovdqa %%ymm0, %%ymm15\n" ::
                             : "xmm0", "xmm7", "xmm15");
        __atomic_add_fetch(&turns, 1, __ATOMIC_RELAXED);
        pause_ms(1);
    }
    return arg;
}

static timer_t every_ms(int sig, int ms) {
    timer_t timer;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
    struct itimerspec at = {{0, ms * 1000000L}, {0, ms * 1000000L}};
    DONE(timer_create(CLOCK_MONOTONIC, &ev, &timer));
    DONE(timer_settime(timer, 0, &at, NULL));
    return timer;
}

int main(void) {
    check_start();
    if (!__builtin_cpu_supports("avx2"))
        check_skip("no AVX2");
    pthread_t threads[THREADS];
    sigset_t both, old;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    DONE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL));
    DONE(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = handler}, NULL));
    OK(pthread_sigmask(SIG_BLOCK, &both, &old)); /* the others; the timers' signals are ours */
    spawn_all(threads, THREADS, other);
    OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
    timer_t one = every_ms(SIGUSR1, 1), two = every_ms(SIGUSR2, 7);
    for (int i = 0; i < ROUNDS; i++) {
        struct state s = {.seed = 0x0123456789abcdefUL * (unsigned long)(2 * i + 1),
                          .count = &handled,
                          .minus_from = -(long)get(&handled),
                          .csr = 0x1f80 | 0x2000,
                          .cw = 0x27f};
        for (int k = 0; k < 4; k++)
            s.lanes[k] = s.seed + (unsigned long)k;
        WANT(spin(&s), 0);
    }
    DONE(timer_delete(one));
    DONE(timer_delete(two));
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    join_all(threads, THREADS);
    CHECK(turns > 0, "expected the others to have had a turn");
    return 0;
}
