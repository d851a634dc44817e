/* mariadb_load.c PORT IDLE ACTIVE SECONDS - many connections that wait, and some that ask all the
 * time
 *
 * Each query's answer is verified; at the end every idle connection must still answer.
 */
#include <mariadb/mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int port;
static volatile int stop;

static MYSQL *open_connection(void) {
    MYSQL *c = mysql_init(NULL);
    if (!c || !mysql_real_connect(c, "127.0.0.1", "tester", "", NULL, (unsigned)port, NULL, 0)) {
        fprintf(stderr, "connect: %s\n", c ? mysql_error(c) : "no memory");
        exit(1);
    }
    return c;
}

/* Asks for n * 3 + 1; true if that is the answer. */
static int ask(MYSQL *c, long n) {
    char query[64], want[32];
    snprintf(query, sizeof query, "select %ld * 3 + 1", n);
    snprintf(want, sizeof want, "%ld", n * 3 + 1);
    if (mysql_query(c, query))
        return 0;
    MYSQL_RES *result = mysql_store_result(c);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    int right = row && row[0] && strcmp(row[0], want) == 0;
    mysql_free_result(result);
    return right;
}

static void *active(void *arg) {
    MYSQL *c = open_connection();
    long n = 0;
    while (!stop)
        if (!ask(c, ++n)) {
            fprintf(stderr, "a wrong answer: %s\n", mysql_error(c));
            exit(1);
        }
    mysql_close(c);
    *(long *)arg = n;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 1;
    port = atoi(argv[1]);
    int nidle = atoi(argv[2]), nactive = atoi(argv[3]), answered = 0;
    double seconds = atof(argv[4]);
    mysql_library_init(0, NULL, NULL);
    MYSQL **idle = calloc((size_t)nidle, sizeof *idle);
    for (int i = 0; i < nidle; i++)
        idle[i] = open_connection();
    pthread_t *threads = calloc((size_t)nactive, sizeof *threads);
    long *counts = calloc((size_t)nactive, sizeof *counts), sum = 0;
    for (int i = 0; i < nactive; i++)
        pthread_create(&threads[i], NULL, active, &counts[i]);
    usleep((useconds_t)(seconds * 1e6));
    stop = 1;
    for (int i = 0; i < nactive; i++) {
        pthread_join(threads[i], NULL);
        sum += counts[i];
    }
    for (int i = 0; i < nidle; i++) {
        answered += ask(idle[i], i);
        mysql_close(idle[i]);
    }
    printf("idle=%d rate=%.0f\n", answered, (double)sum / seconds);
    return answered != nidle;
}
