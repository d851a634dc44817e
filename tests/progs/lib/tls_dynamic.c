/* tls_dynamic.c - a library with thread-local variables, in the general dynamic model */
static __thread int number = 4711;
static __thread char big[20000]; /* more than the static TLS surplus bears when opened late */
static __thread int after = 815;

int *tls_number(void) { return &number; }

int *tls_after(void) { return &after; }

char *tls_big(unsigned long *size) {
    *size = sizeof big;
    return big;
}
