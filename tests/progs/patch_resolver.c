/* patch_resolver.c - fifty threads ask a name server that never answers: they wait as goroutines,
 * with no kernel thread for each, since libc's own poll comes to the library; each is told that
 * there is no answer; with patch=off too */
#include "patch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <resolv.h>
#include <netdb.h>
#include <sys/socket.h>

enum { ASKERS = 200, FEW = 25 }; /* kernel threads: a few, and one for each P */

static struct sockaddr_in server;
static int asking, done;

static void *asks(void *arg) {
    unsigned char answer[512];
    struct __res_state state;
    memset(&state, 0, sizeof state);
    WANT(res_ninit(&state), 0);
    state.nsaddr_list[0] = server;
    state.nscount = 1;
    state.retrans = 1;
    state.retry = 1;
    add(&asking, 1);
    WANT(res_nquery(&state, "nobody.invalid", ns_c_in, ns_t_a, answer, sizeof answer), -1);
    WANT(state.res_h_errno, TRY_AGAIN);
    res_nclose(&state);
    add(&done, 1);
    return arg;
}

int main(int argc, char **argv) {
    check_start();
    bool lib = check_expects("lib"), off = argc > 1;
    pthread_t threads[ASKERS];
    socklen_t len = sizeof server;
    if (lib && !off) {
        bool known = as_known("poll");
        again(argv[0], "off", "patch=off");
        if (!known)
            check_skip("another glibc");
    }
    int fd = (int)DONE(socket(AF_INET, SOCK_DGRAM, 0));
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    DONE(bind(fd, (struct sockaddr *)&server, sizeof server));
    DONE(getsockname(fd, (struct sockaddr *)&server, &len));
    const char *procs = getenv("GTHREAD_PROCS");
    int most = FEW + (procs ? atoi(procs) : (int)sysconf(_SC_NPROCESSORS_ONLN));
    spawn_all(threads, ASKERS, asks);
    wait_until(&asking, ASKERS);
    while (get(&done) < ASKERS) {
        if (lib && !off)
            CHECK(kernel_thread_count() <= most, "expected at most %d kernel threads, came %d",
                  most, kernel_thread_count());
        pause_ms(20);
    }
    join_all(threads, ASKERS);
    close(fd);
    return 0;
}
