/* waits_names.c - the functions that ask a name server, and one that says nothing until it is told
 * to: see waits.h. Each thread has it in its own resolver state, the machine's files are as they
 * were. needs: time
 */
#include "waits.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

static int server;
static struct sockaddr_in address;
static struct addrinfo *found;
static struct hostent entry, *h;
static char buffer[1024];
static unsigned char answer[512], asked[512];
static struct __res_state state;

/* Questions to it are kept; a time-out of the resolver's is seconds, at least one. */
static void make(void) {
    socklen_t len = sizeof address;
    server = (int)DONE(socket(AF_INET, SOCK_DGRAM, 0));
    address = (struct sockaddr_in){.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    DONE(bind(server, (struct sockaddr *)&address, sizeof address));
    DONE(getsockname(server, (struct sockaddr *)&address, &len));
}

DO(clear, DONE(close(server)))

/* Says of all that has been asked that there is no such name. */
static void no_such_name(void) {
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t n;
    DONE(fcntl(server, F_SETFL, O_NONBLOCK));
    while (!get(&waits_outside)) {
        while ((n = recvfrom(server, asked, sizeof asked, 0, (struct sockaddr *)&from, &len)) > 0) {
            asked[2] |= 0x80; /* an answer */
            asked[3] = 3;     /* NXDOMAIN */
            DONE(sendto(server, asked, (size_t)n, 0, (struct sockaddr *)&from, len));
        }
        pause_ms(1);
    }
}

static void ask(res_state s, int seconds) {
    s->nsaddr_list[0] = address;
    s->nscount = 1;
    s->retrans = seconds;
    s->retry = 1;
    s->options &= ~(unsigned long)(RES_DNSRCH | RES_DEFNAMES);
}

static void mine(int seconds) {
    WANT(res_init(), 0);
    ask(&_res, seconds);
}

static void own(int seconds) {
    memset(&state, 0, sizeof state);
    WANT(res_ninit(&state), 0);
    ask(&state, seconds);
}

static long from_h_errno(int e) { return -e; }

#define NAME "nobody.invalid."
#define LONG_SECONDS 30
#define BY_H_ERRNO(name, expr)                                                                     \
    static long name(void) {                                                                       \
        mine(LONG_SECONDS);                                                                        \
        return (expr) ? 0 : from_h_errno(h_errno);                                                 \
    }
CALL(c_getaddrinfo, (mine(LONG_SECONDS), getaddrinfo(NAME, NULL, NULL, &found)))
CALL(t_getaddrinfo, (mine(1), getaddrinfo(NAME, NULL, NULL, &found)))
static long c_getnameinfo(void) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(0x0a000001);
    mine(LONG_SECONDS);
    return getnameinfo((struct sockaddr *)&a, sizeof a, buffer, sizeof buffer, NULL, 0,
                       NI_NAMEREQD);
}
BY_H_ERRNO(c_gethostbyname, gethostbyname(NAME))
BY_H_ERRNO(c_gethostbyname2, gethostbyname2(NAME, AF_INET))
BY_H_ERRNO(c_gethostbyaddr, gethostbyaddr("\012\0\0\001", 4, AF_INET))
#define REENTRANT(name, fn, ...)                                                                   \
    static long name(void) {                                                                       \
        int e = 0;                                                                                 \
        mine(LONG_SECONDS);                                                                        \
        fn(__VA_ARGS__, &entry, buffer, sizeof buffer, &h, &e);                                    \
        return h ? 0 : from_h_errno(e);                                                            \
    }
REENTRANT(c_gethostbyname_r, gethostbyname_r, NAME)
REENTRANT(c_gethostbyname2_r, gethostbyname2_r, NAME, AF_INET)
REENTRANT(c_gethostbyaddr_r, gethostbyaddr_r, "\012\0\0\001", 4, AF_INET)

#define QUESTION ns_c_in, ns_t_a, answer, sizeof answer
BY_H_ERRNO(c_res_query, res_query(NAME, QUESTION) >= 0)
BY_H_ERRNO(c_res_search, res_search(NAME, QUESTION) >= 0)
BY_H_ERRNO(c_res_querydomain, res_querydomain("nobody", "invalid.", QUESTION) >= 0)
#define BY_STATE(name, expr)                                                                       \
    static long name(void) {                                                                       \
        own(LONG_SECONDS);                                                                         \
        long r = (expr) >= 0 ? 0 : from_h_errno(state.res_h_errno);                                \
        res_nclose(&state);                                                                        \
        return r;                                                                                  \
    }
BY_STATE(c_res_nquery, res_nquery(&state, NAME, QUESTION))
BY_STATE(c_res_nsearch, res_nsearch(&state, NAME, QUESTION))
BY_STATE(c_res_nquerydomain, res_nquerydomain(&state, "nobody", "invalid.", QUESTION))

/* These pass on whatever the server says. */
static long c_res_send(void) {
    unsigned char q[512];
    mine(LONG_SECONDS);
    int n = res_mkquery(QUERY, NAME, ns_c_in, ns_t_a, NULL, 0, NULL, q, sizeof q);
    return res_send(q, n, answer, sizeof answer) > 0 ? -(answer[3] & 15) : -1;
}
static long c_res_nsend(void) {
    unsigned char q[512];
    own(LONG_SECONDS);
    int n = res_nmkquery(&state, QUERY, NAME, ns_c_in, ns_t_a, NULL, 0, NULL, q, sizeof q);
    long r = res_nsend(&state, q, n, answer, sizeof answer) > 0 ? -(answer[3] & 15) : -1;
    res_nclose(&state);
    return r;
}

#define ROW(name, call, want)                                                                      \
    { name, make, clear, call, no_such_name, want, UNMOVED, true, NULL, 0, NULL, 0 }
static const struct row rows[] = {
    {"getaddrinfo", make, clear, c_getaddrinfo, no_such_name, EAI_NONAME, UNMOVED, true,
     t_getaddrinfo, EAI_AGAIN, NULL, 0},
    ROW("getnameinfo", c_getnameinfo, EAI_NONAME),
    ROW("gethostbyname", c_gethostbyname, -HOST_NOT_FOUND),
    ROW("gethostbyname2", c_gethostbyname2, -HOST_NOT_FOUND),
    ROW("gethostbyaddr", c_gethostbyaddr, -HOST_NOT_FOUND),
    ROW("gethostbyname_r", c_gethostbyname_r, -HOST_NOT_FOUND),
    ROW("gethostbyname2_r", c_gethostbyname2_r, -HOST_NOT_FOUND),
    ROW("gethostbyaddr_r", c_gethostbyaddr_r, -HOST_NOT_FOUND),
    ROW("res_query", c_res_query, -HOST_NOT_FOUND),
    ROW("res_search", c_res_search, -HOST_NOT_FOUND),
    ROW("res_querydomain", c_res_querydomain, -HOST_NOT_FOUND),
    ROW("res_nquery", c_res_nquery, -HOST_NOT_FOUND),
    ROW("res_nsearch", c_res_nsearch, -HOST_NOT_FOUND),
    ROW("res_nquerydomain", c_res_nquerydomain, -HOST_NOT_FOUND),
    ROW("res_send", c_res_send, -3),
    ROW("res_nsend", c_res_nsend, -3),
};

int main(void) {
    check_start();
    waits_rows(rows, sizeof rows / sizeof *rows);
    return 0;
}
