/* dump.c - `gthread dump`: what every goroutine of a process or core file does */
#include "dump.h"

#include "gthread.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help_text[] =
    "usage: gthread dump [OPTION...] PID|CORE\n"
    "\n"
    "Shows every goroutine of a process, or of a core file: id, name, state, what it waits for "
    "and\n"
    "since when, and its backtrace. Those that are alike are shown once. The process is stopped "
    "for\n"
    "as long as it takes, also if it hangs, and goes on as if nothing had been.\n"
    "\n"
    "  -g, --goroutine=ID  only this one\n"
    "  -n, --frames=N      at most N frames of each (default 64, at most 1024)\n"
    "  -u, --ungrouped     each goroutine by itself\n"
    "  -l, --library       frames inside of libgthread.so as well\n"
    "  -k, --kernel        the kernel threads that run no goroutine as well\n"
    "      --json          as JSON\n"
    "\n"
    "Exit status: 0; 125 if nothing can be shown (no such process, no permission, not gthread).\n";

static struct options {
    uint64_t only;
    size_t frames;
    bool ungrouped, library, kernel, json;
} options = {.frames = 64};

/* ---- frames ---- */

/* Takes the library's own frames out: the first ones show how it waits, which the reason does
 * better, and the last ones how a thread starts. */
static size_t drop_library(const struct runtime *r, uint64_t *pcs, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (target_image(r->t, pc_address(pcs[i])) != r->library)
            pcs[kept++] = pcs[i];
    return kept;
}

static void choose_frames(const struct runtime *r, struct goroutine *g) {
    if (!options.library)
        g->npcs = drop_library(r, g->pcs, g->npcs);
    if (g->npcs > options.frames)
        g->npcs = options.frames;
}

static void print_frames(const struct runtime *r, const uint64_t *pcs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct place *p = symbols_code(r->t, pcs[i]);
        printf("  #%-2zu ", i);
        if (p->function && p->file)
            printf("%s at %s:%d", p->function, p->file, p->line);
        else if (p->function)
            printf("%s+0x%lx", p->function, (unsigned long)p->offset);
        else
            printf("0x%lx", (unsigned long)pc_address(pcs[i]));
        if (p->object)
            printf(" in %s", p->object);
        printf("\n");
    }
}

/* ---- what one does ---- */

static const char *seconds_text(double s, char *to, size_t size) {
    if (s < 1)
        snprintf(to, size, "%.0f ms", s * 1000);
    else if (s < 600)
        snprintf(to, size, "%.1f s", s);
    else
        snprintf(to, size, "%.0f min", s / 60);
    return to;
}

/* `mutex 0x4040 <lock> held by goroutine 7` */
static void print_waits_for(const struct runtime *r, const struct goroutine *g) {
    printf(": %s", g->reason);
    if (!g->waits_for)
        return;
    const char *name = symbols_data(r->t, g->waits_for);
    printf(" 0x%lx", (unsigned long)g->waits_for);
    if (name)
        printf(" <%s>", name);
    if (g->owner)
        printf(" held by goroutine %lu", (unsigned long)g->owner);
    else if (g->owner_tid)
        printf(" held by thread %d", g->owner_tid);
}

static void print_state(const struct runtime *r, const struct goroutine *g, double least,
                        double most) {
    char from[32], to[32];
    printf("[%s", g->state);
    if (g->reason)
        print_waits_for(r, g);
    if (g->reason && least >= 0) {
        seconds_text(least, from, sizeof from);
        seconds_text(most, to, sizeof to);
        printf(strcmp(from, to) == 0 ? ", %s" : ", %s to %s", from, to);
    }
    if (g->lwp)
        printf(", kernel thread %d", g->lwp);
    printf("]");
}

static void print_body(const struct runtime *r, const struct goroutine *g) {
    if (g->fresh) {
        const struct place *p = symbols_code(r->t, g->start | PC_EXACT);
        printf("  not yet started: %s\n", p->function ? p->function : "?");
    } else if (g->problem) {
        printf("  no frames: %s\n", g->problem);
    }
    print_frames(r, g->pcs, g->npcs);
}

/* ---- groups ---- */

static int compare_alike(const void *a, const void *b) {
    const struct goroutine *x = *(struct goroutine *const *)a, *y = *(struct goroutine *const *)b;
    int c = strcmp(x->state, y->state);
    if (!c)
        c = strcmp(x->reason ? x->reason : "", y->reason ? y->reason : "");
    if (!c && x->npcs != y->npcs)
        c = x->npcs < y->npcs ? -1 : 1;
    if (!c && x->npcs)
        c = memcmp(x->pcs, y->pcs, x->npcs * sizeof *x->pcs);
    if (!c && x->fresh != y->fresh)
        c = x->fresh - y->fresh;
    if (!c && x->fresh && x->start != y->start)
        c = x->start < y->start ? -1 : 1;
    return c;
}

static int compare_alike_id(const void *a, const void *b) {
    const struct goroutine *x = *(struct goroutine *const *)a, *y = *(struct goroutine *const *)b;
    int c = compare_alike(a, b);
    return c ? c : x->id < y->id ? -1 : x->id > y->id;
}

