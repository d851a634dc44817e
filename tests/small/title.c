/* title.c - writes over the strings of its environment, as programs do that show a title of their
 * own in ps(1), before its first thread */
#include "check.h"

extern char **environ;

static void *body(void *arg) { return arg; }

int main(void) {
    check_start();
    for (char **e = environ; *e; e++)
        memset(*e, 'x', strlen(*e));
    join(spawn(body, NULL));
    return 0;
}
