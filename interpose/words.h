/* words.h - a list of words in one string, as the environment and /proc have them */
#pragma once
#include <stdbool.h>
#include <string.h>

/* Is `word` one of those in `list`, which `separator` keeps apart? */
static inline bool words_have(const char *list, char separator, const char *word) {
    const char separators[] = {separator, 0};
    size_t len = strlen(word);
    while (*list) {
        size_t n = strcspn(list, separators);
        if (n == len && memcmp(list, word, n) == 0)
            return true;
        list += n + (list[n] == separator);
    }
    return false;
}