/* Gives each goroutine the index of the first one that is like it: same state, same frames. */
static void groups_make(struct runtime *r) {
    struct goroutine **order = NEW_ARRAY(struct goroutine *, r->n);
    for (size_t i = 0; i < r->n; i++) {
        order[i] = &r->gs[i];
        r->gs[i].group = i;
    }
    qsort(order, r->n, sizeof(void *), compare_alike_id);
    for (size_t i = 1; i < r->n && !options.ungrouped; i++)
        if (compare_alike(&order[i - 1], &order[i]) == 0)
            order[i]->group = order[i - 1]->group;
    free(order);
}

/* `3-17 20 22-30`: the ids in the group of the first one; how many, and how long they have waited.
 */
struct members {
    size_t n;
    double least, most;
    bool same_object; /* all wait for the same thing */
};

static struct members members_of(const struct runtime *r, const size_t *next, size_t first) {
    struct members m = {0, r->gs[first].seconds, r->gs[first].seconds, true};
    for (size_t i = first; i != SIZE_MAX; i = next[i]) {
        const struct goroutine *g = &r->gs[i];
        m.n++;
        m.least = g->seconds < m.least ? g->seconds : m.least;
        m.most = g->seconds > m.most ? g->seconds : m.most;
        m.same_object = m.same_object && g->waits_for == r->gs[first].waits_for;
    }
    return m;
}

static void print_ids(const struct runtime *r, const size_t *next, size_t first) {
    enum { RANGES = 20 };
    int ranges = 0;
    for (size_t i = first; i != SIZE_MAX;) {
        uint64_t from = r->gs[i].id, to = from;
        for (i = next[i]; i != SIZE_MAX && r->gs[i].id == to + 1; i = next[i])
            to++;
        if (ranges++ == RANGES) {
            printf(" ...");
            return;
        }
        printf(from == to ? " %lu" : " %lu-%lu", (unsigned long)from, (unsigned long)to);
    }
}

static void print_group(const struct runtime *r, const size_t *next, size_t first) {
    struct goroutine g = r->gs[first];
    struct members m = members_of(r, next, first);
    if (m.n == 1) {
        printf("\ngoroutine %lu \"%s\" tid %d ", (unsigned long)g.id, g.name, g.tid);
    } else {
        printf("\n%zu goroutines ", m.n);
        if (!m.same_object)
            g.waits_for = 0;
    }
    print_state(r, &g, m.least, m.most);
    printf(":\n");
    if (m.n > 1) {
        printf("  goroutines");
        print_ids(r, next, first);
        printf("\n");
    }
    print_body(r, &g);
}

/* ---- deadlocks ---- */

