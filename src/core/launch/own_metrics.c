/* SPDX-License-Identifier: Apache-2.0 */
#include "core/launch/own_metrics.h"

#include <vine/metrics.h>
#include <vine/timer.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "arch/poll/poll.h"
#include "core/arena/arena.h"
#include "core/reactor/reactor.h"

#define SECONDS          1e-9 /* of nanoseconds */
#define MEASURE_EVERY_NS (60 * VINE_NS_PER_SECOND)

struct group {
    struct vine_metric seconds, works;
    uint64_t used_ns, done;
};

struct vine__own_metrics {
    struct vine__arena *arena;
    struct vine_metrics_refresh refresh;
    struct vine__reactor_counts counts;
    int64_t backlog, pending;
    struct vine__arena_stats stats;
    bool is_measured;
    uint64_t measured_ns; /* when its memory was walked over last */
    int64_t reserved_bytes, used_bytes, touched_bytes;
    uint32_t group_count;
    struct group groups[VINE_GROUPS_MAX];
};

/* Where a value is, and what it means. */
struct row {
    const char *name;
    const char *help;
    const char *unit;
    double scale;
    size_t offset;
    enum vine_metric_kind kind;
};

#define COUNT(name, field, help)                                                                   \
    {                                                                                              \
        name, help, NULL, 1, offsetof(struct vine__own_metrics, field), VINE_METRIC_COUNTER        \
    }
#define TIME(name, field, help)                                                                    \
    {                                                                                              \
        name, help, "seconds", SECONDS, offsetof(struct vine__own_metrics, field),                 \
            VINE_METRIC_COUNTER                                                                    \
    }
#define LEVEL(name, field, help)                                                                   \
    {                                                                                              \
        name, help, NULL, 1, offsetof(struct vine__own_metrics, field), VINE_METRIC_GAUGE          \
    }
#define BYTES(name, field, help)                                                                   \
    {                                                                                              \
        name, help, "bytes", 1, offsetof(struct vine__own_metrics, field), VINE_METRIC_GAUGE       \
    }

static const struct row loop_rows[] = {
    COUNT("vine_reactor_turns_total", counts.turns, "Turns of the loop."),
    COUNT("vine_reactor_idle_turns_total", counts.idle_turns, "Turns that found nothing to do."),
    COUNT("vine_reactor_sleeps_total", counts.sleeps, "Times that the loop slept."),
    TIME("vine_reactor_awake_seconds_total", counts.awake_ns, "Time awake."),
    TIME("vine_reactor_asleep_seconds_total", counts.slept_ns, "Time asleep."),
    COUNT("vine_reactor_works_total", counts.works, "Functions that were called by the loop."),
    COUNT("vine_reactor_timers_total", counts.timers, "Timers whose time had come."),
    COUNT("vine_reactor_completions_total", counts.completions,
          "Operations of the kernel that have ended."),
    COUNT("vine_reactor_calls_sent_total", counts.calls_sent, "Calls to other cores and oneself."),
    COUNT("vine_reactor_calls_served_total", counts.calls_served,
          "Calls of other cores and oneself that were answered."),
    COUNT("vine_reactor_foreign_destroyed_total", counts.foreign_destroyed,
          "Objects of the core that other cores had, and that came home."),
    COUNT("vine_reactor_replies_total", counts.replies, "Answers to calls that came back."),
    LEVEL("vine_reactor_backlog", backlog, "Functions that wait to be called."),
    LEVEL("vine_reactor_operations_pending", pending, "Operations that are with the kernel."),
};

static const struct row arena_rows[] = {
    BYTES("vine_arena_reserved_bytes", reserved_bytes, "Memory that the core has."),
    BYTES("vine_arena_used_bytes", used_bytes,
          "Memory that is in blocks in use, measured each minute at most."),
    BYTES("vine_arena_touched_bytes", touched_bytes,
          "Memory that was ever in use, measured each minute at most."),
    COUNT("vine_arena_allocations_total", stats.allocations, "Blocks that were allocated."),
    COUNT("vine_arena_frees_total", stats.frees, "Blocks of the core that were freed."),
    COUNT("vine_arena_remote_frees_sent_total", stats.remote_frees_sent,
          "Blocks of other cores that were freed here, and sent home."),
    COUNT("vine_arena_remote_frees_received_total", stats.remote_frees_received,
          "Blocks that were freed elsewhere and came home."),
    COUNT("vine_arena_failures_total", stats.failures,
          "Allocations that the core's memory had no room for."),
};

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static int register_row(struct vine__own_metrics *own, const struct row *row)
{
    const void *const value = (const char *)own + row->offset;
    const struct vine_metric_description description = {
        .name = row->name,
        .help = row->help,
        .unit = row->unit,
        .kind = row->kind,
        .scale = row->scale,
        .count = row->kind == VINE_METRIC_COUNTER ? value : NULL,
        .level = row->kind == VINE_METRIC_GAUGE ? value : NULL,
    };
    struct vine_metric metric; /* they stay until the core ends */

    return vine_metric_register(&metric, &description);
}

