/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/sharded.h>

#include "utils/assert.h"
#include "utils/container_of.h"

int64_t vine_reduce_sum(int64_t so_far, int64_t value)
{
    return (int64_t)((uint64_t)so_far + (uint64_t)value);
}

int64_t vine_reduce_error(int64_t so_far, int64_t value)
{
    return so_far < 0 || value >= 0 ? so_far : value;
}

static void reduce(struct vine_map_reduce *map_reduce)
{
    const uint32_t core_count = vine_core_count();

    if (map_reduce->reduce == NULL)
        return;
    for (uint32_t core = 0; core < core_count; core++)
        map_reduce->result =
            map_reduce->reduce(map_reduce->result, vine_core_call_result(&map_reduce->calls[core]));
}

/* Each call's argument is the whole, so that its end finds it. */
static void count_down(struct vine_core_call *call)
{
    struct vine_map_reduce *map_reduce = call->argument;

    VINE_ASSERT(map_reduce->pending > 0);
    map_reduce->pending--;
    if (map_reduce->pending > 0)
        return;
    reduce(map_reduce);
    map_reduce->done(map_reduce);
}

static int64_t map_here(void *argument)
{
    const struct vine_map_reduce *map_reduce = argument;

    return map_reduce->map(map_reduce->argument);
}

void vine_map_reduce(struct vine_map_reduce *map_reduce, struct vine_core_call *calls)
{
    const uint32_t core_count = vine_core_count();

    VINE_ASSERT(map_reduce->map != NULL && map_reduce->done != NULL);
    map_reduce->calls = calls;
    map_reduce->pending = core_count;
    for (uint32_t core = 0; core < core_count; core++)
        vine_core_call(&calls[core], core, map_here, map_reduce, count_down);
}
