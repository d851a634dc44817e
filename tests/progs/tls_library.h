/* tls_library.h - using the thread-local variables of lib/tls_dynamic.c, linked or opened */
#ifndef TLS_LIBRARY_H
#define TLS_LIBRARY_H

#include "check.h"

struct tls_library {
    int *(*number)(void), *(*after)(void);
    char *(*big)(unsigned long *size);
};

/* In a thread that has not used them yet: initial at first, then what we write, whoever runs. */
static inline void tls_library_use(const struct tls_library *library, int me) {
    unsigned long size;
    char *bytes = library->big(&size);
    WANT(*library->number(), 4711);
    WANT(*library->after(), 815);
    for (unsigned long i = 0; i < size; i++)
        WANT(bytes[i], 0);
    *library->number() = me;
    memset(bytes, me | 1, size);
    for (int i = 0; i < 20; i++) {
        if (i % 5)
            sched_yield();
        else
            pause_ms(1);
        WANT(*library->number(), me);
        WANT(bytes[size - 1], (char)(me | 1));
        CHECK(bytes == library->big(&size), "expected one address of a variable in a thread");
    }
}

#endif
