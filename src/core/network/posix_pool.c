/* SPDX-License-Identifier: Apache-2.0 */
#include "core/network/posix_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/guard/guard.h"

/* Who runs in a heap reads buffers of its colour alone; those without one are read by the runtime,
 * and by a program's own functions, which have its rights. */
static int paint(const struct posix_pool *pool, const struct posix_extent *extent)
{
    size_t ring_bytes, bytes;
    unsigned char *const ring = vine__poll_buffers_ring(extent->buffers, &ring_bytes);
    unsigned char *const buffers = vine__poll_buffers_bytes(extent->buffers, &bytes);
    int error = vine__guard_paint_runtime(ring, ring_bytes);

    if (error == 0 && pool->colour == VINE__CONNECTION_UNCOLOURED)
        error = vine__guard_paint_runtime(buffers, bytes);
    else if (error == 0)
        error = vine__guard_paint(buffers, bytes, pool->colour);
    return error;
}

static int add_extent(struct posix_pool *pool)
{
    const uint32_t at = pool->extent_count;
    struct posix_extent *const extent = &pool->extents[at];

    if (at == pool->extents_max)
        return -ENOBUFS;
    extent->count = pool->first << (at == 0 ? 0 : at - 1);
    extent->used = 0;
    extent->held = vine__closed_alloc(extent->count * sizeof(*extent->held));
    if (extent->held == NULL)
        return -ENOMEM;
    int error = vine__poller_buffers_create(pool->network->poller, extent->count,
                                            POSIX_BUFFER_BYTES, &extent->buffers);

    if (error == 0) {
        error = paint(pool, extent);
        if (error != 0)
            vine__poller_buffers_destroy(pool->network->poller, extent->buffers);
    }
    if (error != 0) {
        vine__closed_free(extent->held);
        return error;
    }
    pool->extent_count++;
    pool->network->counts.buffers += extent->count;
    return 0;
}

static void init(struct posix_pool *pool, struct vine__network *network, uint8_t colour)
{
    const bool is_plain = colour == VINE__CONNECTION_UNCOLOURED;

    pool->network = network;
    pool->colour = colour;
    pool->first = is_plain ? POSIX_BUFFERS_FIRST : POSIX_COLOUR_FIRST;
    pool->extents_max = is_plain ? POSIX_EXTENTS_MAX : POSIX_COLOUR_EXTENTS;
    vine__list_init(&pool->waiting);
}

int vine__posix_pools_open(struct posix_pools *pools, struct vine__network *network)
{
    init(&pools->plain, network, VINE__CONNECTION_UNCOLOURED);
    for (uint8_t colour = 0; colour < VINE__GUARD_COLOURS_MAX; colour++)
        init(&pools->coloured[colour], network, colour);
    return add_extent(&pools->plain);
}

static void close_pool(struct posix_pool *pool)
{
    VINE_ASSERT(pool->used == 0 && vine__list_is_empty(&pool->waiting));
    for (uint32_t i = 0; i < pool->extent_count; i++) {
        vine__poller_buffers_destroy(pool->network->poller, pool->extents[i].buffers);
        vine__closed_free(pool->extents[i].held);
    }
    pool->extent_count = 0;
}

void vine__posix_pools_close(struct posix_pools *pools)
{
    vine__posix_sendings_fini(pools);
    close_pool(&pools->plain);
    for (uint32_t colour = 0; colour < VINE__GUARD_COLOURS_MAX; colour++)
        close_pool(&pools->coloured[colour]);
}

uint64_t vine__posix_pools_used(const struct posix_pools *pools)
{
    uint64_t used = pools->plain.used;

    for (uint32_t colour = 0; colour < VINE__GUARD_COLOURS_MAX; colour++)
        used += pools->coloured[colour].used;
    return used;
}

void vine__posix_paint(struct vine_connection *base)
{
    struct posix_connection *const connection = vine__posix_of(base);
    struct posix_pools *const pools = base->network->state;

    VINE_ASSERT(connection->receiving == POSIX_RECEIVES_NOT && connection->held_count == 0 &&
                connection->view == POSIX_NO_BUFFER);
    /* What there was before the guard was chosen. Where the kernel has no mapping left for this it
     * stays as it is, and is open. */
    for (uint32_t i = 0; !pools->is_closed && i < pools->plain.extent_count; i++)
        (void)paint(&pools->plain, &pools->plain.extents[i]);
    pools->is_closed = true;
    connection->pool = &pools->coloured[base->colour];
}

int vine__posix_pool_choose(struct posix_pool *pool, uint32_t *ret_extent)
{
    for (uint32_t i = 0; i < pool->extent_count; i++) {
        if (pool->extents[i].used < pool->extents[i].count) {
            *ret_extent = i;
            return 0;
        }
    }
    if (add_extent(pool) != 0)
        return pool->used == 0 ? -ENOMEM : -ENOBUFS;
    *ret_extent = pool->extent_count - 1;
    return 0;
}

void vine__posix_release(struct posix_pool *pool, uint32_t buffer)
{
    struct posix_extent *const extent = &pool->extents[buffer >> 16];

    VINE_ASSERT_SLOW(extent->used > 0);
    vine__poll_buffer_release(extent->buffers, (uint16_t)buffer);
    extent->used--;
    pool->used--;
    struct vine__list *const node = vine__list_pop_front(&pool->waiting);

    if (node != NULL)
        vine__posix_receive_resume(VINE_LIST_OBJECT(node, struct posix_connection, waiting));
}
