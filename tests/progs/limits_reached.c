/* limits_reached.c - at RLIMIT_AS and RLIMIT_NOFILE calls fail with their errno, and all else goes
 * on
 *
 * Address space: threads until there are no more (EAGAIN), all of which run to their end; with the
 * limit raised, more. Descriptors: the table is full before the first thread waits for one, and the
 * limit is then lowered below what is open; those that wait are woken all the same.
 */
#include "util.h"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { MOST = 3000, READERS = 10, TABLE = 200 };

static void limit(int which, rlim_t to) {
    struct rlimit l;
    DONE(getrlimit(which, &l));
    l.rlim_cur = to < l.rlim_max ? to : l.rlim_max;
    DONE(setrlimit(which, &l));
}

static rlim_t address_space(void) {
    unsigned long pages;
    FILE *statm = fopen("/proc/self/statm", "re");
    CHECK(statm, "expected /proc/self/statm to open");
    WANT(fscanf(statm, "%lu", &pages), 1);
    fclose(statm);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static sem_t go;

static void *wait_for_go(void *arg) {
    WANT(sem_wait(&go), 0);
    return arg;
}

static int crowd(int most) {
    static pthread_t threads[MOST];
    int n = 0, error = 0;
    OK(sem_init(&go, 0, 0));
    while (n < most && !(error = pthread_create(&threads[n], NULL, wait_for_go, as_pointer(n))))
        n++;
    CHECK(n == most || error == EAGAIN, "expected EAGAIN, came %s", check_name_of(error));
    for (int i = 0; i < n; i++)
        WANT(sem_post(&go), 0);
    for (int i = 0; i < n; i++)
        WANT(join(threads[i]), i);
    OK(sem_destroy(&go));
    return n;
}

static void memory(void) {
    struct rlimit was;
    crowd(1);
    DONE(getrlimit(RLIMIT_AS, &was));
    limit(RLIMIT_AS, address_space() + (200 << 20));
    int n = crowd(MOST);
    CHECK(n > 5 && n < MOST, "expected some threads of 8 MB in 200 MB, came %d", n);
    n = crowd(5); /* they are there again */
    WANT(n, 5);
    DONE(setrlimit(RLIMIT_AS, &was));
    WANT(crowd(200), 200);
}

static int ends[READERS][2], first, awake;

static void *reader(void *arg) {
    int *end = ends[(intptr_t)arg];
    uint64_t value = 0;
    WANT(read(end[0], &value, sizeof value), sizeof value);
    WANT(value, 7);
    add(&first, 1);
    struct pollfd p = {end[0], POLLIN, 0};
    WANT(poll(&p, 1, 20000), 1);
    WANT(read(end[0], &value, sizeof value), sizeof value);
    add(&awake, 1);
    return NULL;
}

/* Half of them eventfds, which epoll must tell of, half pairs. */
static void open_ends(void) {
    for (int i = 0; i < READERS; i++)
        if (i % 2)
            ends[i][0] = ends[i][1] = (int)DONE(eventfd(0, 0));
        else
            DONE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]));
}

static void close_ends(void) {
    for (int i = 0; i < READERS; i++) {
        DONE(close(ends[i][0]));
        if (ends[i][1] != ends[i][0])
            DONE(close(ends[i][1]));
    }
}

static void wake_all(void) {
    uint64_t seven = 7;
    for (int i = 0; i < READERS; i++)
        WANT(write(ends[i][1], &seven, sizeof seven), sizeof seven);
}

static void serve(void) {
    pthread_t threads[READERS];
    set(&first, 0);
    set(&awake, 0);
    spawn_all(threads, READERS, reader);
    pause_ms(5);
    wake_all();
    wait_until(&first, READERS); /* an eventfd would add the two up */
    wake_all();
    join_all(threads, READERS);
    WANT(get(&awake), READERS);
}

static void descriptors(void) {
    static int fill[TABLE];
    int n = 0;
    open_ends();
    limit(RLIMIT_NOFILE, TABLE);
    while (n < TABLE && (fill[n] = dup(0)) >= 0)
        n++;
    WANT(errno, EMFILE);
    serve();
    FAILS(eventfd(0, 0), EMFILE);
    FAILS(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    limit(RLIMIT_NOFILE, 10); /* below everything that is open */
    serve();
    limit(RLIMIT_NOFILE, TABLE);
    while (n > 0)
        DONE(close(fill[--n]));
    serve();
    close_ends();
    open_ends();
    serve();
    limit(RLIMIT_NOFILE, 10); /* now below what the library has opened for itself */
    serve();
    close_ends();
}

int main(void) {
    check_start();
    descriptors();
    memory();
    return 0;
}
