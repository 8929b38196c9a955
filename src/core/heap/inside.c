/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory within a heap. Blocks with boundary tags (Knuth's) from the head to the end, free ones in
 * lists by powers of two. The stack is a block, too, at whose end others are cut off while it has
 * room, and which takes the heap's new pages when it is the last one; where it can go no further it
 * goes on in another block, which goes back when all that was pushed there has been released. So a
 * heap of one page holds a stack and lasting blocks without a border between them that somebody
 * would have to choose.
 *
 *     head | block | block | ... | block | end
 *          ^ a header of 8 bytes each, at 8 beyond a multiple of 16; the end is a header alone
 */
#include "core/heap/heap.h"

#include "core/heap/poison.h"
#include "utils/inside.h"

#include "core/heap/heap_internal.h"

#include <string.h>

#define TRIES_MAX 8U /* blocks of a class that are looked at before larger ones are */

VINE__INSIDE static struct vine__heap_block *block_at(const struct vine__heap_head *head,
                                                      uint32_t place)
{
    return (struct vine__heap_block *)((uintptr_t)head + place);
}

VINE__INSIDE static uint32_t size_of(const struct vine__heap_block *block)
{
    return block->size & ~FLAGS;
}

VINE__INSIDE static uint32_t round_up(uint32_t value)
{
    return (value + GRAIN - 1) & ~(GRAIN - 1);
}

/* The header of the first block, which is the stack's first segment. */
VINE__INSIDE static uint32_t first_place(const struct vine__heap_head *head)
{
    return round_up(head->head_bytes + HEADER) - HEADER;
}

VINE__INSIDE static uint32_t class_of(uint32_t size)
{
    return 31U - (uint32_t)__builtin_clz(size) - 4U;
}

VINE__INSIDE static uint32_t end_place(const struct vine__heap_head *head)
{
    return head->size_bytes - HEADER;
}

/* ---- lists of free blocks -------------------------------------------------------------------- */

VINE__INSIDE static void list_add(struct vine__heap_head *head, uint32_t place)
{
    struct vine__heap_block *const block = block_at(head, place);
    const uint32_t class = class_of(block->size);

    block->previous = 0;
    block->next = head->free[class];
    if (block->next != 0)
        block_at(head, block->next)->previous = place;
    head->free[class] = place;
    head->free_classes |= 1U << class;
}

VINE__INSIDE static void list_remove(struct vine__heap_head *head, uint32_t place)
{
    const struct vine__heap_block *const block = block_at(head, place);
    const uint32_t class = class_of(block->size);

    if (block->next != 0)
        block_at(head, block->next)->previous = block->previous;
    if (block->previous != 0)
        block_at(head, block->previous)->next = block->next;
    else
        head->free[class] = block->next;
    if (head->free[class] == 0)
        head->free_classes &= ~(1U << class);
}

/* Returns a block of that size at least, or 0. `tries`: how many of its own class are looked at. */
VINE__INSIDE static uint32_t list_find(const struct vine__heap_head *head, uint32_t size,
                                       uint32_t tries)
{
    const uint32_t class = class_of(size);
    const uint32_t larger = head->free_classes & ~((2U << class) - 1);
    uint32_t place = head->free[class];

    for (uint32_t n = 0; place != 0 && n < tries; n++) {
        if (block_at(head, place)->size >= size)
            return place;
        place = block_at(head, place)->next;
    }
    return larger != 0 ? head->free[__builtin_ctz(larger)] : 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

VINE__INSIDE static void set_size(struct vine__heap_head *head, uint32_t place, uint32_t size,
                                  uint32_t flags)
{
    block_at(head, place)->size = size | flags;
    block_at(head, place + size)->before = size;
}

/* What becomes free joins its neighbours; the stack's segment takes what lies behind it. */
VINE__INSIDE static void become_free(struct vine__heap_head *head, uint32_t place)
{
    struct vine__heap_block *block = block_at(head, place);
    uint32_t size = size_of(block);
    const struct vine__heap_block *const after = block_at(head, place + size);

    VINE__HEAP_SHOW(block, sizeof(*block));
    if ((after->size & USED) == 0) {
        list_remove(head, place + size);
        size += after->size;
    }
    if (block->before != 0) {
        const uint32_t before = place - block->before;

        if (before == head->segment) {
            VINE__HEAP_HIDE(block, size);
            set_size(head, before, size_of(block_at(head, before)) + size, USED | SEGMENT);
            return;
        }
        if ((block_at(head, before)->size & USED) == 0) {
            list_remove(head, before);
            size += block->before;
            place = before;
        }
    }
    set_size(head, place, size, 0);
    list_add(head, place);
    VINE__HEAP_HIDE(block_at(head, place) + 1, size - sizeof(struct vine__heap_block));
}

/* Whether the block behind the stack's segment is free: it is the segment's then. */
VINE__INSIDE static void extend_segment(struct vine__heap_head *head)
{
    const uint32_t size = size_of(block_at(head, head->segment));
    const uint32_t after = head->segment + size;
    const uint32_t after_size = block_at(head, after)->size;

    if ((after_size & USED) != 0)
        return;
    list_remove(head, after);
    VINE__HEAP_HIDE(block_at(head, after), sizeof(struct vine__heap_block));
    set_size(head, head->segment, size + after_size, USED | SEGMENT);
}

VINE__INSIDE static uint32_t segment_end(const struct vine__heap_head *head)
{
    return head->segment + size_of(block_at(head, head->segment));
}

/* ---- growing --------------------------------------------------------------------------------- */

/* The heap has become larger: what was the end is a block of it now. */
VINE__INSIDE static void take_pages(struct vine__heap_head *head, uint32_t size_bytes)
{
    const uint32_t end = end_place(head);
    const uint32_t more = size_bytes - head->size_bytes;

    VINE__HEAP_SHOW(block_at(head, end), more + HEADER);
    head->size_bytes = size_bytes;
    set_size(head, end, more, USED);
    block_at(head, end + more)->size = USED;
    become_free(head, end);
}

/* Outside: the gate has taken the runtime's rights. The region says which heap it is; how much is
 * asked for comes from inside. */
static int grow_through_gate(struct vine__guard_region *region, uintptr_t size_bytes)
{
    return vine__heap_grow((struct vine__heap *)region, size_bytes);
}

VINE__INSIDE static void refuse(struct vine__heap_head *head, uint64_t asked_bytes,
                                uint64_t wanted_bytes)
{
    const uint64_t pages = wanted_bytes / PAGE_BYTES + (wanted_bytes % PAGE_BYTES != 0);

    head->refused_bytes = asked_bytes < UINT32_MAX ? (uint32_t)asked_bytes : UINT32_MAX;
    head->refused_pages = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* `bytes` were asked for, and `missing` more have to be at the heap's end. Returns whether they
 * are. */
VINE__INSIDE static bool grow(struct vine__heap_head *head, uint32_t bytes, uint32_t missing)
{
    const uint64_t wanted =
        ((uint64_t)head->size_bytes + missing + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    if (wanted <= head->limit_bytes &&
        vine__guard_gate(grow_through_gate, (uintptr_t)wanted) == 0) {
        take_pages(head, (uint32_t)wanted);
        return true;
    }
    refuse(head, bytes, wanted);
    return false;
}

/* What is at the heap's end already: a free block, or the room of the stack's segment. */
VINE__INSIDE static uint32_t room_at_end(const struct vine__heap_head *head)
{
    const uint32_t last = end_place(head) - block_at(head, end_place(head))->before;
    const struct vine__heap_block *const block = block_at(head, last);

    if (last == head->segment)
        return segment_end(head) - head->top;
    return (block->size & USED) == 0 ? block->size : 0;
}

/* ---- lasting blocks -------------------------------------------------------------------------- */

/* Take a free block, and give back what is too much of it; but a segment takes it whole. */
VINE__INSIDE static void take_free(struct vine__heap_head *head, uint32_t place, uint32_t size,
                                   uint32_t flags)
{
    const uint32_t there = block_at(head, place)->size;

    list_remove(head, place);
    if (there - size < BLOCK_MIN || flags != 0) {
        set_size(head, place, there, USED | flags);
        return;
    }
    VINE__HEAP_SHOW(block_at(head, place + size), sizeof(struct vine__heap_block));
    set_size(head, place, size, USED);
    set_size(head, place + size, there - size, 0);
    list_add(head, place + size);
}

/* Cut a block off the end of the stack's segment, if there is room. Returns it, or 0. */
VINE__INSIDE static uint32_t cut_off(struct vine__heap_head *head, uint32_t size)
{
    extend_segment(head);

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
    uint32_t place = list_find(head, size, TRIES_MAX);

    if (place != 0) {
        take_free(head, place, size, 0);
        return place;
    }
    return cut_off(head, size);
}

VINE__INSIDE void *vine__heap_alloc_raw(struct vine__heap_head *head, size_t size_bytes)
{
    if (size_bytes > VINE__HEAP_BYTES_MAX) {
        refuse(head, size_bytes, (uint64_t)head->size_bytes + size_bytes);
        return NULL;
    }

    const uint32_t size = round_up((uint32_t)size_bytes + HEADER);
    uint32_t place = find_block(head, size);

    if (place == 0) {
        const uint32_t room = room_at_end(head);

        /* All of its own class are looked at before there is said to be nothing. */
        place = list_find(head, size, UINT32_MAX);
        if (place != 0)
            take_free(head, place, size, 0);
        else if (grow(head, (uint32_t)size_bytes, size > room ? size - room : 0))
            place = find_block(head, size);
        if (place == 0)
            return NULL;
    }

    unsigned char *const memory = (unsigned char *)block_at(head, place) + HEADER;

    VINE__HEAP_SHOW(memory, size_bytes);
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
    become_free(head, place);
}

/* ---- the stack ------------------------------------------------------------------------------- */

/* Go on in a block that holds so many bytes. Returns whether there is one. */
VINE__INSIDE static bool begin_segment(struct vine__heap_head *head, uint32_t asked, uint32_t bytes)
{
    const uint32_t size = HEADER + (uint32_t)sizeof(struct vine__heap_segment) + bytes + HEADER;
    uint32_t place = list_find(head, size, UINT32_MAX);

    if (place == 0) {
        const uint32_t room = room_at_end(head);

        if (!grow(head, asked, size > room ? size - room : 0))
            return false;
        place = list_find(head, size, UINT32_MAX);
        if (place == 0)
            return false;
    }
    take_free(head, place, size, SEGMENT);

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
    extend_segment(head);

    const uint32_t end = segment_end(head);

    if (end - head->top >= bytes)
        return true;
    if (end == end_place(head))
        return grow(head, asked, bytes - (end - head->top));
    return begin_segment(head, asked, bytes);
}

VINE__INSIDE void *vine__heap_push_raw(struct vine__heap_head *head, size_t size_bytes)
{
    if (size_bytes > VINE__HEAP_BYTES_MAX) {
        refuse(head, size_bytes, (uint64_t)head->size_bytes + size_bytes);
        return NULL;
    }

    const uint32_t bytes = round_up((uint32_t)size_bytes);

    if (segment_end(head) - head->top < bytes && !make_room(head, (uint32_t)size_bytes, bytes))
        return NULL;

    void *const memory = (unsigned char *)head + head->top;

    head->top += bytes;
    VINE__HEAP_SHOW(memory, size_bytes);
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
        become_free(head, place);
    }
    VINE__INSIDE_CHECK(mark % GRAIN == 0);
    VINE__HEAP_HIDE((unsigned char *)head + mark, head->top - mark);
    head->top = mark;
}

/* ---- its beginning, and what there is to say ------------------------------------------------- */

VINE__INSIDE void vine__heap_begin(struct vine__heap_head *head, uint32_t head_bytes,
                                   uint32_t size_bytes, uint32_t limit_bytes)
{
    memset(head, 0, sizeof(*head));
    head->magic = VINE__HEAP_MAGIC;
    head->head_bytes = head_bytes;
    head->size_bytes = size_bytes;
    head->limit_bytes = limit_bytes;
    head->segment = first_place(head);
    head->top = head->segment + HEADER;
    set_size(head, head->segment, end_place(head) - head->segment, USED | SEGMENT);
    block_at(head, end_place(head))->size = USED;
    VINE__HEAP_HIDE((unsigned char *)head + head->top, end_place(head) - head->top);
}

VINE__INSIDE static char *put_text(char *at, const char *text)
{
    while (*text != '\0')
        *at++ = *text++;
    return at;
}

VINE__INSIDE static char *put_number(char *at, uint32_t value)
{
    char digits[10];
    uint32_t count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

VINE__INSIDE void vine__heap_explain(const struct vine__heap_head *head,
                                     char ret_text[VINE__HEAP_WHY_BYTES])
{
    const uint32_t pages = head->refused_pages;
    char *at = ret_text;

    if (pages != 0) {
        at = put_number(put_text(at, "heap of "), head->size_bytes / PAGE_BYTES);
        at = put_number(put_text(at, " pages: "), head->refused_bytes);
        at = put_number(put_text(at, " bytes more would need "), pages);
        at = put_number(put_text(at, " pages, and "), head->limit_bytes / PAGE_BYTES);
        at = put_text(at, " are allowed");
    }
    *at = '\0';
}
