/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bridge/operation_pool.h"

#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"

void vine__operation_pool_init(struct vine__operation_pool *pool, size_t operation_bytes,
                               uint32_t count_max)
{
    VINE_ASSERT(operation_bytes % VINE_CACHE_LINE == 0);
    VINE_ASSERT(count_max <= VINE__OPERATION_SLABS * VINE__OPERATIONS_A_SLAB);
    memset(pool, 0, sizeof *pool);
    pool->operation_bytes = operation_bytes;
    pool->count_max = count_max;
    pool->free_taker = VINE__OPERATION_NONE;
    pool->free_shared = VINE__OPERATION_NONE;
}

void vine__operation_pool_fini(struct vine__operation_pool *pool)
{
    for (uint32_t i = 0; i < VINE__OPERATION_SLABS; i++)
        free(pool->slabs[i]);
    memset(pool, 0, sizeof *pool);
}

/* One slab more, its operations on the taker's list. */
static int add_slab(struct vine__operation_pool *pool)
{
    const uint32_t first = pool->count;
    const size_t bytes = VINE__OPERATIONS_A_SLAB * pool->operation_bytes;

    if (first >= pool->count_max)
        return -1;

    unsigned char *slab = aligned_alloc(VINE_CACHE_LINE, bytes);

    if (slab == NULL)
        return -1;
    memset(slab, 0, bytes);
    pool->slabs[first / VINE__OPERATIONS_A_SLAB] = slab;
    for (uint32_t i = VINE__OPERATIONS_A_SLAB; i-- > 0;) {
        struct vine__operation *operation = vine__operation_at(pool, first + i);

        operation->index = first + i;
        operation->next_free = pool->free_taker;
        pool->free_taker = first + i;
    }
    /* Pairs with the acquire in vine__operation_find: the slab before the count that admits it. */
    vine__store_release_u32(&pool->count, first + VINE__OPERATIONS_A_SLAB);
    return 0;
}

struct vine__operation *vine__operation_take_slow(struct vine__operation_pool *pool)
{
    /* Acquire pairs with the giver's release: what it wrote is over. Taking the whole stack at once
     * leaves no room for an index that went away and came back (ABA). */
    pool->free_taker = vine__exchange_acq_rel_u32(&pool->free_shared, VINE__OPERATION_NONE);
    if (pool->free_taker == VINE__OPERATION_NONE && add_slab(pool) != 0)
        return NULL;
    return vine__operation_take(pool);
}
