/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks by the arena's own functions, and what happens when there is no room. */
#include "core/arena/blocks_inline.h"

void *vine__arena_alloc(size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    return vine__block_alloc(thread, thread->heap, 1, SIZE_MAX, size);
}

void *vine__arena_alloc_zeroed(size_t count, size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    /* SIZE_MAX means another thing to the function, and no block has so many parts. */
    if (count == SIZE_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return vine__block_alloc(thread, thread->heap, 1, count, size);
}

void *vine__arena_alloc_aligned(size_t alignment, size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    if (alignment <= 1)
        return vine__block_alloc(thread, thread->heap, 1, SIZE_MAX, size);
    return vine__block_alloc(thread, thread->heap, alignment, SIZE_MAX, size);
}

/* A block of another arena, or of none, moves into this one as soon as it has to move. */
void *vine__block_realloc(struct vine__arena_thread *thread, mi_heap_t *heap, void *block,
                          size_t size)
{
    if (block == NULL)
        return vine__block_alloc(thread, heap, 1, SIZE_MAX, size);

    const size_t usable = vine__block_usable(block);

    /* It stays where it is if it is big enough and not far too big, whoever's it is. */
    if (size <= usable && size >= usable / 2 && size > 0)
        return block;

    void *const moved = vine__block_alloc(thread, heap, 1, SIZE_MAX, size);

    if (moved == NULL)
        return NULL;
    memcpy(moved, block, size < usable ? size : usable);
    vine__block_free(thread, block);
    return moved;
}

void *vine__arena_realloc(void *block, size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    return vine__block_realloc(thread, thread->heap, block, size);
}

void vine__arena_free(void *block)
{
    vine__block_free(&vine__arena_thread, block);
}

size_t vine__arena_usable(const void *block)
{
    return vine__block_usable(block);
}

/* Blocks that others have freed are room too, but only once they are home. */
bool vine__arena_found_more(struct vine__arena_thread *thread, mi_heap_t *heap)
{
    if (heap == NULL)
        return false;

    const uint64_t received = thread->arena->received;

    vine__arena_take_all(thread->arena);
    return thread->arena->received != received;
}

void *vine__arena_give_up(struct vine__arena_thread *thread, mi_heap_t *heap, size_t size)
{
    struct vine__arena *const arena = thread->arena;

    if (heap != NULL) {
        vine__arena_count(&arena->failures, 1);
        /* Who goes on asking does not have all pages walked over each time. */
        if ((arena->failures & (arena->failures - 1)) == 0)
            vine__arena_measure();
        if (arena->exhausted != NULL && !thread->is_telling) {
            thread->is_telling = true;
            arena->exhausted(arena->exhausted_context, arena, size);
            thread->is_telling = false;
        }
        VINE_ASSERT(!arena->abort_on_exhaustion);
    }
    errno = ENOMEM;
    return NULL;
}
