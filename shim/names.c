/* names.c - names of hosts, users and groups: servers may be asked for them
 *
 * libc asks by sockets of its own, reads files, and takes locks that are its own. Where these calls
 * come to us (interpose/patch.c) a goroutine parks in them, unless the function holds a lock
 * meanwhile: who waits for that does so unseen. Else it is bracketed, and keeps its kernel thread.
 */
#include "shim/bracket.h"
#include "shim/fd.h"

#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <resolv.h>
#include <shadow.h>
#include <stdarg.h>
#include <syslog.h>

/* Fortified callers' entry; the header has it only as an inline function. */
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);

/* ---- hosts ---- */

INSIDE(int, getaddrinfo,
       (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res),
       (node, service, hints, res))
INSIDE(int, getnameinfo,
       (const struct sockaddr *a, socklen_t len, char *host, socklen_t hl, char *serv, socklen_t sl,
        int fl),
       (a, len, host, hl, serv, sl, fl))
KEEP(struct hostent *, gethostbyname, (const char *name), (name))
KEEP(struct hostent *, gethostbyname2, (const char *name, int af), (name, af))
KEEP(struct hostent *, gethostbyaddr, (const void *a, socklen_t len, int af), (a, len, af))
INSIDE(int, gethostbyname_r,
       (const char *name, struct hostent *h, char *b, size_t n, struct hostent **res, int *err),
       (name, h, b, n, res, err))
INSIDE(int, gethostbyname2_r,
       (const char *name, int af, struct hostent *h, char *b, size_t n, struct hostent **res,
        int *err),
       (name, af, h, b, n, res, err))
INSIDE(int, gethostbyaddr_r,
       (const void *a, socklen_t len, int af, struct hostent *h, char *b, size_t n,
        struct hostent **res, int *err),
       (a, len, af, h, b, n, res, err))

/* Asynchronous requests are worked on by threads of libc's own. These return EAI_INTR, so the
 * bracket does not see an interruption that was not the caller's. Without a time-out only: one that
 * is begun anew would last too long. */
SHIM_API int shim_gai_suspend(const struct gaicb *const list[], int n, const struct timespec *t) {
    uint64_t mark = signal_mark();
    int r;
    do
        r = LIBC_CALL_BLOCK(next(gai_suspend)(list, n, t));
    while (r == EAI_INTR && !t && !signal_ends(mark, true));
    return r;
}

