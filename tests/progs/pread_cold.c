/* pread_cold.c - reads of a file whose pages are thrown out of the cache all the time, by several
 * threads: each gives what is there, whole, also where the cache has a part of it only, and at the
 * end of the file; errors are the kernel's. So too when such reads have been slow for a while and
 * the cache is asked first */
#include "check.h"

#include <fcntl.h>

enum { THREADS = 4, ROUNDS = 200, SIZE = 1 << 20, LONGEST = 40000 };

static int file;

static unsigned char byte_at(long at) { return (unsigned char)(at * 7 + at / 4096); }

static void read_at(long at, size_t n) {
    static __thread unsigned char got[LONGEST];
    size_t there = at >= SIZE ? 0 : (size_t)(SIZE - at) < n ? (size_t)(SIZE - at) : n;
    memset(got, 0, sizeof got);
    ssize_t r = pread(file, got, n, at);
    CHECK(r == (ssize_t)there, "%zu bytes at %ld: came %zd, expected %zu (errno %d)", n, at, r,
          there, errno);
    for (size_t i = 0; i < there; i++)
        CHECK(got[i] == byte_at(at + (long)i), "wrong byte at %ld", at + (long)i);
}

static void *reader(void *arg) {
    unsigned seed = (unsigned)(check_seed + (uintptr_t)arg);
    char c;
    for (int i = 0; i < ROUNDS; i++) {
        long at = rand_r(&seed) % SIZE, page = at / 4096 * 4096;
        OK(posix_fadvise(file, i % 4 ? page : 0, i % 4 ? 8192 : 0, POSIX_FADV_DONTNEED));
        read_at(at, (size_t)(rand_r(&seed) % LONGEST));
        read_at(SIZE - 100, 200);
        read_at(SIZE + at, 10);
        WANT(pread(file, &c, 0, at), 0);
        FAILS(pread(file, &c, 1, -1), EINVAL);
        FAILS(pread(-1, &c, 1, 0), EBADF);
    }
    return NULL;
}

int main(void) {
    check_start();
    alarm(200);
    char name[] = "pread_cold.XXXXXX";
    file = mkostemp(name, 0);
    CHECK(file >= 0 && unlink(name) == 0, "no file here: errno %d", errno);
    unsigned char *all = malloc(SIZE);
    for (long i = 0; i < SIZE; i++)
        all[i] = byte_at(i);
    WANT(write(file, all, SIZE), SIZE);
    free(all);
    DONE(fsync(file));
    pthread_t threads[THREADS];
    spawn_all(threads, THREADS, reader);
    join_all(threads, THREADS);
    WANT(lseek(file, 0, SEEK_CUR), SIZE);
    return 0;
}
