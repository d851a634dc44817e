/* x3_go_image.c - threads of an image that Go's linker has marked ask the kernel by instructions of
 * their own, as Go's runtime does: gettid, tgkill, masks, actions and alternate stacks are each
 * thread's, wherever it has waited (DANGERS X3, S4); other threads of the image go on beside them
 */
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* What `go build` puts into .note.go.buildid. */
__asm__(".pushsection .note.go.buildid,\"a\",@note\n"
        ".balign 4\n.long 4\n.long 4\n.long 4\n.ascii \"Go\\0\\0\"\n.ascii \"test\"\n"
        ".popsection\n"
        ".text\nraw_restorer: mov $15, %eax\nsyscall\n");
void raw_restorer(void);

enum { N = 8, ROUNDS = 30, STACK = 32768 };

static long raw(long nr, long a, long b, long c, long d) {
    long r;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return r;
}

struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

struct me {
    long tid;
    char *stack;
    int caught, off_stack, other_thread, done;
};
static struct me all[N];
static __thread struct me *me;
static int ready, stop;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void handler(int sig) {
    char here;
    (void)sig;
    struct me *m = me;
    if (!m)
        return;
    m->off_stack += &here < m->stack || &here >= m->stack + STACK;
    m->other_thread += raw(SYS_gettid, 0, 0, 0, 0) != m->tid;
    add(&m->caught, 1);
}

static void *go_thread(void *arg) {
    struct me *m = arg;
    uint64_t none = 0;
    stack_t ss = {.ss_sp = m->stack, .ss_size = STACK};
    m->tid = raw(SYS_gettid, 0, 0, 0, 0);
    WANT(raw(SYS_sigaltstack, (long)&ss, 0, 0, 0), 0);
    me = m;
    WANT(raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8), 0);
    WANT(gettid(), m->tid);
    add(&ready, 1);
    for (int i = 0; !get(&stop); i++) {
        WANT(raw(SYS_gettid, 0, 0, 0, 0), m->tid);
        switch (i % 4) {
        case 0:
            OK(pthread_mutex_lock(&mutex));
            OK(pthread_mutex_unlock(&mutex));
            break;
        case 1:
            pause_ms(1);
            break;
        case 2:
            sched_yield();
            break;
        default:
            for (volatile int k = 0; k < 20000; k++)
                continue;
        }
    }
    ss.ss_flags = SS_DISABLE;
    while (raw(SYS_sigaltstack, (long)&ss, 0, 0, 0))
        sched_yield();
    return arg;
}

static void *c_thread(void *arg) {
    OK(pthread_mutex_lock(&mutex));
    OK(pthread_mutex_unlock(&mutex));
    pause_ms(1);
    return arg;
}

int main(void) {
    check_start();
    pthread_t threads[N];
    sigset_t every, old;
    struct kernel_action sa = {handler, SA_ONSTACK | SA_RESTART | 0x04000000 /* RESTORER */,
                               raw_restorer, ~0UL};
    WANT(raw(SYS_rt_sigaction, SIGURG, (long)&sa, 0, 8), 0);
    for (int i = 0; i < N; i++) {
        all[i].stack = malloc(STACK);
        sigfillset(&every); /* as runtime/cgo does while it makes a thread */
        OK(pthread_sigmask(SIG_SETMASK, &every, &old));
        threads[i] = spawn(go_thread, &all[i]);
        OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
    }
    wait_until(&ready, N);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t c[3];
        spawn_all(c, 3, c_thread);
        for (int i = 0; i < N; i++) {
            int before = get(&all[i].caught);
            WANT(raw(SYS_tgkill, getpid(), all[i].tid, SIGURG, 0), 0);
            wait_until(&all[i].caught, before + 1);
        }
        join_all(c, 3);
    }
    set(&stop, 1);
    join_all(threads, N);
    for (int i = 0; i < N; i++) {
        WANT(all[i].off_stack, 0);
        WANT(all[i].other_thread, 0);
    }
    return 0;
}
