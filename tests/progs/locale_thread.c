/* locale_thread.c - uselocale is the thread's own, across yields; others keep the global locale */
#include "check.h"

#include <langinfo.h>
#include <locale.h>

static locale_t utf8, c;

static void codeset_is(const char *want) {
    CHECK(strcmp(nl_langinfo(CODESET), want) == 0, "expected the codeset %s, came %s", want,
          nl_langinfo(CODESET));
}

static void *run(void *arg) {
    int way = (int)(intptr_t)arg % 3; /* global (C), C.UTF-8, C by itself */
    const char *want = way == 1 ? "UTF-8" : "ANSI_X3.4-1968";
    wchar_t wide = 0;
    CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE, "expected a new thread in the global locale");
    if (way)
        uselocale(way == 1 ? utf8 : c);
    for (int i = 0; i < 100; i++) {
        codeset_is(want);
        /* The ctype tables lie in TLS too: a byte of UTF-8 is a character or an error. */
        mbtowc(NULL, NULL, 0);
        WANT(mbtowc(&wide, "\xc3\xa4", 2), way == 1 ? 2 : -1);
        sched_yield();
        WANT(MB_CUR_MAX, way == 1 ? 6 : 1);
        if (i % 25 == 0)
            pause_ms(1);
    }
    return NULL;
}

int main(void) {
    check_start();
    utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    CHECK(utf8 && c, "expected newlocale to know C and C.UTF-8");
    run_all(18, run);
    CHECK(setlocale(LC_ALL, "C.UTF-8"), "expected setlocale to know C.UTF-8");
    codeset_is("UTF-8");
    freelocale(utf8);
    freelocale(c);
    return 0;
}