static struct goroutine *by_id(const struct runtime *r, uint64_t id) {
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->gs[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n && r->gs[low].id == id ? &r->gs[low] : NULL;
}

/* A ring of goroutines each of which waits for a mutex that the next one holds: told once, by the
 * one with the lowest id. Returns its length, or 0. */
static size_t deadlock_of(const struct runtime *r, const struct goroutine *start) {
    size_t n = 0;
    const struct goroutine *g = start;
    do {
        g = g->owner ? by_id(r, g->owner) : NULL;
        if (!g || g->id < start->id || ++n > r->n)
            return 0;
    } while (g != start);
    return n;
}

static void print_deadlocks(const struct runtime *r) {
    for (size_t i = 0; i < r->n; i++) {
        const struct goroutine *g = &r->gs[i];
        size_t n = deadlock_of(r, g);
        if (!n)
            continue;
        printf("\ndeadlock: goroutine %lu", (unsigned long)g->id);
        while (n--) {
            g = by_id(r, g->owner);
            printf(" waits for %lu", (unsigned long)g->id);
        }
        printf("\n");
    }
}

/* ---- text ---- */

static void print_kernel_threads(const struct runtime *r) {
    for (size_t i = 0; i < r->t->nthreads; i++) {
        const struct kthread *k = &r->t->threads[i];
        uint64_t pcs[FRAMES_MAX];
        if (k->goroutine || !k->stopped)
            continue;
        printf("\nkernel thread %d \"%s\" without a goroutine:\n", k->tid, k->comm);
        /* Its stack was read when the process was stopped only if it is a core file. */
        print_frames(r, pcs, unwind(r->t, &k->regs, pcs, options.frames));
    }
}

static void print_text(const struct runtime *r) {
    size_t *next = NEW_ARRAY(size_t, r->n), *last = NEW_ARRAY(size_t, r->n);
    for (size_t i = 0; i < r->n; i++) {
        size_t first = r->gs[i].group;
        next[i] = SIZE_MAX;
        if (first != i)
            next[last[first]] = i;
        last[first] = i;
    }
    printf("%s %d%s%s%s: %zu goroutine%s on %zu kernel threads, %u Ps\n", r->t->program, r->t->pid,
           r->t->core ? " (core file " : "", r->t->core ? r->t->core : "", r->t->core ? ")" : "",
           r->n, r->n == 1 ? "" : "s", r->t->nthreads, r->procs);
    for (size_t i = 0; i < r->n; i++)
        if (r->gs[i].group == i)
            print_group(r, next, i);
    print_deadlocks(r);
    free(next);
    free(last);
}

/* ---- JSON ---- */

static json_t *hex(uint64_t n) { return json_sprintf("0x%lx", (unsigned long)n); }

static json_t *json_frames(const struct runtime *r, const struct goroutine *g) {
    json_t *list = json_array();
    for (size_t i = 0; i < g->npcs; i++) {
        const struct place *p = symbols_code(r->t, g->pcs[i]);
        json_t *f = json_pack("{s:o s:s* s:s* s:s*}", "pc", hex(pc_address(g->pcs[i])), "function",
                              p->function, "object", p->object, "file", p->file);
        if (p->file)
            json_object_set_new(f, "line", json_integer(p->line));
        json_array_append_new(list, f);
    }
    return list;
}

static json_t *json_goroutine(const struct runtime *r, const struct goroutine *g) {
    json_t *o = json_pack("{s:I s:i s:s s:s}", "id", (json_int_t)g->id, "tid", g->tid, "name",
                          g->name, "state", g->state);
    if (!o) /* a name that is not UTF-8 */
        o = json_pack("{s:I s:i s:s}", "id", (json_int_t)g->id, "tid", g->tid, "state", g->state);
    if (g->reason)
        json_object_set_new(o, "waits_for", json_string(g->reason));
    if (g->waits_for) {
        const char *name = symbols_data(r->t, g->waits_for);
        json_object_set_new(o, "object", hex(g->waits_for));
        if (name)
            json_object_set_new(o, "object_name", json_string(name));
    }
    if (g->owner)
        json_object_set_new(o, "held_by", json_integer((json_int_t)g->owner));
    if (g->reason && g->seconds >= 0)
        json_object_set_new(o, "seconds", json_real(g->seconds));
    if (g->lwp)
        json_object_set_new(o, "kernel_thread", json_integer(g->lwp));
    if (g->problem)
        json_object_set_new(o, "problem", json_string(g->problem));
    json_object_set_new(o, "frames", json_frames(r, g));
    return o;
}

static void print_json(const struct runtime *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++)
        json_array_append_new(list, json_goroutine(r, &r->gs[i]));
    json_t *all = json_pack("{s:s s:i s:s* s:I s:i s:o}", "program", r->t->program, "pid",
                            r->t->pid, "core", r->t->core, "kernel_threads",
                            (json_int_t)r->t->nthreads, "ps", (int)r->procs, "goroutines", list);
    json_dumpf(need(all), stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

/* ---- the command ---- */

static const char *read_options(int argc, char **argv) {
    enum { JSON = 256, HELP };
    static const struct option table[] = {
        {"goroutine", required_argument, NULL, 'g'}, {"frames", required_argument, NULL, 'n'},
        {"ungrouped", no_argument, NULL, 'u'},       {"library", no_argument, NULL, 'l'},
        {"kernel", no_argument, NULL, 'k'},          {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, HELP},           {0}};
    for (int c; (c = getopt_long(argc, argv, "g:n:ulk", table, NULL)) != -1;)
        switch (c) {
        case 'g':
            options.only = (uint64_t)number_option("--goroutine", optarg, 1, INT64_MAX);
            break;
        case 'n':
            options.frames = (size_t)number_option("--frames", optarg, 1, FRAMES_MAX);
            break;
        case 'u':
            options.ungrouped = true;
            break;
        case 'l':
            options.library = true;
            break;
        case 'k':
            options.kernel = true;
            break;
        case JSON:
            options.json = true;
            break;
        case HELP:
            help(help_text);
        default:
            usage_error();
        }
    if (optind + 1 != argc)
        die(EXIT_GTHREAD, "expected one process id or core file; --help tells more");
    return argv[optind];
}

static void keep_only(struct runtime *r, uint64_t id) {
    struct goroutine *g = by_id(r, id);
    if (!g)
        die(EXIT_GTHREAD, "there is no goroutine %lu", (unsigned long)id);
    r->gs[0] = *g;
    r->n = 1;
}

int command_dump(int argc, char **argv) {
    const char *what = read_options(argc, argv);
    struct target t = {0};
    struct runtime r = {0};
    struct stat st;
    if (strspn(what, "0123456789") == strlen(what) && stat(what, &st) != 0)
        process_open(&t, (int)number_option("process", what, 1, INT32_MAX));
    else
        core_open(&t, what);
    goroutines_read(&r, &t);
    if (!t.core && !options.kernel)
        process_release(&t); /* names can be looked up while it goes on */
    symbols_open(&t);
    if (options.only)
        keep_only(&r, options.only);
    for (size_t i = 0; i < r.n; i++)
        choose_frames(&r, &r.gs[i]);
    groups_make(&r);
    if (options.json) {
        print_json(&r);
    } else {
        print_text(&r);
        if (options.kernel && !options.only)
            print_kernel_threads(&r);
    }
    output_finish();
    return 0;
}
