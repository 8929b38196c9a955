/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What idle pipes cost: processor time of 100 and of 1,000 of them, and memory of each, both sides
 * and all in. The appliance and the application are processes of their own; each pipe has run a
 * task.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "serving.h"

#define PIPES_MOST 1000
#define QUIET_S    4

/* Processor time that a process has used, in seconds. */
static double processor_seconds(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    bench_require(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0,
                  "clock_getcpuclockid");
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Memory of a process with its share of what it shares, in KiB. */
static double resident_kib(pid_t pid)
{
    char name[64];
    char line[256];
    double kib = 0;

    (void)snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", (int)pid);

    FILE *file = fopen(name, "r");

    bench_require(file != NULL, name);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Pss: %lf", &kib) == 1)
            break;
    (void)fclose(file);
    return kib;
}

static void rest(time_t seconds)
{
    const struct timespec time = {.tv_sec = seconds};

    (void)nanosleep(&time, NULL);
}

static void print_processor_time(int pipe_count, const struct bench_serving *serving)
{
    struct bench_row row = {.limit = NULL};

    rest(1); /* until the last pipe has been put to sleep */

    const double before_s = processor_seconds(serving->pid) + processor_seconds(getpid());

    rest(QUIET_S);

    const double used_s = processor_seconds(serving->pid) + processor_seconds(getpid()) - before_s;

    (void)snprintf(row.what, sizeof(row.what), "processor time of %d idle pipes, both sides",
                   pipe_count);
    (void)snprintf(row.measured, sizeof(row.measured), "%.3f %% of one", 100 * used_s / QUIET_S);
    (void)snprintf(row.bar, sizeof(row.bar), "below 1 %%");
    row.is_met = used_s / QUIET_S < 0.01;
    bench_table_row(&row);
}

static void print_memory(int pipe_count, double kib)
{
    struct bench_row row = {.limit = NULL};

    (void)snprintf(row.what, sizeof(row.what), "memory of each of %d, both sides and all in",
                   pipe_count);
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f KiB", kib);
    (void)snprintf(row.bar, sizeof(row.bar), "below 512 KiB");
    row.is_met = kib < 512;
    bench_table_row(&row);
}

int main(void)
{
    static struct bench_application applications[PIPES_MOST];
    static const int steps[] = {100, PIPES_MOST};
    struct bench_serving serving;
    struct rlimit limit;
    int open_count = 0;
    double before_kib = 0; /* with one pipe */

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    bench_serving_start(&serving, &(struct bench_serving_options){.is_pinned = false});
    bench_table_begin("Idle pipes", "Each has run a task. Nothing is measured beside them: the "
                                    "limit is nothing at all.");
    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        for (; open_count < steps[step]; open_count++) {
            bench_application_open(&applications[open_count], &serving, VINE_WAIT_AUTO, 0);
            bench_noop_trips(&applications[open_count], 1);
            if (open_count == 0)
                before_kib = resident_kib(serving.pid) + resident_kib(getpid());
        }
        print_processor_time(open_count, &serving);
    }
    print_memory(open_count, (resident_kib(serving.pid) + resident_kib(getpid()) - before_kib) /
                                 (open_count - 1));
    bench_table_end();
    for (int n = 0; n < open_count; n++)
        vine_pipe_close(applications[n].pipe);
    bench_serving_stop(&serving);
    return 0;
}