/* As lio_listio (io.c): handed in there, waited for here; no cancellation point. */
SHIM_API int shim_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *ev) {
    if (!getg() || mode != GAI_WAIT)
        return next(getaddrinfo_a)(mode, list, n, ev);
    int state, r = next(getaddrinfo_a)(GAI_NOWAIT, list, n, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    for (int i = 0; r == 0 && i < n; i++) {
        const struct gaicb *one = list[i];
        while (one && r == 0 && gai_error(list[i]) == EAI_INPROGRESS)
            if (shim_gai_suspend(&one, 1, NULL) == EAI_INTR)
                r = EAI_INTR;
    }
    pthread_setcancelstate(state, NULL);
    return r;
}

/* ---- the resolver ---- */

typedef const unsigned char *query;
typedef unsigned char *answer;

INSIDE(int, res_query, (const char *name, int class, int type, answer a, int n),
       (name, class, type, a, n))
INSIDE(int, res_search, (const char *name, int class, int type, answer a, int n),
       (name, class, type, a, n))
INSIDE(int, res_querydomain,
       (const char *name, const char *domain, int class, int type, answer a, int n),
       (name, domain, class, type, a, n))
INSIDE(int, res_send, (query q, int qn, answer a, int n), (q, qn, a, n))
INSIDE(int, res_nquery, (res_state s, const char *name, int class, int type, answer a, int n),
       (s, name, class, type, a, n))
INSIDE(int, res_nsearch, (res_state s, const char *name, int class, int type, answer a, int n),
       (s, name, class, type, a, n))
INSIDE(int, res_nquerydomain,
       (res_state s, const char *name, const char *domain, int class, int type, answer a, int n),
       (s, name, domain, class, type, a, n))
INSIDE(int, res_nsend, (res_state s, query q, int qn, answer a, int n), (s, q, qn, a, n))

/* ---- users and groups ---- */

KEEP(struct passwd *, getpwnam, (const char *name), (name))
KEEP(struct passwd *, getpwuid, (uid_t id), (id))
KEEP(int, getpwnam_r, (const char *name, struct passwd *p, char *b, size_t n, struct passwd **res),
     (name, p, b, n, res))
KEEP(int, getpwuid_r, (uid_t id, struct passwd *p, char *b, size_t n, struct passwd **res),
     (id, p, b, n, res))
KEEP(struct passwd *, getpwent, (void), ())
KEEP(int, getpwent_r, (struct passwd * p, char *b, size_t n, struct passwd **res), (p, b, n, res))
KEEP(struct group *, getgrnam, (const char *name), (name))
KEEP(struct group *, getgrgid, (gid_t id), (id))
KEEP(int, getgrnam_r, (const char *name, struct group *g, char *b, size_t n, struct group **res),
     (name, g, b, n, res))
KEEP(int, getgrgid_r, (gid_t id, struct group *g, char *b, size_t n, struct group **res),
     (id, g, b, n, res))
KEEP(struct group *, getgrent, (void), ())
KEEP(int, getgrent_r, (struct group * g, char *b, size_t n, struct group **res), (g, b, n, res))
KEEP(int, getgrouplist, (const char *name, gid_t id, gid_t *ids, int *n), (name, id, ids, n))
KEEP(struct spwd *, getspnam, (const char *name), (name))
KEEP(int, getspnam_r, (const char *name, struct spwd *s, char *b, size_t n, struct spwd **res),
     (name, s, b, n, res))
KEEP(int, innetgr, (const char *group, const char *host, const char *user, const char *domain),
     (group, host, user, domain))

/* ---- the log ---- */

SHIM_API void shim_vsyslog(int priority, const char *format, va_list ap) {
    LIBC_CALL((next(vsyslog)(priority, format, ap), 0));
}

SHIM_API void shim_vsyslog_chk(int priority, int flag, const char *format, va_list ap) {
    LIBC_CALL((next(__vsyslog_chk)(priority, flag, format, ap), 0));
}

SHIM_API void shim_syslog(int priority, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    shim_vsyslog(priority, format, ap);
    va_end(ap);
}

SHIM_API void shim_syslog_chk(int priority, int flag, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    shim_vsyslog_chk(priority, flag, format, ap);
    va_end(ap);
}

/* ---- commands on another machine: sockets come back ---- */

#define BORN(name, second, params, args)                                                           \
    SHIM_API int shim_##name params {                                                              \
        int fd = fd_born((int)LIBC_CALL(next(name) args));                                         \
        if (fd >= 0 && (second))                                                                   \
            fd_born(*(second));                                                                    \
        return fd;                                                                                 \
    }

BORN(rcmd, e,
     (char **host, unsigned short port, const char *a, const char *b, const char *cmd, int *e),
     (host, port, a, b, cmd, e))
BORN(rcmd_af, e,
     (char **host, unsigned short port, const char *a, const char *b, const char *cmd, int *e,
      sa_family_t af),
     (host, port, a, b, cmd, e, af))
BORN(rexec, e, (char **host, int port, const char *u, const char *p, const char *cmd, int *e),
     (host, port, u, p, cmd, e))
BORN(rexec_af, e,
     (char **host, int port, const char *u, const char *p, const char *cmd, int *e, sa_family_t af),
     (host, port, u, p, cmd, e, af))
BORN(rresvport, (int *)NULL, (int *port), (port))
BORN(rresvport_af, (int *)NULL, (int *port, sa_family_t af), (port, af))
