/* SPDX-License-Identifier: Apache-2.0 */
/* needs: liburing */
/*
 * Servers: `vine serve` without isolation and with each, beside nginx, libh2o, bun and redis-server
 * and a bare io_uring loop. Each server is alone on the first processor, one load, the same for
 * all, on the last. Rates, the server's processor time, times until the answer, system calls; what
 * idle connections and micro-processes that wait cost in memory; and visitors that crash what
 * serves them.
 *
 *   VINE_BENCH_ROWS=http,file,resp,store,idle,blocked,crash   some of it alone
 *   VINE_BENCH_CONNECTIONS=16                   the one number of connections by HTTP that is meant
 *   VINE_BENCH_SERVERS=nginx,ours               those alone whose names have one of these in them
 */
#include "bench.h"
#include "serve_crash.h"
#include "serve_idle.h"
#include "serve_turn.h"
#include "server_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS     5
#define ROUNDS_MAX 99
#define SHAPES_MAX SERVER_BARS_MAX
#define BARS_MAX   3
#define TIME_MS    "700"
#define CALLS_MS   "200"

typedef double (*figure_fn)(const struct serve_reading *reading);

/* What ours is held to: without isolation beside a peer, with it beside ours without. */
struct bar {
    const char *what;
    figure_fn figure;
    bool is_rate;        /* more is better */
    double best;         /* of ours without isolation to the best peer's; 0: no bar */
    bool is_for_guarded; /* those with isolation have bars of their own, to ours without */
    bool is_first_only;  /* judged at the first shape alone */
    const char *peer;    /* the one that ours is held against; NULL: the best */
};

struct contest {
    const char *key; /* in VINE_BENCH_ROWS */
    const char *title;
    const char *note;
    const struct server_kinds *kinds;
    const char *what; /* as peer_serve_load has it */
    struct serve_shape shapes[SHAPES_MAX];
    size_t shape_count;
    struct bar bars[BARS_MAX];
    double calls_max; /* of ours at the first shape; 0: no bar */
};

static double rate_of(const struct serve_reading *reading)
{
    return reading->rate;
}

static double cost_of(const struct serve_reading *reading)
{
    return reading->server_ns;
}

static double per_second_of_processor(const struct serve_reading *reading)
{
    return 1e9 / reading->server_ns;
}

static double p50_of(const struct serve_reading *reading)
{
    return reading->p50_us;
}

static double p99_of(const struct serve_reading *reading)
{
    return reading->p99_us;
}

static double busy_of(const struct serve_reading *reading)
{
    return reading->busy;
}

#define NOTE_FIGURES                                                                               \
    "requests a second; processor time of the server for each; p50 and p99 until the answer; how " \
    "much of the time the server was not idle; and its system calls for a request, counted in "    \
    "a turn of its own"

static struct contest contests[] = {
    {.key = "http",
     .title = "HTTP: hello",
     .note = "one request on its way on each connection: " NOTE_FIGURES,
     .kinds = &server_kinds_hello,
     .what = "/",
     .shapes = {{16, 1}, {256, 1}, {1000, 1}},
     .shape_count = 3,
     .bars = {{.what = "processor time of a request",
               .figure = cost_of,
               .best = 1,
               .is_for_guarded = true},
              {.what = "p99", .figure = p99_of, .best = 1, .is_first_only = true},
              {.what = "requests a second", .figure = rate_of, .is_rate = true}},
     .calls_max = 1.1},
    {.key = "file",
     .title = "HTTP: a file of 1 MiB",
     .note = "the load has the kernel throw the file away where it lies: " NOTE_FIGURES,
     .kinds = &server_kinds_file,
     .what = "/" SERVER_FILE_NAME,
     .shapes = {{16, 1}},
     .shape_count = 1,
     .bars = {{.what = "requests a second",
               .figure = rate_of,
               .is_rate = true,
               .best = 1,
               .peer = "nginx"},
              {.what = "processor time of a request", .figure = cost_of, .peer = "nginx"}}},
    {.key = "resp",
     .title = "RESP: PING",
     .note = "of 16 connections, at depth 1 and 16: " NOTE_FIGURES,
     .kinds = &server_kinds_ping,
     .what = "ping",
     .shapes = {{16, 1}, {16, 16}},
     .shape_count = 2,
     .bars = {{.what = "requests a second of processor time",
               .figure = per_second_of_processor,
               .is_rate = true,
               .best = 1.2},
              {.what = "p99", .figure = p99_of}}},
    {.key = "store",
     .title = "RESP: SET",
     .note = "of 16 connections, a value of 64 bytes, at depth 1 and 16: " NOTE_FIGURES,
     .kinds = &server_kinds_store,
     .what = "set",
     .shapes = {{16, 1}, {16, 16}},
     .shape_count = 2,
     .bars = {{.what = "requests a second of processor time",
               .figure = per_second_of_processor,
               .is_rate = true}}},
    {.key = "store",
     .title = "RESP: GET",
     .note = "of 16 connections, a value of 64 bytes, at depth 1 and 16: " NOTE_FIGURES,
     .kinds = &server_kinds_store,
     .what = "get",
     .shapes = {{16, 1}, {16, 16}},
     .shape_count = 2,
     .bars = {{.what = "requests a second of processor time",
               .figure = per_second_of_processor,
               .is_rate = true}}},
};

