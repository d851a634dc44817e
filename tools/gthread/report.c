/* report.c - a comparison as text, Markdown, JSON, and as a chart by gnuplot */
#include "compare.h"

#include "gthread.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name, *key, *less, *more;
} metrics[METRICS] = {
    [FIGURE] = {"figure", "figure", "less", "more"},
    [WALL] = {"wall time", "wall_s", "faster", "slower"},
    [CPU] = {"CPU time", "cpu_s", "less", "more"},
    [THREADS] = {"kernel threads", "kernel_threads", "fewer", "more"},
    [SWITCHES] = {"context switches", "context_switches", "fewer", "more"},
    [PEAK] = {"peak memory", "peak_bytes", "less", "more"},
};

/* ---- words ---- */

static const char *value_text(enum metric m, double v, char *to, size_t size) {
    if (m == PEAK)
        snprintf(to, size, v < 1e7 ? "%.2f MB" : "%.1f MB", v / 1e6);
    else if (m == THREADS || m == SWITCHES)
        snprintf(to, size, "%.0f", v);
    else if (m == FIGURE)
        snprintf(to, size, v < 1000 ? "%.4g" : "%.0f", v);
    else
        snprintf(to, size, v < 1 ? "%.1f ms" : "%.3f s", v < 1 ? v * 1000 : v);
    return to;
}

static const char *ratio_text(double r, char *to, size_t size) {
    if (r < 0.095)
        snprintf(to, size, "%.4f", r);
    else if (r < 10)
        snprintf(to, size, "%.3f", r);
    else
        snprintf(to, size, "%.1f", r);
    return to;
}

static const char *interval_text(const struct ratio *r, char *to, size_t size) {
    char low[32], high[32];
    if (!r->known || !r->enough)
        return "";
    snprintf(to, size, "%s to %s", ratio_text(r->low, low, sizeof low),
             ratio_text(r->high, high, sizeof high));
    return to;
}

static const char *verdict_text(const struct comparison *c, enum metric m) {
    switch (c->verdict[m]) {
    case LESS:
        return metrics[m].less;
    case MORE:
        return metrics[m].more;
    case DIFFERENCE:
        return "no difference";
    default:
        return c->ratio[m].known ? "too few pairs" : "no ratio";
    }
}

/* What a table says of a metric. */
struct row {
    char nptl[32], gthread[32], ratio[32], interval[80];
};

/* False: it was not measured. */
static bool row_text(const struct comparison *c, enum metric m, struct row *row) {
    const struct ratio *r = &c->ratio[m];
    if (!c->values[m][NPTL])
        return false;
    value_text(m, median(c->values[m][NPTL], c->n), row->nptl, sizeof row->nptl);
    value_text(m, median(c->values[m][GTHREAD], c->n), row->gthread, sizeof row->gthread);
    row->ratio[0] = '\0';
    if (r->known)
        ratio_text(r->middle, row->ratio, sizeof row->ratio);
    interval_text(r, row->interval, sizeof row->interval);
    return true;
}

/* One sentence about the main metric. */
static void print_summary(FILE *f, const struct comparison *c) {
    enum metric m = main_metric(c);
    const struct ratio *r = &c->ratio[m];
    char middle[32], interval[80];
    const char *what = m == FIGURE ? "figure" : "time";
    ratio_text(r->middle, middle, sizeof middle);
    interval_text(r, interval, sizeof interval);
    if (!r->known)
        fprintf(f, "no %s to compare: it was 0", what);
    else if (!r->enough)
        fprintf(f, "%zu pairs are too few to tell: %zu are needed", c->n,
                pairs_needed(c->confidence));
    else if (!main_verdict(c))
        fprintf(f, "no difference in %s: gthread / NPTL is %s (%s)", what, middle, interval);
    else
        fprintf(f, "gthread is %s: its %s is %s times NPTL's (%s)",
                main_verdict(c) > 0 ? "better" : "worse", what, middle, interval);
    fprintf(f, "\n");
}

static void print_command(FILE *f, const struct comparison *c) {
    for (char **a = c->argv; *a; a++)
        fprintf(f, "%s%s", a == c->argv ? "" : " ", *a);
}

