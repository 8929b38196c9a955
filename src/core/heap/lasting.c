/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that stay until they are freed. */
#include "core/heap/heap_internal.h"

#include "core/heap/poison.h"

#include <string.h>

#define TRIES_MAX 8U /* blocks of a class that are looked at before larger ones are */

/* Cut a block off the end of the stack's segment, if there is room. Returns it, or 0. */
VINE__INSIDE static uint32_t cut_off(struct vine__heap_head *head, uint32_t size)
{
    vine__heap_extend_segment(head);

    const uint32_t end = segment_end(head);

    if (end - head->top < size)
        return 0;
    VINE__HEAP_SHOW(block_at(head, end - size), HEADER);
    set_size(head, head->segment, end - size - head->segment, USED | SEGMENT);
    set_size(head, end - size, size, USED);
    return end - size;
}

/* What there is, or comes with more pages. Returns a block in use, or 0. */
VINE__INSIDE static uint32_t find_block(struct vine__heap_head *head, uint32_t size)
{
    uint32_t place = vine__heap_find_free(head, size, TRIES_MAX);

    if (place != 0) {
        vine__heap_take_free(head, place, size, 0);
        return place;
    }
    return cut_off(head, size);
}

VINE__INSIDE void *vine__heap_alloc_raw(struct vine__heap_head *head, size_t size_bytes)
{
    if (size_bytes > VINE__HEAP_BYTES_MAX) {
        vine__heap_refuse(head, size_bytes, (uint64_t)head->size_bytes + size_bytes);
        return NULL;
    }

    const uint32_t size = round_up((uint32_t)size_bytes + HEADER);
    uint32_t place = find_block(head, size);

    if (place == 0) {
        const uint32_t room = vine__heap_room_at_end(head);

        /* All of its own class are looked at before there is said to be nothing. */
        place = vine__heap_find_free(head, size, UINT32_MAX);
        if (place != 0)
            vine__heap_take_free(head, place, size, 0);
        else if (vine__heap_grow_by(head, (uint32_t)size_bytes, size > room ? size - room : 0))
            place = find_block(head, size);
        if (place == 0)
            return NULL;
    }

    unsigned char *const memory = (unsigned char *)block_at(head, place) + HEADER;

    VINE__HEAP_LEND(memory, size_bytes);
    return memory;
}

VINE__INSIDE void *vine__heap_alloc(struct vine__heap_head *head, size_t size_bytes)
{
    void *const memory = vine__heap_alloc_raw(head, size_bytes);

    if (memory != NULL)
        memset(memory, 0, size_bytes);
    return memory;
}

VINE__INSIDE void vine__heap_free(struct vine__heap_head *head, void *memory)
{
    const uintptr_t at = (uintptr_t)memory - (uintptr_t)head;

    if (memory == NULL)
        return;
    VINE__INSIDE_CHECK(at % GRAIN == 0 && at >= head->head_bytes && at < head->size_bytes);

    const uint32_t place = (uint32_t)at - HEADER;
    const struct vine__heap_block *const block = block_at(head, place);
    const uint32_t size = size_of(block);

    VINE__INSIDE_CHECK((block->size & FLAGS) == USED && size >= BLOCK_MIN &&
                       size <= end_place(head) - place &&
                       block_at(head, place + size)->before == size);
    VINE__HEAP_HIDE(memory, size - HEADER);
    vine__heap_block_free(head, place);
}
