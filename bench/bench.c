/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vine/error.h>

void bench_pin(int which)
{
    cpu_set_t allowed;
    cpu_set_t one;
    size_t first = CPU_SETSIZE;
    size_t last = 0;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            first = first == CPU_SETSIZE ? cpu : first;
            last = cpu;
        }
    CPU_ZERO(&one);
    CPU_SET(which == 0 ? first : last, &one);
    (void)sched_setaffinity(0, sizeof(one), &one);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;

    return (left > right) - (left < right);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

void bench_require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

void bench_check(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, vine_error_text(error));
    exit(1);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static struct bench_row missed[BENCH_ROWS_MAX];
static size_t missed_count;

void bench_table_begin(const char *title, const char *note)
{
    missed_count = 0;
    printf("### %s\n\n%s\n\n", title, note);
    printf("| what | measured | ratio (quartiles) | to | bar | |\n");
    printf("|---|---:|---:|---|---|---|\n");
}

void bench_table_row(const struct bench_row *row)
{
    const char *verdict = row->bar[0] == '\0' ? ""
                          : row->is_open      ? "not judged"
                          : row->is_met       ? "met"
                                              : "**not met**";

    printf("| %s | %s | %s | %s | %s | %s |\n", row->what, row->measured, row->ratio, row->beside,
           row->bar, verdict);
    if (row->bar[0] != '\0' && !row->is_met && !row->is_open && missed_count < BENCH_ROWS_MAX)
        missed[missed_count++] = *row;
}

void bench_table_end(void)
{
    printf("\n");
    for (size_t n = 0; n < missed_count; n++)
        if (missed[n].limit != NULL)
            printf("- *%s* is limited by %s.\n", missed[n].what, missed[n].limit);
    if (missed_count > 0)
        printf("\n");
    (void)fflush(stdout);
}
