/* cookie_waits.c - the callbacks of fopencookie wait, in any way, while libc holds the FILE's lock,
 * and fflush(NULL) that of the list of FILEs too: threads that write to the same FILE, read it,
 * flush all, open and close others wait for so long, nobody for ever, and nothing is lost or mixed
 */
#include "held.h"

enum { FILES = 3, WRITERS = 3, LINES = 40, TOGETHER = FILES * WRITERS + 5 };

struct cookie {
    unsigned calls;
    size_t size;
    char text[WRITERS * LINES * 16];
};

static struct cookie cookies[FILES];
static FILE *files[FILES], *source;
static int ready[2], read_lines, stop, closed;

static ssize_t write_slowly(void *arg, const char *from, size_t n) {
    struct cookie *c = arg;
    held_wait((enum held_way)(c->calls++ % HELD_WAYS));
    CHECK(c->size + n <= sizeof c->text, "%zu bytes too many", c->size + n - sizeof c->text);
    memcpy(c->text + c->size, from, n);
    c->size += n;
    return (ssize_t)n;
}

static ssize_t read_slowly(void *arg, char *to, size_t n) {
    (void)arg;
    return read(ready[0], to, n < 8 ? n : 8);
}

static int close_slowly(void *arg) {
    (void)arg;
    for (int way = 0; way < HELD_WAYS; way++)
        held_wait((enum held_way)way);
    add(&closed, 1);
    return 0;
}

static void *writes(void *arg) {
    int n = (int)(intptr_t)arg;
    FILE *f = files[n % FILES];
    for (int i = 0; i < LINES; i++)
        WANT(fprintf(f, "%2d %2d\n", n / FILES, i), 6);
    return arg;
}

static void *flushes(void *arg) {
    while (!get(&stop)) {
        WANT(fflush(NULL), 0);
        pause_ms(1);
    }
    return arg;
}

static void *opens(void *arg) {
    while (!get(&stop)) {
        FILE *f = fopen("/dev/null", "w");
        CHECK(f && fputs("gone", f) >= 0 && fclose(f) == 0, "/dev/null: errno %d", errno);
    }
    return arg;
}

/* Two threads share the FILE, so each gets whole lines, but any. */
static void *reads(void *arg) {
    char line[16];
    while (fgets(line, sizeof line, source)) {
        CHECK(strncmp(line, "line ", 5) == 0 && line[9] == '\n', "came %s", line);
        add(&read_lines, 1);
    }
    return arg;
}

static void *feeds(void *arg) {
    for (int i = 0; i < LINES; i++) {
        char line[16];
        snprintf(line, sizeof line, "line %4d\n", i & 4095);
        WANT(write(ready[1], line, 10), 10);
        pause_ms(1);
    }
    close(ready[1]);
    return arg;
}

static void verify(const struct cookie *c) {
    int next[WRITERS] = {0}, n, i;
    WANT(c->size, WRITERS * LINES * 6);
    for (const char *at = c->text; at < c->text + c->size; at += 6) {
        CHECK(sscanf(at, "%d %d", &n, &i) == 2 && at[5] == '\n', "came %.6s", at);
        WANT(i, next[n]++);
    }
}

int main(void) {
    check_start();
    cookie_io_functions_t writer = {.write = write_slowly, .close = close_slowly};
    cookie_io_functions_t reader = {.read = read_slowly, .close = close_slowly};
    pthread_t writers[FILES * WRITERS], flusher, opener, readers[2], feeder;
    held_start();
    DONE(pipe(ready));
    for (int i = 0; i < FILES; i++) {
        files[i] = fopencookie(&cookies[i], "w", writer);
        CHECK(files[i] && setvbuf(files[i], NULL, _IOFBF, 64) == 0, "fopencookie");
    }
    source = fopencookie(NULL, "r", reader);
    CHECK(source, "fopencookie");
    spawn_all(writers, FILES * WRITERS, writes);
    spawn_all(readers, 2, reads);
    flusher = spawn(flushes, NULL);
    opener = spawn(opens, NULL);
    feeder = spawn(feeds, NULL);
    join_all(writers, FILES * WRITERS);
    held_kernel_threads(TOGETHER);
    join(feeder);
    join_all(readers, 2);
    WANT(get(&read_lines), LINES);
    for (int i = 0; i < FILES; i++)
        WANT(fclose(files[i]), 0); /* while others flush and open */
    WANT(fclose(source), 0);
    WANT(get(&closed), FILES + 1);
    set(&stop, 1);
    join(flusher);
    join(opener);
    held_kernel_threads(TOGETHER);
    held_end();
    for (int i = 0; i < FILES; i++)
        verify(&cookies[i]);
    return 0;
}
