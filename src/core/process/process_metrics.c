/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/process_metrics.c - what a core has seen of micro-processes, as metrics. */

#include <stddef.h>

#include "core/process/process_internal.h"

#define COUNT(name, field, help)                                                                   \
    {                                                                                              \
        name, help, offsetof(struct process_counts, field)                                         \
    }

/* Where a count is, and what it means. */
static const struct {
    const char *name;
    const char *help;
    size_t offset;
} rows[] = {
    COUNT("vine_process_begun_total", begun, "Micro-processes that began."),
    COUNT("vine_process_runs_total", runs, "Times that one was given its turn."),
    COUNT("vine_process_faults_total", faults,
          "Faults of micro-processes, those that they lived through among them."),
    COUNT("vine_process_overruns_total", overruns,
          "Of these, for using a processor for longer than allowed."),
    COUNT("vine_process_errors_total", errors,
          "Micro-processes that ended by an error of their own that nothing caught."),
    COUNT("vine_process_parkings_total", parkings,
          "Times that an idle connection was left without a heap."),
    COUNT("vine_process_unparkings_total", unparkings, "Times that one of these had a heap again."),
    COUNT("vine_process_refused_total", refused,
          "Micro-processes that could not begin, for want of a heap or of memory."),
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static double count_of(void *context)
{
    return ((const struct processes *)context)->count;
}

static double parked_of(void *context)
{
    return ((const struct processes *)context)->parked_count;
}

static struct vine__heap_pool_figures heaps_of(void *context)
{
    struct vine__heap_pool_figures figures;

    vine__heap_pool_look(((const struct processes *)context)->heaps, &figures);
    return figures;
}

static double heaps_taken_of(void *context)
{
    return heaps_of(context).taken_count;
}

static double heaps_max_of(void *context)
{
    return heaps_of(context).taken_max;
}

static double heap_bytes_of(void *context)
{
    return (double)heaps_of(context).taken_bytes;
}

static double kept_bytes_of(void *context)
{
    return (double)heaps_of(context).kept_bytes;
}

static const struct {
    const char *name;
    const char *help;
    const char *unit;
    vine_metric_fn fn;
} levels[] = {
    {"vine_process_count", "Micro-processes that are there.", NULL, count_of},
    {"vine_process_parked", "Idle connections without a heap.", NULL, parked_of},
    {"vine_process_heaps", "Heaps that are in use.", NULL, heaps_taken_of},
    {"vine_process_heaps_max", "Heaps that may be in use at once.", NULL, heaps_max_of},
    {"vine_process_heap_bytes", "Memory of heaps that are in use.", "bytes", heap_bytes_of},
    {"vine_process_kept_bytes", "Memory that is kept for those to come.", "bytes", kept_bytes_of},
};

#define LEVEL_COUNT (sizeof(levels) / sizeof(levels[0]))

VINE_STATIC_ASSERT(ROW_COUNT + LEVEL_COUNT == PROCESS_METRICS, "a place for each");

static int register_row(struct processes *core, size_t which)
{
    const void *const value = (const char *)&core->counts + rows[which].offset;
    const struct vine_metric_description description = {
        .name = rows[which].name,
        .help = rows[which].help,
        .kind = VINE_METRIC_COUNTER,
        .count = value,
    };

    return vine_metric_register(&core->metrics[which], &description);
}

static int register_level(struct processes *core, size_t which)
{
    const struct vine_metric_description description = {
        .name = levels[which].name,
        .help = levels[which].help,
        .unit = levels[which].unit,
        .kind = VINE_METRIC_GAUGE,
        .fn = levels[which].fn,
        .context = core,
    };

    return vine_metric_register(&core->metrics[ROW_COUNT + which], &description);
}

int vine__process_metrics_start(struct processes *core)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < ROW_COUNT; i++)
        error = register_row(core, i);
    for (size_t i = 0; error == 0 && i < LEVEL_COUNT; i++)
        error = register_level(core, i);
    if (error != 0)
        vine__process_metrics_stop(core);
    return error;
}

void vine__process_metrics_stop(struct processes *core)
{
    for (size_t i = 0; i < PROCESS_METRICS; i++)
        vine_metric_unregister(&core->metrics[i]);
}
