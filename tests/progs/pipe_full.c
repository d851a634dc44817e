/* pipe_full.c - writers to full pipes wait for slow readers, and every byte arrives in order */
#include "check.h"

#include <sys/socket.h>
#include <sys/uio.h>

enum { PAIRS = 8, BYTES = 400000 };

static int ends[PAIRS][2];

static unsigned char byte_at(int pair, size_t at) {
    return (unsigned char)(at * 7 + at / 251 + (size_t)pair);
}

static void *writer(void *arg) {
    int me = (int)(intptr_t)arg;
    static __thread unsigned char buffer[100000]; /* more than a pipe holds: one write blocks */
    for (size_t sent = 0; sent < BYTES;) {
        size_t n = BYTES - sent < sizeof buffer ? BYTES - sent : sizeof buffer;
        for (size_t i = 0; i < n; i++)
            buffer[i] = byte_at(me, sent + i);
        struct iovec parts[2] = {{buffer, n / 3}, {buffer + n / 3, n - n / 3}};
        long got = sent % 3 ? writev(ends[me][1], parts, 2) : write(ends[me][1], buffer, n);
        WANT(got, n); /* a blocking write takes all */
        sent += n;
    }
    DONE(close(ends[me][1]));
    return NULL;
}

static void *reader(void *arg) {
    int me = (int)(intptr_t)arg;
    unsigned char buffer[5000];
    size_t received = 0;
    for (long n; (n = DONE(read(ends[me][0], buffer, sizeof buffer))) > 0;) {
        for (long i = 0; i < n; i++)
            WANT(buffer[i], byte_at(me, received + (size_t)i));
        received += (size_t)n;
        if (received / 50000 % 2)
            sched_yield();
        if (received % 7 == 0)
            pause_ms(1); /* slow */
    }
    WANT(received, BYTES);
    return NULL;
}

int main(void) {
    check_start();
    pthread_t writers[PAIRS], readers[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        DONE(i % 2 ? pipe(ends[i]) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]));
    }
    spawn_all(writers, PAIRS, writer);
    pause_ms(20); /* all are full now */
    spawn_all(readers, PAIRS, reader);
    join_all(writers, PAIRS);
    join_all(readers, PAIRS);
    return 0;
}
