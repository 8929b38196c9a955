/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge is made, cloned, ended and closed. */
#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>

#include "core/bridge/bridge_internal.h"

VINE_STATIC_ASSERT(VINE_BRIDGE_OPERATIONS_MAX == VINE__OPS_MAX, "what a cache can hold");
VINE_STATIC_ASSERT(VINE_BRIDGE_OPERATIONS_MAX <= 1 << VINE__BRIDGE_KIND_SHIFT, "below the kind");
VINE_STATIC_ASSERT(sizeof(struct vine_operation_id) + VINE_CHANNEL_BYTES <= VINE_SPSC_BYTES,
                   "a wrapper fits in a slot");
VINE_STATIC_ASSERT(sizeof(struct vine__pending) == VINE_CACHE_LINE, "one line an operation");
VINE_STATIC_ASSERT(sizeof(vine_operation_fn) == sizeof(void *), "as POSIX has it");

void vine__bridge_end(struct vine__bridge *bridge, int error)
{
    uint32_t not_over = 0;

    /* E1 (release) pairs with E2 in vine__bridge_over. */
    (void)vine__compare_exchange_acq_rel_u32(&bridge->over, &not_over, (uint32_t)-error);
}

int vine__bridge_sweep(struct vine__bridge *bridge, int status)
{
    const uint32_t total = vine__load_acquire_u32(&bridge->cache.count); /* O6 pairs with O5 */
    int ended = 0;

    for (uint32_t i = 0; i < total; i++) {
        struct vine__op *operation = vine__op_at(&bridge->cache, i);
        struct vine__ending ending;
        bool is_ours;

        vine__bridge_enter(bridge);

        /* O2 pairs with O1: what is pending was composed. */
        const uint64_t word = vine__load_acquire_u64(&operation->word);

        ending = vine__bridge_look((struct vine__pending *)(void *)operation);
        is_ours = vine__op_end(operation, word);
        if (is_ours) {
            vine__bridge_count(&bridge->lost);
            vine__op_give(&bridge->cache, operation);
        } else {
            (void)vine__op_reclaim(&bridge->cache, operation, word);
        }
        vine__bridge_leave(bridge);
        if (is_ours) {
            ended++;
            vine__bridge_call(bridge, ending, status, NULL);
        }
    }
    return ended;
}

/* ---- creation and closing -------------------------------------------------------------------- */

static struct vine__bridge *make_bridge(const struct vine_bridge_options *options,
                                        vine_bridge_call_fn call_typed)
{
    struct vine__bridge *bridge = aligned_alloc(VINE_CACHE_LINE, sizeof *bridge);

    if (bridge == NULL)
        return NULL;
    memset(bridge, 0, sizeof *bridge);
    bridge->call = call_typed;
    bridge->operations_max = options->operations_max;
    bridge->is_locked = options->cache == VINE_OP_CACHE_LOCKED;
    bridge->handles = 2;
    bridge->receivers = 1;
    bridge->next_deadline = VINE_FOREVER;
    (void)pthread_mutex_init(&bridge->lock, NULL);
    vine__op_cache_init(&bridge->cache, sizeof(struct vine__pending), options->operations_max);
    return bridge;
}

static void free_bridge(struct vine__bridge *bridge)
{
    if (bridge == NULL)
        return;
    vine__op_cache_fini(&bridge->cache);
    (void)pthread_mutex_destroy(&bridge->lock);
    free(bridge);
}

static int take_options(const struct vine_bridge_options *options, uint32_t in_flight_max,
                        struct vine_bridge_options *ret_options)
{
    struct vine_bridge_options chosen = {.size_bytes = sizeof chosen};

    if (options != NULL) {
        if (options->size_bytes != sizeof chosen)
            return -EINVAL;
        chosen = *options;
    }
    if (in_flight_max > VINE_BRIDGE_OPERATIONS_MAX)
        in_flight_max = VINE_BRIDGE_OPERATIONS_MAX;
    if (chosen.operations_max == 0)
        chosen.operations_max = in_flight_max;
    if (chosen.operations_max > in_flight_max ||
        (chosen.cache != VINE_OP_CACHE_UNLOCKED && chosen.cache != VINE_OP_CACHE_LOCKED))
        return -EINVAL;
    *ret_options = chosen;
    return 0;
}

