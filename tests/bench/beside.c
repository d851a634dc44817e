/* beside.c SECONDS - a thread that computes, beside 50 in getaddrinfo against a name server that
 * never answers and 50 in fgets on pipes that stay empty
 *
 * ns_per_op is what a thousand steps take beside them, alone_ns what they take the same thread
 * without them, before and after. */
#include "bench.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>
#include <unistd.h>

#define EACH 50

static struct sockaddr_in server;
static int pipes[EACH][2];
static volatile int waiting, stop, wrong;

static void *asks(void *arg) {
    struct addrinfo *found;
    if (res_init()) /* of this thread */
        wrong = 1;
    _res.nsaddr_list[0] = server;
    _res.nscount = 1;
    _res.retrans = 1;
    _res.retry = 1;
    _res.options &= ~(unsigned long)(RES_DEFNAMES | RES_DNSRCH);
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    while (!stop)
        if (getaddrinfo("nobody.example", "80", NULL, &found) != EAI_AGAIN)
            wrong = 1;
    return arg;
}

static void *reads(void *arg) {
    char line[8];
    FILE *f = fdopen(pipes[(intptr_t)arg][0], "r");
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    if (!f || fgets(line, sizeof line, f))
        wrong = 1;
    return arg;
}

/* Thousands of steps in that time. */
static long compute(double ns, double *took) {
    volatile unsigned long n = 0;
    double start = now_ns();
    long thousands = 0;
    do {
        for (int i = 0; i < 1000; i++)
            ++n;
        thousands++;
    } while ((*took = now_ns() - start) < ns);
    return thousands;
}

int main(int argc, char **argv) {
    double ns = argc == 2 ? atof(argv[1]) * 1e9 : 0;
    double alone, alone_after, beside;
    socklen_t len = sizeof server;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    pthread_t askers[EACH], readers[EACH];
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (ns <= 0 || bind(fd, (struct sockaddr *)&server, len) ||
        getsockname(fd, (struct sockaddr *)&server, &len))
        return 2;
    long alone_ops = compute(ns / 2, &alone);
    for (intptr_t i = 0; i < EACH; i++)
        if (pipe(pipes[i]) || pthread_create(&askers[i], NULL, asks, NULL) ||
            pthread_create(&readers[i], NULL, reads, (void *)i))
            return 2;
    while (waiting < 2 * EACH)
        usleep(1000);
    usleep(100000);
    long beside_ops = compute(ns, &beside);
    stop = 1;
    for (int i = 0; i < EACH; i++) {
        close(pipes[i][1]);
        pthread_join(askers[i], NULL);
        pthread_join(readers[i], NULL);
    }
    alone_ops += compute(ns / 2, &alone_after);
    printf("alone_ns=%.1f\n", (alone + alone_after) / (double)alone_ops);
    return report(beside, beside_ops, !wrong);
}
