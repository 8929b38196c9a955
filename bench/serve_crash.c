/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_crash.h"

#include "bench.h"
#include "serve_turn.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX  99
#define CONNECTIONS 64
#define BAR         1.5

enum visitors {
    NOBODY,
    ORDINARY,
    CRASHING,
    VISITORS_COUNT,
};

static const char *const names[VISITORS_COUNT] = {"nobody comes", "visitors ask the same",
                                                  "visitors crash"};

static struct serve_reading readings[VISITORS_COUNT][ROUNDS_MAX];

static double ratio_to(enum visitors which, enum visitors other, uint32_t rounds, char *ret_text)
{
    double ratios[ROUNDS_MAX];

    for (uint32_t i = 0; i < rounds; i++)
        ratios[i] = readings[which][i].p99_us / readings[other][i].p99_us;
    const double middle = bench_median(ratios, rounds);

    (void)snprintf(ret_text, BENCH_TEXT_MAX, "%.2f (%.2f .. %.2f)", middle, ratios[rounds / 4],
                   ratios[3 * rounds / 4]);
    return middle;
}

static double p99_of(enum visitors which, uint32_t rounds)
{
    double values[ROUNDS_MAX];

    for (uint32_t i = 0; i < rounds; i++)
        values[i] = readings[which][i].p99_us;
    return bench_median(values, rounds);
}

static void show(const struct server_kind *kind, enum visitors which, uint32_t rounds)
{
    const struct serve_reading *const last = &readings[which][rounds - 1];
    struct bench_row row = {.is_met = true};

    (void)snprintf(row.what, sizeof(row.what), "%s: %s", kind->name, names[which]);
    if (which == NOBODY)
        (void)snprintf(row.measured, sizeof(row.measured), "p99 %.0f us", p99_of(which, rounds));
    else
        (void)snprintf(row.measured, sizeof(row.measured),
                       "p99 %.0f us; of %.0f: %.0f with 200, %.0f with 500, %.0f dropped",
                       p99_of(which, rounds), last->visits, last->good, last->failed,
                       last->dropped);
    if (which == NOBODY) {
        bench_table_row(&row);
        return;
    }
    (void)snprintf(row.beside, sizeof(row.beside), "%s", names[NOBODY]);
    const double ratio = ratio_to(which, NOBODY, rounds, row.ratio);

    if (which == CRASHING) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.2f", BAR);
        row.is_met = ratio <= BAR;
    }
    bench_table_row(&row);
}

/* All rounds of one server in turn: only it is compared with itself. */
static void play_one(const struct server_kind *kind, uint32_t rounds, const char *time_ms)
{
    const enum visitors end = kind->crash_path != NULL ? VISITORS_COUNT : CRASHING;

    for (uint32_t round = 0; round < rounds; round++)
        for (enum visitors which = NOBODY; which < end; which++) {
            const struct serve_turn turn = {.kind = kind,
                                            .shape = {CONNECTIONS, 1},
                                            .what = "/",
                                            .time_ms = time_ms,
                                            .visit = which == NOBODY     ? NULL
                                                     : which == CRASHING ? kind->crash_path
                                                                         : "/"};

            if (!serve_play(&turn, &readings[which][round]))
                return;
        }
    for (enum visitors which = NOBODY; which < end; which++)
        show(kind, which, rounds);
}

void serve_crash(const struct server_kinds *kinds, uint32_t rounds, const char *time_ms)
{
    bench_table_begin("Visitors beside a load by HTTP",
                      "64 connections that stay, and 1,000 a second that come, ask once and go: "
                      "the p99 of those that stay.");
    for (size_t i = 0; i < kinds->count; i++)
        play_one(&kinds->kinds[i], rounds, time_ms);
    bench_table_end();
    serve_print_reasons();
}
