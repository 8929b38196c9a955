/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/blocks.c - memory of a core that those inside of one colour write into. */

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/reservation/reservation.h"
#include "core/poll/poll_internal.h"

#define BLOCKS_AT_ONCE 64U
#define PAGE_BYTES     4096U

/* Some more of them, which lie side by side. */
struct vine__chunk {
    struct vine__chunk *next;
    struct vine__reservation memory;
};

static int grow(struct vine__blocks *blocks)
{
    const struct vine__reservation_options options = {
        .size_bytes = (uint64_t)BLOCKS_AT_ONCE * VINE__BLOCK_BYTES,
        .alignment_bytes = PAGE_BYTES,
        .node = VINE__RESERVATION_NODE_ANY,
    };
    struct vine__chunk *const chunk = vine__closed_alloc(sizeof(*chunk));
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

unsigned char *vine__block_take(struct vine__blocks *blocks)
{
    if (blocks->free_count == 0 && grow(blocks) != 0)
        return NULL;
    return blocks->free[--blocks->free_count];
}

void vine__block_give(struct vine__blocks *blocks, unsigned char *block)
{
    blocks->free[blocks->free_count++] = block;
}

void vine__blocks_fini(struct vine__blocks *blocks)
{
    while (blocks->chunks != NULL) {
        struct vine__chunk *const chunk = blocks->chunks;

        blocks->chunks = chunk->next;
        vine__reservation_close(&chunk->memory);
        vine__closed_free(chunk);
    }
    vine__closed_free(blocks->free);
}