/* ---- text ---- */

void report_text(const struct comparison *c) {
    print_command(stdout, c);
    printf("\n%zu pairs, order drawn from seed %lu, intervals of %.1f %% (95 %% all together)\n\n",
           c->n, c->seed, c->confidence * 100);
    printf("%-17s %12s %12s %8s  %-17s %s\n", "", "NPTL", "gthread", "ratio", "interval", "");
    for (int m = 0; m < METRICS; m++) {
        struct row r;
        if (row_text(c, (enum metric)m, &r))
            printf("%-17s %12s %12s %8s  %-17s %s\n", metrics[m].name, r.nptl, r.gthread, r.ratio,
                   r.interval, verdict_text(c, (enum metric)m));
    }
    printf("\n");
    print_summary(stdout, c);
    if (c->output_differs)
        printf("attention: on gthread it printed something else than on NPTL\n");
}

/* ---- files ---- */

static FILE *open_report(const char *file) {
    FILE *f = strcmp(file, "-") == 0 ? stdout : fopen(file, "we");
    if (!f)
        die(EXIT_GTHREAD, "%s: %s", file, strerror(errno));
    return f;
}

static void close_report(FILE *f, const char *file) {
    if (f == stdout)
        return; /* output_finish looks at it */
    bool bad = ferror(f);
    if (fclose(f) || bad)
        die(EXIT_GTHREAD, "%s: cannot be written: %s", file, strerror(errno ? errno : EIO));
}

void report_markdown(const struct comparison *c, const char *file) {
    FILE *f = open_report(file);
    fprintf(f, "`");
    print_command(f, c);
    fprintf(f, "`: ");
    print_summary(f, c);
    fprintf(f, "\n| | NPTL | gthread | ratio | interval | |\n|---|---|---|---|---|---|\n");
    for (int m = 0; m < METRICS; m++) {
        struct row r;
        if (row_text(c, (enum metric)m, &r))
            fprintf(f, "| %s | %s | %s | %s | %s | %s |\n", metrics[m].name, r.nptl, r.gthread,
                    r.ratio, r.interval, verdict_text(c, (enum metric)m));
    }
    fprintf(f, "\n%zu pairs; the intervals hold all together with 95 %%.%s\n", c->n,
            c->output_differs ? " On gthread the program printed something else." : "");
    close_report(f, file);
}

static json_t *json_numbers(const double *v, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(v[i]));
    return list;
}

static json_t *json_metric(const struct comparison *c, enum metric m) {
    static const char *const words[] = {"unknown", "no_difference", "less", "more"};
    const struct ratio *r = &c->ratio[m];
    json_t *o =
        json_pack("{s:o s:o s:s}", "nptl", json_numbers(c->values[m][NPTL], c->n), "gthread",
                  json_numbers(c->values[m][GTHREAD], c->n), "verdict", words[c->verdict[m]]);
    if (r->known)
        json_object_set_new(o, "ratio", json_real(r->middle));
    if (r->known && r->enough)
        json_object_set_new(o, "interval", json_pack("[f f]", r->low, r->high));
    return o;
}

void report_json(const struct comparison *c, const char *file) {
    static const char *const words[] = {"worse", "no_difference", "better"};
    json_t *o = json_object(), *argv = json_array(), *all = json_object();
    FILE *f = open_report(file);
    for (char **a = c->argv; *a; a++)
        json_array_append_new(argv, json_string(*a));
    for (int m = 0; m < METRICS; m++)
        if (c->values[m][NPTL])
            json_object_set_new(all, metrics[m].key, json_metric(c, (enum metric)m));
    json_object_set_new(o, "command", argv);
    json_object_set_new(o, "library", json_string(c->library));
    json_object_set_new(o, "pairs", json_integer((json_int_t)c->n));
    json_object_set_new(o, "seed", json_integer((json_int_t)c->seed));
    json_object_set_new(o, "confidence", json_real(c->confidence));
    json_object_set_new(o, "main", json_string(metrics[main_metric(c)].key));
    json_object_set_new(o, "verdict",
                        json_string(c->verdict[main_metric(c)] == UNKNOWN
                                        ? "unknown"
                                        : words[main_verdict(c) + 1]));
    json_object_set_new(o, "output_differs", json_boolean(c->output_differs));
    json_object_set_new(o, "metrics", all);
    json_dumpf(o, f, JSON_INDENT(1));
    fprintf(f, "\n");
    json_decref(o);
    close_report(f, file);
}

