/* run.c - `gthread run`: a program with the preload */
#include "gthread.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"

static const char help_text[] =
    "usage: gthread run [OPTION...] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs the program with goroutines for threads. The program takes this one's place, so that "
    "exit\n"
    "status, signals, terminal and process id are its own. What it starts inherits the preload.\n"
    "\n"
    "  -p, --procs=N       run on N Ps, 1 to 1024 (default: the CPUs that it may use)\n"
    "      --small         less memory for each thread, about one page; leaves libraries that are\n"
    "                      loaded later less room for thread-local variables (see gthread(1))\n"
    "      --stats         counters on stderr at its end\n"
    "      --debug=LIST    as GTHREAD_DEBUG: schedtrace=MS, sigquit, chaos=SEED...\n"
    "      --no-follow     what the program starts runs without the library\n"
    "      --off           run it on the system's threads, with the library loaded\n"
    "      --library=PATH  the libgthread.so to use\n"
    "      --measure=FILE  write time, kernel threads, switches and memory to FILE, as JSON\n"
    "      --nptl          with --measure: without the library\n"
    "\n"
    "Exit status: the program's; 125 if gthread fails, 126 if the program cannot be run, 127 if\n"
    "there is none.\n";

int command_run(int argc, char **argv) {
    enum { SMALL = 256, STATS, DEBUG, NO_FOLLOW, OFF, LIBRARY, MEASURE, NPTL, HELP };
    static const struct option table[] = {{"procs", required_argument, NULL, 'p'},
                                          {"small", no_argument, NULL, SMALL},
                                          {"stats", no_argument, NULL, STATS},
                                          {"debug", required_argument, NULL, DEBUG},
                                          {"no-follow", no_argument, NULL, NO_FOLLOW},
                                          {"off", no_argument, NULL, OFF},
                                          {"library", required_argument, NULL, LIBRARY},
                                          {"measure", required_argument, NULL, MEASURE},
                                          {"nptl", no_argument, NULL, NPTL},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
    struct launch launch = {0};
    const char *measure = NULL, *library = NULL;
    bool nptl = false;
    for (int c; (c = getopt_long(argc, argv, "+p:", table, NULL)) != -1;)
        switch (c) {
        case 'p':
            number_option("--procs", optarg, 1, 1024);
            launch.procs = optarg;
            break;
        case SMALL:
            launch.small = true;
            break;
        case STATS:
            launch.stats = true;
            break;
        case DEBUG:
            launch.debug = optarg;
            break;
        case NO_FOLLOW:
            launch.no_follow = true;
            break;
        case OFF:
            launch.off = true;
            break;
        case LIBRARY:
            library = optarg;
            break;
        case MEASURE:
            measure = optarg;
            break;
        case NPTL:
            nptl = true;
            break;
        case HELP:
            help(help_text);
        default:
            usage_error();
        }
    if (optind == argc)
        die(EXIT_GTHREAD, "which program? --help tells more");
    if (nptl && !measure)
        die(EXIT_GTHREAD, "--nptl is for --measure: without it, run the program itself");
    launch.library = nptl ? NULL : library_path(library);
    launch.argv = argv + optind;
    if (launch.library) {
        char *program = program_find(launch.argv[0]);
        warn_of_no_effect(program);
        free(program);
    }
    if (measure)
        return measure_to_file(&launch, measure);
    launch_exec(&launch);
}
