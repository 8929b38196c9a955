/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/bench.h - what all benchmarks share: processors, time, medians, and the tables they print.
 *
 * Owns:     nothing, but for the rows of the table that is being printed.
 * Threads:  one.
 * Blocking: never.
 * Trust:    both sides are ours.
 * Limits:   a table has at most BENCH_ROWS_MAX rows whose bar is not met.
 *
 * Tables are Markdown, so that `bench/run --record` can put them into docs/benchmarks.md as they
 * are.
 */
#ifndef VINE_BENCH_BENCH_H
#define VINE_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_TEXT_MAX 96
#define BENCH_ROWS_MAX 32

/* Which processor this process runs on from now on: the first (0) or the last (1) of those that it
 * may use. */
void bench_pin(int which);

uint64_t bench_now_ns(void);

double bench_median(double *values, size_t count); /* sorts them */

/* Say what went wrong, with errno's text, and end the program, unless `condition` holds. */
void bench_require(bool condition, const char *what);

/* One that ends with the reason of a Vine error, unless it is 0. */
void bench_check(int error, const char *what);

struct bench_row {
    char what[BENCH_TEXT_MAX];
    char measured[BENCH_TEXT_MAX];
    char ratio[BENCH_TEXT_MAX];  /* empty: compared with nothing */
    char beside[BENCH_TEXT_MAX]; /* what the ratio is to */
    char bar[BENCH_TEXT_MAX];    /* empty: none */
    bool is_met;
    bool is_open;      /* the bar cannot be judged on this machine as it is now */
    const char *limit; /* said below the table if the bar is not met; may be NULL */
};

void bench_table_begin(const char *title, const char *note);
void bench_table_row(const struct bench_row *row);
void bench_table_end(void);

#ifdef __cplusplus
}
#endif

#endif
