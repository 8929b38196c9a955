/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks with boundary tags (Knuth's), free ones in lists by powers of two, and the pages that come
 * at the end.
 */
#include "core/heap/heap_internal.h"

#include "core/heap/poison.h"

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
VINE__INSIDE uint32_t vine__heap_find_free(const struct vine__heap_head *head, uint32_t size,
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

/* What becomes free joins its neighbours; the stack's segment takes what lies behind it. */
VINE__INSIDE void vine__heap_block_free(struct vine__heap_head *head, uint32_t place)
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
VINE__INSIDE void vine__heap_extend_segment(struct vine__heap_head *head)
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

/* Take a free block, and give back what is too much of it; but a segment takes it whole. */
VINE__INSIDE void vine__heap_take_free(struct vine__heap_head *head, uint32_t place, uint32_t size,
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
    vine__heap_block_free(head, end);
}

/* Outside: the gate has taken the runtime's rights. The region says which heap it is; how much is
 * asked for comes from inside. */
static int grow_through_gate(struct vine__guard_region *region, uintptr_t size_bytes)
{
    return vine__heap_grow((struct vine__heap *)region, size_bytes);
}

VINE__INSIDE void vine__heap_refuse(struct vine__heap_head *head, uint64_t asked_bytes,
                                    uint64_t wanted_bytes)
{
    const uint64_t pages = wanted_bytes / PAGE_BYTES + (wanted_bytes % PAGE_BYTES != 0);

    head->refused_bytes = asked_bytes < UINT32_MAX ? (uint32_t)asked_bytes : UINT32_MAX;
    head->refused_pages = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* `bytes` were asked for, and `missing` more have to be at the heap's end. Returns whether they
 * are. */
VINE__INSIDE bool vine__heap_grow_by(struct vine__heap_head *head, uint32_t bytes, uint32_t missing)
{
    const uint64_t wanted =
        ((uint64_t)head->size_bytes + missing + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    if (wanted <= head->limit_bytes &&
        vine__guard_gate(grow_through_gate, (uintptr_t)wanted) == 0) {
        take_pages(head, (uint32_t)wanted);
        return true;
    }
    vine__heap_refuse(head, bytes, wanted);
    return false;
}

/* What is at the heap's end already: a free block, or the room of the stack's segment. */
VINE__INSIDE uint32_t vine__heap_room_at_end(const struct vine__heap_head *head)
{
    const uint32_t last = end_place(head) - block_at(head, end_place(head))->before;
    const struct vine__heap_block *const block = block_at(head, last);

    if (last == head->segment)
        return segment_end(head) - head->top;
    return (block->size & USED) == 0 ? block->size : 0;
}
