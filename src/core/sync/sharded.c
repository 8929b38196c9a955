/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service on every core. All that is shared is the table of places: a place's instance is written
 * and read by its own core alone, and the rest of it by the core that starts and stops, while no
 * call is on its way. Between those the calls' messages keep the order.
 */
#include <vine/sharded.h>

#include "utils/assert.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum state { STOPPED, STARTING, RUNS, STOPPING };

/* What the table has for a core. */
struct place {
    void *instance;
    bool has_started;
};

struct vine_sharded {
    struct vine_sharded_options options;
    struct vine_map_reduce all;
    vine_sharded_done_fn done;
    enum state state;
    int result;
    uint32_t core_count;
    struct vine_core_call *calls; /* one for each core, behind the places */
    struct place places[];
};

int vine_sharded_create(struct vine_sharded **ret_sharded,
                        const struct vine_sharded_options *options)
{
    const uint32_t core_count = vine_core_count();
    struct vine_sharded *sharded;

    if (options == NULL || options->size_bytes != sizeof(*options) ||
        options->instance_bytes == 0 || options->instance_bytes > SIZE_MAX - VINE_CACHE_LINE)
        return -EINVAL;
    sharded = calloc(1, sizeof(*sharded) + core_count * (sizeof(sharded->places[0]) +
                                                         sizeof(struct vine_core_call)));
    if (sharded == NULL)
        return -ENOMEM;
    sharded->options = *options;
    sharded->core_count = core_count;
    sharded->calls = (struct vine_core_call *)(void *)&sharded->places[core_count];
    *ret_sharded = sharded;
    return 0;
}

void vine_sharded_destroy(struct vine_sharded *sharded)
{
    if (sharded == NULL)
        return;
    VINE_ASSERT(sharded->state == STOPPED);
    free(sharded);
}

int vine_sharded_result(const struct vine_sharded *sharded)
{
    return sharded->result;
}

void *vine_sharded_local(const struct vine_sharded *sharded)
{
    return sharded->places[vine_core()].instance;
}

/* ---- on each core ---------------------------------------------------------------------------- */

static int64_t start_here(void *argument)
{
    struct vine_sharded *sharded = argument;
    struct place *place = &sharded->places[vine_core()];
    const size_t size = vine__round_up_u64(sharded->options.instance_bytes, VINE_CACHE_LINE);

    /* Lines of its own: the neighbours are for others. */
    place->instance = aligned_alloc(VINE_CACHE_LINE, size);
    if (place->instance == NULL)
        return -ENOMEM;
    memset(place->instance, 0, size);
    if (sharded->options.start != NULL)
        sharded->options.start(place->instance, sharded->options.argument, vine_core_call_defer());
    return 0;
}

static int64_t stop_here(void *argument)
{
    struct vine_sharded *sharded = argument;
    const struct place *place = &sharded->places[vine_core()];

    if (place->has_started && sharded->options.stop != NULL)
        sharded->options.stop(place->instance, sharded->options.argument, vine_core_call_defer());
    return 0;
}

static int64_t free_here(void *argument)
{
    struct vine_sharded *sharded = argument;
    struct place *place = &sharded->places[vine_core()];

    free(place->instance);
    place->instance = NULL;
    return 0;
}

/* ---- on the core that started it ------------------------------------------------------------- */

static void on_all(struct vine_sharded *sharded, vine_core_call_fn map, vine_map_reduce_fn done)
{
    sharded->all = (struct vine_map_reduce){
        .map = map, .argument = sharded, .reduce = vine_reduce_error, .done = done};
    vine_map_reduce(&sharded->all, sharded->calls);
}

static struct vine_sharded *sharded_of(struct vine_map_reduce *all)
{
    return VINE_CONTAINER_OF(all, struct vine_sharded, all);
}

static void end(struct vine_sharded *sharded, enum state state)
{
    sharded->state = state;
    sharded->done(sharded, sharded->options.argument);
}

static void freed(struct vine_map_reduce *all)
{
    end(sharded_of(all), STOPPED);
}

static void stopped(struct vine_map_reduce *all)
{
    struct vine_sharded *sharded = sharded_of(all);

    /* Why it did not start counts for more than how it was stopped for that. */
    if (sharded->result == 0)
        sharded->result = (int)all->result;
    on_all(sharded, free_here, freed);
}

static void started(struct vine_map_reduce *all)
{
    struct vine_sharded *sharded = sharded_of(all);

    for (uint32_t core = 0; core < sharded->core_count; core++)
        sharded->places[core].has_started = vine_core_call_result(&sharded->calls[core]) >= 0;
    sharded->result = (int)all->result;
    if (sharded->result == 0)
        end(sharded, RUNS);
    else
        on_all(sharded, stop_here, stopped);
}

void vine_sharded_start(struct vine_sharded *sharded, vine_sharded_done_fn done)
{
    VINE_ASSERT(sharded->state == STOPPED);
    VINE_ASSERT(done != NULL);
    sharded->state = STARTING;
    sharded->done = done;
    on_all(sharded, start_here, started);
}

void vine_sharded_stop(struct vine_sharded *sharded, vine_sharded_done_fn done)
{
    VINE_ASSERT(sharded->state == RUNS);
    VINE_ASSERT(done != NULL);
    sharded->state = STOPPING;
    sharded->done = done;
    sharded->result = 0;
    on_all(sharded, stop_here, stopped);
}
