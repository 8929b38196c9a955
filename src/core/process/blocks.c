/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/blocks.c - memory of a core that those inside use too: the dispatch record, which
 * they read, and blocks of their colour, which they write into. */

#include <errno.h>

#include "arch/guard/closed.h"
#include "core/process/process_internal.h"

#define BLOCKS_AT_ONCE 64U

/* ---- the record ------------------------------------------------------------------------------ */

int vine__record_create(struct processes *core)
{
    const struct vine__reservation_options options = {
        .size_bytes =
            (sizeof(struct page) + VINE__PAGE_BYTES - 1) / VINE__PAGE_BYTES * VINE__PAGE_BYTES,
        .alignment_bytes = VINE__PAGE_BYTES,
        .node = VINE__RESERVATION_NODE_ANY,
    };
    int error = vine__reservation_open(&options, &core->page_memory, NULL);

    if (error != 0)
        return error;
    core->page = (struct page *)(void *)core->page_memory.base;
    return vine__guard_paint_record(core->page_memory.base, core->page_memory.size_bytes);
}

void vine__record_destroy(struct processes *core)
{
    vine__reservation_close(&core->page_memory);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Some more of them, which lie side by side. */
struct chunk {
    struct chunk *next;
    struct vine__reservation memory;
};

static int grow(struct blocks *blocks)
{
    const struct vine__reservation_options options = {
        .size_bytes = (uint64_t)BLOCKS_AT_ONCE * VINE__BLOCK_BYTES,
        .alignment_bytes = VINE__PAGE_BYTES,
        .node = VINE__RESERVATION_NODE_ANY,
    };
    struct chunk *const chunk = vine__closed_alloc(sizeof(*chunk));
    unsigned char **const free_list =
        vine__closed_grow(blocks->free, blocks->count * sizeof(*free_list),
                          (blocks->count + BLOCKS_AT_ONCE) * sizeof(*free_list));

    if (free_list != NULL)
        blocks->free = free_list;
    if (chunk == NULL || free_list == NULL ||
        vine__reservation_open(&options, &chunk->memory, NULL) != 0) {
        vine__closed_free(chunk);
        return -ENOMEM;
    }
    if (vine__guard_paint(chunk->memory.base, chunk->memory.size_bytes, blocks->colour) != 0) {
        vine__reservation_close(&chunk->memory);
        vine__closed_free(chunk);
        return -ENOMEM;
    }
    chunk->next = blocks->chunks;
    blocks->chunks = chunk;
    /* The lowest is taken first. */
    for (uint32_t i = BLOCKS_AT_ONCE; i-- > 0;)
        blocks->free[blocks->free_count++] = chunk->memory.base + (size_t)i * VINE__BLOCK_BYTES;
    blocks->count += BLOCKS_AT_ONCE;
    return 0;
}

unsigned char *vine__block_take(struct blocks *blocks)
{
    if (blocks->free_count == 0 && grow(blocks) != 0)
        return NULL;
    return blocks->free[--blocks->free_count];
}

void vine__block_give(struct blocks *blocks, unsigned char *block)
{
    blocks->free[blocks->free_count++] = block;
}

void vine__blocks_fini(struct blocks *blocks)
{
    while (blocks->chunks != NULL) {
        struct chunk *const chunk = blocks->chunks;

        blocks->chunks = chunk->next;
        vine__reservation_close(&chunk->memory);
        vine__closed_free(chunk);
    }
    vine__closed_free(blocks->free);
}
