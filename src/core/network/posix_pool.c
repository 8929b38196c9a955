/* SPDX-License-Identifier: Apache-2.0 */
#include "core/network/posix_internal.h"

#include <errno.h>
#include <stdlib.h>

static int add_extent(struct posix_pool *pool)
{
    const uint32_t at = pool->extent_count;
    struct posix_extent *const extent = &pool->extents[at];

    if (at == POSIX_EXTENTS_MAX)
        return -ENOBUFS;
    extent->count = POSIX_BUFFERS_FIRST << (at == 0 ? 0 : at - 1);
    extent->used = 0;
    extent->held = calloc(extent->count, sizeof(*extent->held));
    if (extent->held == NULL)
        return -ENOMEM;
    const int error = vine__poller_buffers_create(pool->network->poller, extent->count,
                                                  POSIX_BUFFER_BYTES, &extent->buffers);

    if (error != 0) {
        free(extent->held);
        return error;
    }
    pool->extent_count++;
    pool->network->counts.buffers += extent->count;
    return 0;
}

int vine__posix_pool_open(struct posix_pool *pool, struct vine__network *network)
{
    pool->network = network;
    vine__list_init(&pool->waiting);
    return add_extent(pool);
}

void vine__posix_pool_close(struct posix_pool *pool)
{
    VINE_ASSERT(pool->used == 0 && vine__list_is_empty(&pool->waiting));
    for (uint32_t i = 0; i < pool->extent_count; i++) {
        vine__poller_buffers_destroy(pool->network->poller, pool->extents[i].buffers);
        free(pool->extents[i].held);
    }
    pool->extent_count = 0;
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
        return -ENOBUFS;
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
