/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/arena/blocks_inline.h - allocating and freeing, as the arena's functions and as malloc do
 * it.
 *
 * A heap is an arena's, or NULL for the thread's own of mimalloc's, which stands for no arena.
 */
#ifndef VINE_CORE_ARENA_BLOCKS_INLINE_H
#define VINE_CORE_ARENA_BLOCKS_INLINE_H

#include "core/arena/arena_internal.h"

#include <errno.h>
#include <string.h>

/* Each caller says by constants what it wants, and keeps one of these calls. */
VINE__ALWAYS_INLINE void *vine__block_raw(mi_heap_t *heap, size_t alignment, size_t count,
                                          size_t size)
{
    if (VINE__UNLIKELY(heap == NULL))
        return vine__foreign_alloc(alignment, count, size);
    if (alignment > 1)
        return mi_heap_malloc_aligned(heap, size, alignment);
    if (count != SIZE_MAX)
        return mi_heap_calloc(heap, count, size);
    return mi_heap_malloc(heap, size);
}

/* `alignment` 1: any; `count` SIZE_MAX: one block, not zeroed. */
VINE__ALWAYS_INLINE void *vine__block_alloc(struct vine__arena_thread *thread, mi_heap_t *heap,
                                            size_t alignment, size_t count, size_t size)
{
    if (VINE__UNLIKELY((thread->fail_left | vine__load_relaxed_u32(&vine__arena_fail_armed)) !=
                       0) &&
        vine__arena_fails_now())
        return NULL;

    void *block = vine__block_raw(heap, alignment, count, size);

    if (VINE__UNLIKELY(block == NULL)) {
        if (vine__arena_found_more(thread, heap))
            block = vine__block_raw(heap, alignment, count, size);
        if (block == NULL)
            return vine__arena_give_up(thread, heap, size);
    }
    if (heap != NULL)
        vine__arena_count(&thread->arena->allocations, 1);
    return block;
}

VINE__ALWAYS_INLINE void vine__block_free(struct vine__arena_thread *thread, void *block)
{
    const uint32_t place = vine__arena_place_of(block);

    if (place == 0) {
        vine__foreign_free(block);
    } else if (VINE__LIKELY(place == thread->place)) {
        vine__arena_count(&thread->arena->frees, 1);
        mi_free(block);
    } else {
        vine__arena_send(thread, place, block);
    }
}

VINE__ALWAYS_INLINE size_t vine__block_usable(const void *block)
{
    return vine__arena_place_of(block) == 0 ? vine__foreign_usable(block) : mi_usable_size(block);
}

/* blocks.c: as realloc does. */
void *vine__block_realloc(struct vine__arena_thread *thread, mi_heap_t *heap, void *block,
                          size_t size);

#endif
