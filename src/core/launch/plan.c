/* SPDX-License-Identifier: Apache-2.0 */
/* Making a plan, part by part. See plan.h. */
#include "core/launch/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "core/launch/plan_internal.h"
#include "utils/assert.h"

void vine__plan_destroy(struct vine__plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->cores);
    free(plan->pieces);
    free(plan);
}

static int allocate(struct vine__planner *planner)
{
    const struct vine__topology *const topology = planner->topology;
    struct vine__plan_scratch *const scratch = &planner->scratch;
    struct vine__plan *const plan = planner->plan;

    scratch->chosen = calloc(topology->processor_count, sizeof(scratch->chosen[0]));
    scratch->ranks = calloc(topology->processor_count, sizeof(scratch->ranks[0]));
    scratch->on_node = calloc(topology->node_count, sizeof(scratch->on_node[0]));
    scratch->on_cache = calloc((size_t)topology->cache_count + 1, sizeof(scratch->on_cache[0]));
    scratch->queued = calloc(topology->node_count, sizeof(scratch->queued[0]));
    scratch->room = calloc(topology->node_count, sizeof(scratch->room[0]));
    plan->cores = calloc(plan->core_count, sizeof(plan->cores[0]));
    plan->pieces = calloc((size_t)plan->core_count * topology->node_count, sizeof(plan->pieces[0]));
    return scratch->chosen == NULL || scratch->ranks == NULL || scratch->on_node == NULL ||
                   scratch->on_cache == NULL || scratch->queued == NULL || scratch->room == NULL ||
                   plan->cores == NULL || plan->pieces == NULL
               ? -ENOMEM
               : 0;
}

static void free_scratch(struct vine__plan_scratch *scratch)
{
    free(scratch->chosen);
    free(scratch->ranks);
    free(scratch->on_node);
    free(scratch->on_cache);
    free(scratch->queued);
    free(scratch->room);
}

/* The equations of a plan. */
static bool is_sound(const struct vine__plan *plan, const struct vine__topology *topology)
{
    uint64_t memory_bytes = 0;
    uint32_t queues = 0;

    for (uint32_t i = 0; i < plan->core_count; i++) {
        const struct vine__plan_core *const core = &plan->cores[i];
        uint64_t bytes = 0;

        for (uint32_t j = 0; j < core->piece_count; j++) {
            if (core->pieces[j].node >= topology->node_count || core->pieces[j].bytes == 0 ||
                core->pieces[j].bytes % plan->unit_bytes != 0)
                return false;
            bytes += core->pieces[j].bytes;
        }
        if (bytes == 0 || bytes != core->memory_bytes || core->io_core >= plan->core_count ||
            plan->cores[core->io_core].io_core != core->io_core ||
            !vine__cpus_has(&plan->usable, core->cpu))
            return false;
        memory_bytes += bytes;
        queues += core->io_core == i;
    }
    return memory_bytes == plan->memory_bytes && queues == plan->io_queue_count;
}

static int make(struct vine__planner *planner)
{
    int error;

    vine__plan_count_cores(planner);
    vine__plan_sum_memory(planner);
    vine__plan_count_queues(planner);
    if (planner->mistakes->count > 0)
        return -EINVAL;
    error = allocate(planner);
    if (error == 0) {
        vine__plan_choose_processors(planner);
        vine__plan_divide_memory(planner);
        vine__plan_assign_queues(planner);
        VINE_ASSERT(is_sound(planner->plan, planner->topology));
    }
    free_scratch(&planner->scratch);
    return error;
}

int vine__plan_create(struct vine__plan **ret_plan, const struct vine__topology *topology,
                      const struct vine__launch_options *options,
                      struct vine__mistakes *ret_mistakes)
{
    struct vine__mistakes mistakes = {0};
    struct vine__planner planner = {.plan = calloc(1, sizeof(*planner.plan)),
                                    .topology = topology,
                                    .options = options,
                                    .mistakes = &mistakes};
    const int error = planner.plan == NULL ? -ENOMEM : make(&planner);

    if (error != 0) {
        vine__plan_destroy(planner.plan);
        if (error == -EINVAL)
            *ret_mistakes = mistakes;
        return error;
    }
    *ret_plan = planner.plan;
    return 0;
}
