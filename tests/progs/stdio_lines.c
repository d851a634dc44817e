/* stdio_lines.c - many threads write lines to one FILE: each arrives whole and once */
#include "check.h"

enum { N = 20, LINES = 300 };

static FILE *file;

static void *writer(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < LINES; i++) {
        char filler[80];
        memset(filler, 'a' + me, 40);
        filler[40] = 0;
        switch (i % 3) {
        case 0: /* one call is one piece */
            fprintf(file, "%d %d %s.\n", me, i, filler);
            break;
        case 1: /* several calls are, under the lock */
            flockfile(file);
            fprintf(file, "%d ", me);
            fprintf(file, "%d ", i);
            fputs(filler, file);
            putc_unlocked('.', file);
            putc('\n', file); /* the lock is recursive */
            funlockfile(file);
            break;
        default:
            while (ftrylockfile(file) != 0)
                sched_yield();
            fprintf(file, "%d %d %s.\n", me, i, filler);
            fflush(file);
            funlockfile(file);
        }
    }
    return NULL;
}

int main(void) {
    check_start();
    char line[200], filler[60];
    int seen[N] = {0}, me, number, end;
    file = tmpfile();
    CHECK(file, "expected tmpfile to work");
    run_all(N, writer);
    rewind(file);
    int lines = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        CHECK(sscanf(line, "%d %d %50[a-z].%n", &me, &number, filler, &end) == 3 &&
                  line[end] == '\n' && me >= 0 && me < N,
              "expected a whole line, came %s", line);
        WANT(number, seen[me]++); /* in order, none twice */
        WANT(strlen(filler), 40);
        for (int i = 0; i < 40; i++)
            WANT(filler[i], 'a' + me);
    }
    WANT(lines, N * LINES);
    return 0;
}
