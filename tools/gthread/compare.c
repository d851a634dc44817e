#include "gthread.h"
int command_compare(int argc, char **argv) {
    (void)argc, (void)argv;
    die(EXIT_GTHREAD, "todo");
}