static int register_group(struct vine__own_metrics *own, uint32_t id)
{
    struct group *const group = &own->groups[id];
    struct vine__group_counts counts;

    vine__reactor_get_group(vine__reactor_self(), id, &counts);
    const struct vine_label label = {.name = "group", .value = counts.name};
    struct vine_metric_description description = {
        .name = "vine_group_seconds_total",
        .help = "Time that the work of a scheduling group has used.",
        .unit = "seconds",
        .kind = VINE_METRIC_COUNTER,
        .labels = &label,
        .label_count = 1,
        .scale = SECONDS,
        .count = &group->used_ns,
    };
    const int error = vine_metric_register(&group->seconds, &description);

    if (error != 0)
        return error;
    description.name = "vine_group_works_total";
    description.help = "Functions of a scheduling group that were called.";
    description.unit = NULL;
    description.scale = 1;
    description.count = &group->done;
    return vine_metric_register(&group->works, &description);
}

/* Groups may have been made since. One whose metrics cannot be had (its name is that of another
 * one) has none. */
static int see_groups(struct vine__own_metrics *own)
{
    const struct vine__reactor *const reactor = vine__reactor_self();
    const uint32_t count = vine__reactor_group_count(reactor);
    int error = 0;

    while (own->group_count < count)
        error = register_group(own, own->group_count++);
    for (uint32_t id = 0; id < count; id++) {
        struct vine__group_counts counts;

        vine__reactor_get_group(reactor, id, &counts);
        own->groups[id].used_ns = counts.used_ns;
        own->groups[id].done = counts.works;
    }
    return error;
}

/* A walk over the core's memory, of a millisecond for each GiB: not with each collection. */
static void measure_arena(struct vine__own_metrics *own)
{
    const uint64_t now_ns = vine_clock_now(VINE_CLOCK_COARSE);

    if (own->is_measured && now_ns - own->measured_ns < MEASURE_EVERY_NS)
        return;
    vine__arena_measure();
    own->is_measured = true;
    own->measured_ns = now_ns;
}

static void refresh(void *context)
{
    struct vine__own_metrics *const own = context;

    vine__reactor_get_counts(vine__reactor_self(), &own->counts);
    own->backlog = (int64_t)own->counts.backlog;
    own->pending = vine__poller_pending(vine__reactor_poller());
    (void)see_groups(own);
    if (own->arena == NULL)
        return;
    measure_arena(own);
    vine__arena_get_stats(own->arena, &own->stats);
    own->reserved_bytes = (int64_t)own->stats.reserved_bytes;
    own->used_bytes = (int64_t)own->stats.used_bytes;
    own->touched_bytes = (int64_t)own->stats.touched_bytes;
}

int vine__own_metrics_start(struct vine__own_metrics **ret_own, struct vine__arena *arena)
{
    struct vine__own_metrics *const own = calloc(1, sizeof(*own));
    int error = 0;

    *ret_own = own;
    if (own == NULL)
        return -ENOMEM;
    own->arena = arena;
    for (size_t i = 0; error == 0 && i < ROWS(loop_rows); i++)
        error = register_row(own, &loop_rows[i]);
    for (size_t i = 0; error == 0 && arena != NULL && i < ROWS(arena_rows); i++)
        error = register_row(own, &arena_rows[i]);
    if (error == 0)
        error = see_groups(own);
    if (error == 0)
        error = vine_metrics_refresh_add(&own->refresh, refresh, own);
    return error;
}

void vine__own_metrics_free(struct vine__own_metrics *own)
{
    free(own);
}
