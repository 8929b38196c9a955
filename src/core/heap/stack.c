/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in the order opposite to that in which it came, in one segment or several. */
#include "core/heap/heap_internal.h"

#include "core/heap/poison.h"

#include <string.h>

/* Go on in a block that holds so many bytes. Returns whether there is one. */
VINE__INSIDE static bool begin_segment(struct vine__heap_head *head, uint32_t asked, uint32_t bytes)
{
    const uint32_t size = HEADER + (uint32_t)sizeof(struct vine__heap_segment) + bytes + HEADER;
    uint32_t place = vine__heap_find_free(head, size, UINT32_MAX);

    if (place == 0) {
        const uint32_t room = vine__heap_room_at_end(head);

        if (!vine__heap_grow_by(head, asked, size > room ? size - room : 0))
            return false;
        place = vine__heap_find_free(head, size, UINT32_MAX);
        if (place == 0)
            return false;
    }
    vine__heap_take_free(head, place, size, SEGMENT);

    struct vine__heap_segment *const segment =
        (struct vine__heap_segment *)((uintptr_t)block_at(head, place) + HEADER);

    VINE__HEAP_SHOW(segment, sizeof(*segment));
    *segment = (struct vine__heap_segment){.before = head->segment, .top = head->top};
    head->segment = place;
    head->top = place + HEADER + (uint32_t)sizeof(*segment);
    return true;
}

/* The stack's segment has no room for so many bytes. Returns whether there is now. */
VINE__INSIDE static bool make_room(struct vine__heap_head *head, uint32_t asked, uint32_t bytes)
{
    vine__heap_extend_segment(head);

    const uint32_t end = segment_end(head);

    if (end - head->top >= bytes)
        return true;
    if (end == end_place(head))
        return vine__heap_grow_by(head, asked, bytes - (end - head->top));
    return begin_segment(head, asked, bytes);
}

VINE__INSIDE void *vine__heap_push_raw(struct vine__heap_head *head, size_t size_bytes)
{
    if (size_bytes > VINE__HEAP_BYTES_MAX) {
        vine__heap_refuse(head, size_bytes, (uint64_t)head->size_bytes + size_bytes);
        return NULL;
    }

    const uint32_t bytes = round_up((uint32_t)size_bytes);

    if (segment_end(head) - head->top < bytes && !make_room(head, (uint32_t)size_bytes, bytes))
        return NULL;

    void *const memory = (unsigned char *)head + head->top;

    head->top += bytes;
    VINE__HEAP_LEND(memory, size_bytes);
    return memory;
}

VINE__INSIDE void *vine__heap_push(struct vine__heap_head *head, size_t size_bytes)
{
    void *const memory = vine__heap_push_raw(head, size_bytes);

    if (memory != NULL)
        memset(memory, 0, size_bytes);
    return memory;
}

VINE__INSIDE uint32_t vine__heap_mark(const struct vine__heap_head *head)
{
    return head->top;
}

VINE__INSIDE void vine__heap_release(struct vine__heap_head *head, uint32_t mark)
{
    /* A segment's place is behind what was pushed before only where it happens to be: whose mark it
     * is, is whose block it lies in. */
    while (mark < head->segment || mark > head->top) {
        const uint32_t place = head->segment;
        const struct vine__heap_segment segment =
            *(struct vine__heap_segment *)((uintptr_t)block_at(head, place) + HEADER);

        VINE__INSIDE_CHECK(place != first_place(head));
        VINE__INSIDE_CHECK(segment.before % GRAIN == HEADER &&
                           segment.before >= first_place(head) &&
                           segment.before < end_place(head) && segment.top <= end_place(head));
        VINE__HEAP_HIDE((unsigned char *)head + place + HEADER, head->top - place - HEADER);
        head->segment = segment.before;
        head->top = segment.top;
        block_at(head, place)->size &= ~SEGMENT;
        vine__heap_block_free(head, place);
    }
    VINE__INSIDE_CHECK(mark % GRAIN == 0);
    VINE__HEAP_HIDE((unsigned char *)head + mark, head->top - mark);
    head->top = mark;
}