static uint32_t rounds = ROUNDS;
static struct serve_reading readings[SERVER_KINDS_MAX][SHAPES_MAX][ROUNDS_MAX];
static double calls[SERVER_KINDS_MAX][SHAPES_MAX];
static bool is_here[SERVER_KINDS_MAX];

/* ---- wishes ---------------------------------------------------------------------------------- */

/* Whether a list with commas names it, or there is none. `is_part`: by a part of its name. */
static bool is_wanted(const char *variable, const char *name, bool is_part)
{
    char list[256];
    char *rest = list;
    const char *const asked = getenv(variable);

    if (asked == NULL)
        return true;
    (void)snprintf(list, sizeof(list), "%s", asked);
    for (const char *one = strsep(&rest, ","); one != NULL; one = strsep(&rest, ","))
        if (is_part ? strstr(name, one) != NULL : strcmp(name, one) == 0)
            return true;
    return false;
}

static bool is_shape_wanted(const struct contest *contest, size_t shape)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", contest->shapes[shape].connections);
    return contest->shape_count < SHAPES_MAX || is_wanted("VINE_BENCH_CONNECTIONS", text, false);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void play_turn(const struct contest *contest, size_t which, size_t shape, uint32_t round)
{
    struct serve_turn turn = {.kind = &contest->kinds->kinds[which],
                              .shape = contest->shapes[shape],
                              .what = contest->what,
                              .time_ms = TIME_MS};
    struct serve_reading counted;

    if (!is_wanted("VINE_BENCH_SERVERS", turn.kind->name, true))
        return;
    is_here[which] = serve_play(&turn, &readings[which][shape][round]);
    if (!is_here[which] || round > 0)
        return;
    turn.time_ms = CALLS_MS;
    turn.counts_calls = true;
    if (serve_play(&turn, &counted))
        calls[which][shape] = counted.calls;
}

static void play(const struct contest *contest)
{
    const size_t count = contest->kinds->count;

    bench_require(count <= SERVER_KINDS_MAX, "servers");
    memset(is_here, 0, sizeof(is_here));
    for (uint32_t round = 0; round < rounds; round++)
        for (size_t shape = 0; shape < contest->shape_count; shape++)
            for (size_t i = 0; i < count; i++)
                /* Who is before whom changes with the round. */
                if (is_shape_wanted(contest, shape))
                    play_turn(contest, round % 2 == 0 ? i : count - 1 - i, shape, round);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static double median(size_t which, size_t shape, figure_fn figure)
{
    double values[ROUNDS_MAX];

    for (uint32_t i = 0; i < rounds; i++)
        values[i] = figure(&readings[which][shape][i]);
    return bench_median(values, rounds);
}

static enum server_side side_of(const struct contest *contest, size_t which)
{
    return contest->kinds->kinds[which].side;
}

/* Returns the one that is here of a side and has the best figure; those of the contest's count:
 * there is none. */
static size_t best_of(const struct contest *contest, enum server_side side, size_t shape,
                      const struct bar *bar)
{
    size_t best = contest->kinds->count;

    for (size_t i = 0; i < contest->kinds->count; i++) {
        const bool is_meant = side != SERVER_PEER || bar->peer == NULL ||
                              strcmp(bar->peer, contest->kinds->kinds[i].name) == 0;

        if (side_of(contest, i) != side || !is_here[i] || !is_meant)
            continue;
        if (best == contest->kinds->count ||
            (median(i, shape, bar->figure) > median(best, shape, bar->figure)) == bar->is_rate)
            best = i;
    }
    return best;
}

static void name_row(struct bench_row *row, const struct contest *contest, size_t which,
                     size_t shape, const char *what)
{
    const struct serve_shape *const sizes = &contest->shapes[shape];
    char depth[32] = "";

    if (contest->shapes[contest->shape_count - 1].depth > 1)
        (void)snprintf(depth, sizeof(depth), ", depth %u", sizes->depth);
    (void)snprintf(row->what, sizeof(row->what), "%u connections%s: %s%s%s", sizes->connections,
                   depth, contest->kinds->kinds[which].name, what[0] != '\0' ? ", " : "", what);
}

static void show_figures(const struct contest *contest, size_t which, size_t shape)
{
    struct bench_row row = {.is_met = true};
    char counted[32] = "calls not counted";

    if (calls[which][shape] >= 0)
        (void)snprintf(counted, sizeof(counted), "%.2f calls", calls[which][shape]);
    name_row(&row, contest, which, shape, "");
    (void)snprintf(row.measured, sizeof(row.measured),
                   "%.0f/s, %.2f us, %.0f and %.0f us, %.0f %%, %s", median(which, shape, rate_of),
                   median(which, shape, cost_of) / 1e3, median(which, shape, p50_of),
                   median(which, shape, p99_of), 100 * median(which, shape, busy_of), counted);
    if (side_of(contest, which) == SERVER_OURS && contest->calls_max > 0 && shape == 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.1f calls", contest->calls_max);
        row.is_met = calls[which][shape] >= 0 && calls[which][shape] <= contest->calls_max;
    }
    bench_table_row(&row);
}

/* Round by round. */
static void compare(const struct contest *contest, size_t which, size_t other, size_t shape,
                    const struct bar *bar)
{
    const struct server_kind *const kind = &contest->kinds->kinds[which];
    struct bench_row row = {.is_met = true};
    double ratios[ROUNDS_MAX];
    double wanted = 0;

    for (uint32_t i = 0; i < rounds; i++)
        ratios[i] =
            bar->figure(&readings[which][shape][i]) / bar->figure(&readings[other][shape][i]);
    const double middle = bench_median(ratios, rounds);

    if (kind->side == SERVER_OURS && side_of(contest, other) == SERVER_PEER &&
        (shape == 0 || !bar->is_first_only))
        wanted = bar->best;
    else if (kind->side == SERVER_OURS_GUARDED && bar->is_for_guarded)
        wanted = kind->bars[shape];
    name_row(&row, contest, which, shape, bar->what);
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f (%.2f .. %.2f)", middle, ratios[rounds / 4],
                   ratios[3 * rounds / 4]);
    (void)snprintf(row.beside, sizeof(row.beside), "%s", contest->kinds->kinds[other].name);
    if (wanted > 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at %s %.2f", bar->is_rate ? "least" : "most",
                       wanted);
        row.is_met = bar->is_rate ? middle >= wanted : middle <= wanted;
    }
    bench_table_row(&row);
}

