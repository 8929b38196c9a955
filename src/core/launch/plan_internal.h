/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/plan_internal.h - the parts of a plan, in the order in which they are made.
 *
 * Each adds to the mistakes what is wrong, and leaves values that the next one can go on with.
 */
#ifndef VINE_CORE_LAUNCH_PLAN_INTERNAL_H
#define VINE_CORE_LAUNCH_PLAN_INTERNAL_H

#include "core/launch/plan.h"

/* What the parts need to count. Zeroed. */
struct vine__plan_scratch {
    bool *chosen;       /* for each processor: a core runs there */
    uint32_t *ranks;    /* for each processor: which of its core's it is */
    uint32_t *on_node;  /* for each node: cores that were chosen */
    uint32_t *on_cache; /* for each cache, and behind them for those that have none */
    uint32_t *queued;   /* for each node: cores that have an I/O queue */
    uint64_t *room;     /* for each node: bytes that nobody has yet */
};

struct vine__planner {
    struct vine__plan *plan;
    struct vine__plan_scratch scratch;
    const struct vine__topology *topology;
    const struct vine__launch_options *options;
    struct vine__mistakes *mistakes;
};

/* plan_processors.c: what may be used, and how many cores that makes. */
void vine__plan_count_cores(struct vine__planner *planner);

/* plan_memory.c: the memory of all cores. Where nobody asked for so many cores, there are no more
 * than it suffices for. */
void vine__plan_sum_memory(struct vine__planner *planner);

/* plan_processors.c: choose them. */
void vine__plan_choose_processors(struct vine__planner *planner);

/* plan_memory.c: divide the memory among the cores. */
void vine__plan_divide_memory(struct vine__planner *planner);

/* plan_io.c: how many queues there are, and whose. */
void vine__plan_count_queues(struct vine__planner *planner);
void vine__plan_assign_queues(struct vine__planner *planner);

#endif
