/* tls_dlopen.c - thread-local variables of libraries that are opened while threads live
 *
 * Seen right by threads that lived before dlopen, by those made after it, and by those that run on
 * the stack of a finished thread; one library in the dynamic model, one in the static surplus.
 */
#include "tls_library.h"
#include "util.h"

enum { N = 15 };

static struct tls_library library;
static int *(*static_number)(void);
static int arrived, opened;

static void use(int me) {
    WANT(*static_number(), 1234);
    *static_number() = me;
    tls_library_use(&library, me);
    WANT(*static_number(), me);
}

static void *before_it(void *arg) {
    add(&arrived, 1);
    wait_until(&opened, 1);
    use((int)(intptr_t)arg);
    return NULL;
}

static void *after_it(void *arg) {
    use((int)(intptr_t)arg);
    return NULL;
}

static void *open_dynamic(void) {
    void *opened_library = open_helper("tls_dynamic");
    *(void **)&library.number = find_symbol(opened_library, "tls_number");
    *(void **)&library.after = find_symbol(opened_library, "tls_after");
    *(void **)&library.big = find_symbol(opened_library, "tls_big");
    return opened_library;
}

int main(void) {
    check_start();
    pthread_t threads[N];
    spawn_all(threads, N, before_it);
    wait_until(&arrived, N);
    void *dynamic = open_dynamic(), *fixed = open_helper("tls_static");
    *(void **)&static_number = find_symbol(fixed, "tls_static_number");
    set(&opened, 1);
    join_all(threads, N);
    for (int i = 0; i < 5; i++)
        run_all(N, after_it);
    use(99);

    /* Closed and opened again: the same module slot, new contents. */
    OK(dlclose(dynamic));
    dynamic = open_dynamic();
    tls_library_use(&library, 98);
    OK(dlclose(dynamic));
    return 0;
}