/* Peers and ours are held against the limit, by the first figure; ours against a peer, and ours
 * with isolation against ours without. */
static void show_ratios(const struct contest *contest, size_t shape)
{
    const size_t none = contest->kinds->count;

    for (size_t n = 0; n < BARS_MAX && contest->bars[n].what != NULL; n++) {
        const struct bar *const bar = &contest->bars[n];
        const size_t limit = best_of(contest, SERVER_LIMIT, shape, bar);
        const size_t peer = best_of(contest, SERVER_PEER, shape, bar);
        const size_t ours = best_of(contest, SERVER_OURS, shape, bar);

        for (size_t i = 0; i < none; i++) {
            const enum server_side side = side_of(contest, i);

            if (!is_here[i])
                continue;
            if (n == 0 && limit != none && (side == SERVER_PEER || side == SERVER_OURS))
                compare(contest, i, limit, shape, bar);
            if (peer != none && side == SERVER_OURS)
                compare(contest, i, peer, shape, bar);
            if (ours != none && side == SERVER_OURS_GUARDED)
                compare(contest, i, ours, shape, bar);
        }
    }
}

static void show(const struct contest *contest)
{
    char control[32] = "unknown";
    char note[640];
    FILE *const file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");

    if (file != NULL) {
        (void)!fgets(control, sizeof(control), file);
        (void)fclose(file);
        control[strcspn(control, "\n")] = '\0';
    }
    (void)snprintf(note, sizeof(note),
                   "Medians of %u rounds of %s ms, %s. TCP's congestion control is %s.", rounds,
                   TIME_MS, contest->note, control);
    bench_table_begin(contest->title, note);
    for (size_t shape = 0; shape < contest->shape_count; shape++)
        for (size_t i = 0; i < contest->kinds->count; i++)
            if (is_here[i] && is_shape_wanted(contest, shape))
                show_figures(contest, i, shape);
    for (size_t shape = 0; shape < contest->shape_count; shape++)
        if (is_shape_wanted(contest, shape))
            show_ratios(contest, shape);
    bench_table_end();
    serve_print_reasons();
}

/* ---- the program ----------------------------------------------------------------------------- */

int main(void)
{
    const char *const asked = getenv("VINE_BENCH_ROUNDS");

    if (asked != NULL)
        rounds = (uint32_t)strtoul(asked, NULL, 10);
    bench_require(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds");
    (void)server_raise_descriptors();
    for (size_t i = 0; i < sizeof(contests) / sizeof(contests[0]); i++)
        if (is_wanted("VINE_BENCH_ROWS", contests[i].key, false)) {
            play(&contests[i]);
            show(&contests[i]);
        }
    if (is_wanted("VINE_BENCH_ROWS", "idle", false))
        serve_weigh(&server_kinds_hello);
    if (is_wanted("VINE_BENCH_ROWS", "blocked", false))
        serve_weigh_blocked(&server_kinds_lines);
    if (is_wanted("VINE_BENCH_ROWS", "crash", false))
        serve_crash(&server_kinds_hello, rounds, TIME_MS);
    return 0;
}
