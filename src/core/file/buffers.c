/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file/file_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/guard/closed.h"
#include "utils/bits.h"

#define COUNT_DEFAULT 32
#define BYTES_DEFAULT (128U * 1024)

/* Kept for operations that are not aligned: each needs one for a while, so that they go on whatever
 * the program has taken. */
#define KEPT 4

void vine__file_pool_init(struct vine__file_pool *pool, const struct vine__file_options *options)
{
    *pool = (struct vine__file_pool){
        .count = options->buffer_count != 0 ? options->buffer_count : COUNT_DEFAULT,
        .buffer_bytes = options->buffer_bytes != 0 ? options->buffer_bytes : BYTES_DEFAULT,
    };
    if (pool->count <= KEPT)
        pool->count = KEPT + 1;
}

void vine__file_pool_fini(struct vine__file_pool *pool)
{
    free(pool->bytes);
    vine__closed_free(pool->free);
    pool->bytes = NULL;
    pool->free = NULL;
}

int vine__file_pool_make(struct vine__file_core *core)
{
    struct vine__file_pool *const pool = &core->pool;
    const size_t bytes = (size_t)pool->count * pool->buffer_bytes;

    if (pool->bytes != NULL)
        return 0;
    pool->free = vine__closed_alloc(pool->count * sizeof(*pool->free));
    pool->bytes = aligned_alloc(VINE__FILE_BUFFER_ALIGN, bytes);
    if (pool->free == NULL || pool->bytes == NULL) {
        vine__file_pool_fini(pool);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < pool->count; i++)
        pool->free[i] = pool->count - 1 - i;
    pool->free_count = pool->count;
    if (core->has_queue) {
        const struct iovec all = {.iov_base = pool->bytes, .iov_len = bytes};

        /* Without: they are buffers like any others. */
        pool->is_registered = vine__poller_register_buffers(core->poller, &all, 1) == 0;
    }
    return 0;
}

static unsigned char *take(struct vine__file_pool *pool)
{
    return pool->bytes + (size_t)pool->free[--pool->free_count] * pool->buffer_bytes;
}

void *vine_file_buffer_get(void)
{
    struct vine__file_core *const core = vine__file_here();

    if (vine__file_pool_make(core) != 0 || core->pool.free_count <= KEPT)
        return NULL;
    return take(&core->pool);
}

size_t vine_file_buffer_size(void)
{
    return vine__file_here()->pool.buffer_bytes;
}

/* The first who waits gets it. */
static void put(struct vine__file_pool *pool, void *buffer)
{
    const size_t at = (size_t)((unsigned char *)buffer - pool->bytes);
    struct vine_file_op *const op = pool->waiting_first;

    VINE_ASSERT(at % pool->buffer_bytes == 0 && at / pool->buffer_bytes < pool->count);
    if (op == NULL) {
        VINE_ASSERT(pool->free_count < pool->count);
        pool->free[pool->free_count++] = (uint32_t)(at / pool->buffer_bytes);
        return;
    }
    pool->waiting_first = op->next;
    op->bounce = buffer;
    op->step(op);
}

void vine_file_buffer_put(void *buffer)
{
    put(&vine__file_here()->pool, buffer);
}

bool vine__file_bounce_take(struct vine_file_op *op)
{
    struct vine__file_pool *const pool = &vine__file_here()->pool;

    if (pool->free_count > 0) {
        op->bounce = take(pool);
        return true;
    }
    if (pool->waiting_first == NULL)
        pool->waiting_last = &pool->waiting_first;
    op->state = VINE__FILE_UNBUFFERED;
    op->next = NULL;
    *pool->waiting_last = op;
    pool->waiting_last = &op->next;
    return false;
}

void vine__file_bounce_release(struct vine_file_op *op)
{
    if (op->bounce == NULL)
        return;
    put(&vine__file_here()->pool, op->bounce);
    op->bounce = NULL;
}

void vine__file_bounce_stop_waiting(struct vine_file_op *op)
{
    struct vine__file_pool *const pool = &vine__file_here()->pool;
    struct vine_file_op **link = &pool->waiting_first;

    while (*link != op)
        link = &(*link)->next;
    *link = op->next;
    if (op->next == NULL)
        pool->waiting_last = link;
}
