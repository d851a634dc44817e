/* tls_static.c - a library with a small initial-exec thread-local variable, which dlopen must fit
 * into the static TLS surplus of all threads, those that live already among them */
__attribute__((tls_model("initial-exec"))) static __thread int number = 1234;

int *tls_static_number(void) { return &number; }
