/* syscall.h - system calls without libc: no errno, no cancellation, no interposition
 *
 * The result is the kernel's: -4095..-1 are errors. Used for everything the runtime itself asks
 * of the kernel, so that it never enters a function that it (or another preload) intercepts.
 */
#ifndef GTHREAD_SYSCALL_H
#define GTHREAD_SYSCALL_H

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

#define SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define SYS_L(x) ((long)(x))
#define SYS_0(n) arch_syscall(n, 0, 0, 0, 0, 0, 0)
#define SYS_1(n, a) arch_syscall(n, SYS_L(a), 0, 0, 0, 0, 0)
#define SYS_2(n, a, b) arch_syscall(n, SYS_L(a), SYS_L(b), 0, 0, 0, 0)
#define SYS_3(n, a, b, c) arch_syscall(n, SYS_L(a), SYS_L(b), SYS_L(c), 0, 0, 0)
#define SYS_4(n, a, b, c, d) arch_syscall(n, SYS_L(a), SYS_L(b), SYS_L(c), SYS_L(d), 0, 0)
#define SYS_5(n, a, b, c, d, e) arch_syscall(n, SYS_L(a), SYS_L(b), SYS_L(c), SYS_L(d), SYS_L(e), 0)
#define SYS_6(n, a, b, c, d, e, f)                                                                 \
    arch_syscall(n, SYS_L(a), SYS_L(b), SYS_L(c), SYS_L(d), SYS_L(e), SYS_L(f))
/* sys(number, up to six arguments of any scalar type) */
#define sys(...) SYS_PICK(__VA_ARGS__, SYS_6, SYS_5, SYS_4, SYS_3, SYS_2, SYS_1, SYS_0)(__VA_ARGS__)

#endif