int vine_bridge_create(const struct vine_submitter *submitter,
                       const struct vine_bridge_options *options, vine_bridge_call_fn call_typed,
                       struct vine_bridge_submit **ret_submit,
                       struct vine_bridge_receive **ret_receive)
{
    struct vine_bridge_submit *submit = calloc(1, sizeof *submit);
    struct vine_bridge_receive *receive = calloc(1, sizeof *receive);
    struct vine__bridge *bridge = NULL;
    struct vine_bridge_options chosen;
    uint32_t in_flight_max = 0;
    int error = -ENOMEM;

    if (submit == NULL || receive == NULL)
        goto fail;
    error = vine_submitter_split(submitter, &submit->out, &receive->in, &in_flight_max);
    if (!error)
        error = take_options(options, in_flight_max, &chosen);
    if (error)
        goto fail;
    bridge = make_bridge(&chosen, call_typed);
    error = bridge == NULL ? -ENOMEM : vine__op_cache_fill(&bridge->cache);
    if (error)
        goto fail;
    submit->bridge = receive->bridge = bridge;
    *ret_submit = submit;
    *ret_receive = receive;
    return 0;

fail:
    free_bridge(bridge);
    free(submit);
    free(receive);
    return error;
}

int vine_bridge_clone_submit(struct vine_bridge_submit *handle,
                             struct vine_bridge_submit **ret_clone)
{
    struct vine_bridge_submit *clone;

    if (!handle->bridge->is_locked || handle->out.kind != VINE_RING_MPMC)
        return -EINVAL;
    clone = calloc(1, sizeof *clone);
    if (clone == NULL)
        return -ENOMEM;
    clone->bridge = handle->bridge;

    const int error = vine_sender_clone(&clone->out, &handle->out);

    VINE_ASSERT(error == 0);
    (void)vine__fetch_add_relaxed_u32(&handle->bridge->handles, 1);
    *ret_clone = clone;
    return 0;
}

int vine_bridge_clone_receive(struct vine_bridge_receive *handle,
                              struct vine_bridge_receive **ret_clone)
{
    struct vine_bridge_receive *clone;

    if (!handle->bridge->is_locked || handle->in.kind != VINE_RING_MPMC)
        return -EINVAL;
    clone = calloc(1, sizeof *clone);
    if (clone == NULL)
        return -ENOMEM;
    clone->bridge = handle->bridge;

    const int error = vine_receiver_clone(&clone->in, &handle->in);

    VINE_ASSERT(error == 0);
    (void)vine__fetch_add_relaxed_u32(&handle->bridge->handles, 1);
    (void)vine__fetch_add_relaxed_u32(&handle->bridge->receivers, 1);
    *ret_clone = clone;
    return 0;
}

/* One handle less. Acquire and release: the last one sees what the others registered. */
static void let_go(struct vine__bridge *bridge)
{
    if (vine__fetch_sub_acq_rel_u32(&bridge->handles, 1) != 1)
        return;
    vine__bridge_end(bridge, -VINE_ECLOSED);
    (void)vine__bridge_sweep(bridge, vine__bridge_over(bridge));
    free_bridge(bridge);
}

void vine_bridge_close_submit(struct vine_bridge_submit *handle)
{
    if (handle == NULL)
        return;
    let_go(handle->bridge);
    free(handle);
}

void vine_bridge_close_receive(struct vine_bridge_receive *handle)
{
    if (handle == NULL)
        return;
    VINE_ASSERT(!handle->is_calling);
    handle->is_calling = true; /* for good: both sweeps call */
    if (vine__fetch_sub_acq_rel_u32(&handle->bridge->receivers, 1) == 1) {
        vine__bridge_end(handle->bridge, -VINE_ECLOSED);
        (void)vine__bridge_sweep(handle->bridge, vine__bridge_over(handle->bridge));
    }
    let_go(handle->bridge);
    free(handle);
}