/* ---- the chart ----
 * A row for each metric: every pair's ratio as a dot, the interval as a bar. */

static void print_chart(FILE *to, const struct comparison *c) {
    int rows = 0;
    fprintf(to, "set terminal svg size 760,360 font 'sans-serif,13' background 'white'\n"
                "set logscale x\nset xlabel 'gthread / NPTL'\n"
                "set format x '%%g'\nset grid x lc rgb '#dddddd'\nset key off\nset title \"");
    for (char **a = c->argv; *a; a++)
        for (const char *s = *a; s == *a || *s; s++) {
            if (s == *a && a != c->argv)
                fputc(' ', to);
            if (!*s)
                break;
            fprintf(to, strchr("\"\\`\n", *s) ? "?" : "%c", *s);
        }
    fprintf(to, "\" noenhanced\nset ytics (");
    for (int m = METRICS; m-- > 0;)
        if (c->ratio[m].known)
            fprintf(to, "%s'%s' %d", rows ? ", " : "", metrics[m].name, rows + 1), rows++;
    fprintf(
        to,
        ")\nset yrange [0.4:%d.6]\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5 lc rgb "
        "'#888888'\n$d << END\n",
        rows ? rows : 1);
    for (int m = METRICS, row = 0; m-- > 0;)
        for (size_t i = 0; c->ratio[m].known && (i == 0 ? ++row : row) && i < c->n; i++)
            fprintf(to, "%.9g %d\n", c->values[m][GTHREAD][i] / c->values[m][NPTL][i], row);
    fprintf(to, "END\n$i << END\n");
    for (int m = METRICS, row = 0; m-- > 0;)
        if (c->ratio[m].known)
            fprintf(to, "%.9g %.9g %.9g %d\n", c->ratio[m].middle, c->ratio[m].low,
                    c->ratio[m].high, ++row);
    fprintf(to, "END\nplot $d using 1:2 with points pt 7 ps 0.4 lc rgb '#9ab8d8', "
                "$i using 1:4:2:3 with xerrorbars pt 7 ps 0.9 lw 2.5 lc rgb '#1f4e79'\n");
}

/* gnuplot does not tell whether it could write its output, so it writes it into memory. */
static int chart_made(const struct comparison *c) {
    int status, ends[2], chart = memfd_create("chart", MFD_CLOEXEC);
    if (chart < 0 || pipe2(ends, O_CLOEXEC))
        die(EXIT_GTHREAD, "chart: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die(EXIT_GTHREAD, "fork: %s", strerror(errno));
    if (pid == 0) {
        dup2(ends[0], 0);
        dup2(chart, 1);
        execlp("gnuplot", "gnuplot", (char *)NULL);
        die(EXIT_GTHREAD, "--svg needs gnuplot: %s", strerror(errno));
    }
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN); /* if there is no gnuplot */
    FILE *to = need(fdopen(ends[1], "w"));
    print_chart(to, c);
    fclose(to);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            die(EXIT_GTHREAD, "waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_GTHREAD)
        exit(EXIT_GTHREAD); /* it has been said */
    if (status)
        die(EXIT_GTHREAD, "gnuplot fails to draw the chart");
    return chart;
}

void report_svg(const struct comparison *c, const char *file) {
    char piece[4096];
    fflush(stdout);
    int chart = chart_made(c);
    FILE *f = open_report(file);
    lseek(chart, 0, SEEK_SET);
    for (ssize_t n; (n = read(chart, piece, sizeof piece)) > 0;)
        fwrite(piece, 1, (size_t)n, f);
    close(chart);
    close_report(f, file);
}
