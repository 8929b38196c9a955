/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core counts of files, by class: operations where they are begun, and requests where the
 * I/O queue is through which they go.
 */
#include "core/file/file_internal.h"

#include <vine/metrics.h>

#include <errno.h>
#include <stdio.h>

#include "utils/tables.h"

#define SECONDS 1e-9 /* of nanoseconds */

void vine__file_count(struct vine__file_core *core, const struct vine_file_op *op)
{
    struct vine__file_counts *const counts = &core->counts[op->io_class];

    counts->operations++;
    /* Who cancels knows. */
    counts->errors += op->result < 0 && op->result != -ECANCELED;
    if (op->count == 0)
        return; /* also of what moves no bytes, whose kind is another's */
    if (op->kind == VINE__POLL_READ)
        counts->read_bytes += op->count;
    else
        counts->written_bytes += op->count;
}

/* ---- metrics --------------------------------------------------------------------------------- */

/* As one of a class with that name, or with its number where another one has the name. */
static int register_one(struct vine_metric_description *description, uint32_t id)
{
    const char *const name = vine__io_class_name(id);
    char numbered[VINE__IO_CLASS_NAME_BYTES + 16];
    struct vine_label label = {.name = "class", .value = name};
    struct vine_metric metric; /* they stay until the core ends */
    int error;

    description->labels = &label;
    description->label_count = 1;
    error = vine_metric_register(&metric, description);
    if (error != -EEXIST)
        return error;
    (void)snprintf(numbered, sizeof(numbered), "%s-%u", name, id);
    label.value = numbered;
    return vine_metric_register(&metric, description);
}

static int register_counts(struct vine__file_core *core, uint32_t id)
{
    const struct vine__file_counts *const counts = &core->counts[id];
    const struct {
        const char *name, *help, *unit;
        const uint64_t *count;
    } rows[] = {
        {"vine_file_operations_total", "Operations on files that have ended.", NULL,
         &counts->operations},
        {"vine_file_errors_total", "Of these, those that ended with an error.", NULL,
         &counts->errors},
        {"vine_file_read_bytes_total", "Bytes that were read from files.", "bytes",
         &counts->read_bytes},
        {"vine_file_written_bytes_total", "Bytes that were written to files.", "bytes",
         &counts->written_bytes},
    };
    int error = 0;

    for (size_t i = 0; error == 0 && i < VINE_ARRAY_COUNT(rows); i++) {
        struct vine_metric_description description = {
            .name = rows[i].name,
            .help = rows[i].help,
            .unit = rows[i].unit,
            .kind = VINE_METRIC_COUNTER,
            .count = rows[i].count,
        };

        error = register_one(&description, id);
    }
    return error;
}

static int register_lane(struct vine__io_lane *lane, uint32_t id)
{
    struct vine_metric_description requests = {
        .name = "vine_file_queue_requests_total",
        .help = "Requests that the core's I/O queue has given to the device.",
        .kind = VINE_METRIC_COUNTER,
        .count = &lane->requests,
    };
    struct vine_metric_description waiting = {
        .name = "vine_file_queue_length",
        .help = "Requests that wait in the core's I/O queue.",
        .kind = VINE_METRIC_GAUGE,
        .level = &lane->waiting,
    };
    struct vine_metric_description waited = {
        .name = "vine_file_queue_wait_seconds",
        .help = "How long requests waited in the core's I/O queue.",
        .unit = "seconds",
        .kind = VINE_METRIC_HISTOGRAM,
        .scale = SECONDS,
        .histogram = lane->waited,
    };
    int error = register_one(&requests, id);

    if (error == 0)
        error = register_one(&waiting, id);
    return error == 0 && lane->waited != NULL ? register_one(&waited, id) : error;
}

/* Whether this core has had anything of a class to do. */
static bool is_met(const struct vine__file_core *core, uint32_t id)
{
    return id == 0 || core->counts[id].operations > 0 || core->queue.lanes[id].requests > 0;
}

/* One whose metrics cannot be had, for want of memory, has none. */
static int see_classes(struct vine__file_core *core)
{
    const uint32_t count = vine__io_class_count();
    int error = 0;

    for (uint32_t id = 0; id < count; id++) {
        const uint32_t bit = UINT32_C(1) << id;

        if ((core->told & bit) != 0 || !is_met(core, id))
            continue;
        core->told |= bit;
        error = register_counts(core, id);
        if (error == 0 && core->has_queue)
            error = register_lane(&core->queue.lanes[id], id);
    }
    return error;
}

static void refresh(void *context)
{
    (void)see_classes(context);
}

int vine__file_metrics_start(void)
{
    struct vine__file_core *const core = vine__file_here();
    int error = core->has_queue ? vine__io_queue_measure(&core->queue) : 0;

    if (error == 0)
        error = see_classes(core);
    if (error == 0)
        error = vine_metrics_refresh_add(&core->refresh, refresh, core);
    return error;
}
