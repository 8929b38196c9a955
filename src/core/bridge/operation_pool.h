/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/bridge/operation_pool.h - pending operations by id, found again by their completions.
 *
 * Owns:     the operations' memory, in slabs that stay until the pool ends.
 * Threads:  one at a time takes; one at a time finds; any thread gives back, and cheaper if it is
 *           the one that takes. These may be three different threads. No locks.
 * Blocking: never; taking may allocate a slab.
 * Trust:    an id came back through shared memory: late, duplicate, unknown and forged ones find
 *           nothing.
 * Limits:   VINE__OPERATION_SLABS slabs of VINE__OPERATIONS_A_SLAB operations.
 *
 * An id is index (low half) and generation (high half). The generation is raised at each taking, so
 * that an id names one use of an operation and a stale one finds nothing, until 2^32 uses later.
 */
#ifndef VINE_CORE_BRIDGE_OPERATION_POOL_H
#define VINE_CORE_BRIDGE_OPERATION_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#include "utils/atomic.h"

#define VINE__OPERATIONS_A_SLAB 64u
#define VINE__OPERATION_SLABS   64u
#define VINE__OPERATION_NONE    UINT32_MAX

enum vine__operation_state {
    VINE__OPERATION_FREE = 0,
    VINE__OPERATION_PENDING = 1, /* taken; its completion has not come */
    VINE__OPERATION_DONE = 2,    /* completed, still its owner's */
};

/* First in the user's struct. */
struct vine__operation {
    uint32_t index;
    uint32_t generation; /* written by the taker, before the id is handed out */
    uint32_t state;      /* enum vine__operation_state */
    uint32_t next_free;
};

struct vine__operation_pool {
    size_t operation_bytes; /* of the user's struct */
    uint32_t count;         /* in all slabs; published with release */
    uint32_t count_max;
    uint32_t free_taker;  /* the taker's own list */
    uint32_t free_shared; /* where others give back; a stack that the taker empties whole */
    unsigned char *slabs[VINE__OPERATION_SLABS];
};

/* `operation_bytes` is a multiple of 64. Returns nothing that can fail: slabs come later. */
void vine__operation_pool_init(struct vine__operation_pool *pool, size_t operation_bytes,
                               uint32_t count_max);
void vine__operation_pool_fini(struct vine__operation_pool *pool);

/* Slow half of taking. */
struct vine__operation *vine__operation_take_slow(struct vine__operation_pool *pool);

VINE__ALWAYS_INLINE struct vine__operation *
vine__operation_at(const struct vine__operation_pool *pool, uint32_t index)
{
    return (struct vine__operation *)(void *)(pool->slabs[index / VINE__OPERATIONS_A_SLAB] +
                                              (index % VINE__OPERATIONS_A_SLAB) *
                                                  pool->operation_bytes);
}

VINE__ALWAYS_INLINE uint64_t vine__operation_id(const struct vine__operation *operation)
{
    return (uint64_t)operation->generation << 32 | operation->index;
}

/* A free operation, now pending under a new id; NULL if all are in use. The taker's thread. */
VINE__ALWAYS_INLINE struct vine__operation *vine__operation_take(struct vine__operation_pool *pool)
{
    if (pool->free_taker == VINE__OPERATION_NONE)
        return vine__operation_take_slow(pool);

    struct vine__operation *operation = vine__operation_at(pool, pool->free_taker);

    pool->free_taker = operation->next_free;
    /* Atomic for the finder, who may be sent after it by an id that was guessed. */
    vine__store_relaxed_u32(&operation->generation, operation->generation + 1);
    vine__store_relaxed_u32(&operation->state, VINE__OPERATION_PENDING);
    return operation;
}

/* The pending operation that `id` names, or NULL. The finder's thread. */
VINE__ALWAYS_INLINE struct vine__operation *
vine__operation_find(const struct vine__operation_pool *pool, uint64_t id)
{
    const uint32_t index = (uint32_t)id;

    if (index >= vine__load_acquire_u32(&pool->count))
        return NULL;

    struct vine__operation *operation = vine__operation_at(pool, index);

    if (vine__load_acquire_u32(&operation->state) != VINE__OPERATION_PENDING ||
        vine__load_relaxed_u32(&operation->generation) != (uint32_t)(id >> 32))
        return NULL;
    return operation;
}

/* Back to the free ones. Any thread; the operation is not pending. */
VINE__ALWAYS_INLINE void vine__operation_give(struct vine__operation_pool *pool,
                                              struct vine__operation *operation)
{
    const uint32_t index = operation->index;

    vine__store_relaxed_u32(&operation->state, VINE__OPERATION_FREE);

    uint32_t head = vine__load_relaxed_u32(&pool->free_shared);

    do
        vine__store_relaxed_u32(&operation->next_free, head);
    while (!vine__compare_exchange_acq_rel_u32(&pool->free_shared, &head, index));
}

/* The same by the taker's thread: nobody else has to know, so that it needs no exchange. */
VINE__ALWAYS_INLINE void vine__operation_give_own(struct vine__operation_pool *pool,
                                                  struct vine__operation *operation)
{
    vine__store_relaxed_u32(&operation->state, VINE__OPERATION_FREE);
    operation->next_free = pool->free_taker;
    pool->free_taker = operation->index;
}

#endif
