/* tls_linked.c - thread-local variables of a library that the program is linked with */
#include "tls_library.h"

extern int *tls_number(void), *tls_after(void);
extern char *tls_big(unsigned long *size);

static const struct tls_library linked = {tls_number, tls_after, tls_big};

static void *run(void *arg) {
    tls_library_use(&linked, (int)(intptr_t)arg);
    return NULL;
}

int main(void) {
    check_start();
    unsigned long size;
    tls_big(&size)[7] = 7;
    for (int i = 0; i < 6; i++) /* the later rounds run on used stacks */
        run_all(20, run);
    WANT(tls_big(&size)[7], 7);
    return 0;
}
