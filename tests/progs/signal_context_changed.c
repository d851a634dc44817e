/* signal_context_changed.c - what a handler changes in its ucontext holds from its return on: the
 * program counter, registers, flags, vector registers, the stack pointer, the mask; also when it
 * has waited meanwhile, and for faults, signals of others, and a thread's own */
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { THREADS = 6, ROUNDS = 50 };

/* Faults at its first instruction; the handler goes on behind it. */
unsigned long fault_at(const void *bad);
extern const char fault_end[];
__asm__(".text\n.type fault_at, @function\nfault_at: mov (%rdi), %rax\nfault_end: ret\n"
        ".size fault_at, . - fault_at\n");

static __thread int waits;

static void on_fault(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    greg_t *regs = uc->uc_mcontext.gregs;
    CHECK(regs[REG_RIP] == (greg_t)fault_at, "expected the fault in fault_at");
    CHECK(info->si_addr == (void *)regs[REG_RDI] && info->si_signo == sig, "expected si_addr");
    WANT(info->si_code, SEGV_ACCERR);
    if (waits)
        pause_ms(1);
    regs[REG_RIP] = (greg_t)fault_end;
    regs[REG_RAX] = 0x123456789abcdef;
}

/* Returns what it is given, unless a handler says otherwise. */
static __thread volatile int flag;
static void on_usr(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    WANT(info->si_signo, sig);
    sigaddset(&uc->uc_sigmask, SIGUSR2);
    sigdelset(&uc->uc_sigmask, SIGHUP);
    if (waits)
        pause_ms(1);
    flag = 1;
}

/* Makes xmm3 all ones in the interrupted code. */
static void on_vector(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    (void)info;
    WANT(sig, SIGURG);
    memset(&uc->uc_mcontext.fpregs->_xmm[3], 0xff, 16);
    uc->uc_mcontext.gregs[REG_EFL] |= 1; /* CF */
    uc->uc_mcontext.gregs[REG_R12] = 42;
}

/* A trap in the middle of code that has set xmm3, r12 and CF. */
static bool vector(void) {
    unsigned long low, r12;
    bool carry;
    __asm__ volatile("pxor %%xmm3, %%xmm3\n\t mov $7, %%r12\n\t clc\n\t"
                     "ud2\n\t"
                     "setc %2\n\t movq %%xmm3, %0\n\t mov %%r12, %1"
                     : "=r"(low), "=r"(r12), "=r"(carry)::"xmm3", "r12", "cc");
    return low == ~0UL && r12 == 42 && carry;
}

static void on_trap(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    WANT(info->si_code, ILL_ILLOPN);
    CHECK(info->si_addr == (void *)uc->uc_mcontext.gregs[REG_RIP], "expected si_addr");
    (void)sig;
    if (waits)
        pause_ms(1);
    on_vector(SIGURG, info, context);
    uc->uc_mcontext.gregs[REG_RIP] += 2;
}

static bool blocked(int sig) {
    sigset_t is;
    OK(pthread_sigmask(SIG_BLOCK, NULL, &is));
    return sigismember(&is, sig);
}

static void *run(void *arg) {
    void *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(bad != MAP_FAILED, "mmap");
    sigset_t hup;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    for (int i = 0; i < ROUNDS; i++) {
        waits = i % 3 == 0;
        WANT(fault_at((char *)bad + i * 8), 0x123456789abcdef);
        CHECK(vector(), "expected the changed registers");
        OK(pthread_sigmask(SIG_SETMASK, &hup, NULL));
        flag = 0;
        WANT(raise(SIGUSR1), 0);
        WANT(flag, 1);
        CHECK(blocked(SIGUSR2) && !blocked(SIGHUP) && !blocked(SIGUSR1),
              "expected the mask that the handler has left");
    }
    return arg;
}

static void action(int sig, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction sa = {.sa_flags = SA_SIGINFO};
    sa.sa_sigaction = handler;
    DONE(sigaction(sig, &sa, NULL));
}

int main(void) {
    check_start();
    action(SIGSEGV, on_fault);
    action(SIGILL, on_trap);
    action(SIGUSR1, on_usr);
    run_all(THREADS, run);
    run(NULL);
    return 0;
}
