/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/heap/heap_internal.h - what lies in a heap behind its head.
 *
 * Blocks with boundary tags (Knuth's) from the head to the end, free ones in
 * lists by powers of two. The stack is a block, too, at whose end others are cut off while it has
 * room, and which takes the heap's new pages when it is the last one; where it can go no further it
 * goes on in another block, which goes back when all that was pushed there has been released. So a
 * heap of one page holds a stack and lasting blocks without a border between them that somebody
 * would have to choose.
 *
 *     head | block | block | ... | block | end
 *          ^ a header of 8 bytes each, at 8 beyond a multiple of 16; the end is a header alone
 */
#ifndef VINE_CORE_HEAP_HEAP_INTERNAL_H
#define VINE_CORE_HEAP_HEAP_INTERNAL_H

#include "core/heap/heap.h"
#include "utils/inside.h"

#define VINE__HEAP_MAGIC 0x70616568U /* "heap" */

/* In which heaps grow and tell their sizes; x86-64's, and a part of any other machine's. */
#define PAGE_BYTES 4096U

#define GRAIN     16U
#define HEADER    8U  /* of a block in use; at 8 beyond a multiple of 16 */
#define BLOCK_MIN 16U /* of a free one, with its links */

/* Flags in the lower bits of a block's size. */
#define USED    1U
#define SEGMENT 2U /* it is the stack's */
#define FLAGS   15U

struct vine__heap_block {
    uint32_t size;   /* with the header, and flags */
    uint32_t before; /* the size of the block before it; 0: none */
    uint32_t next;   /* of a free one, in its class; 0: none */
    uint32_t previous;
};

/* At the beginning of each of the stack's segments but the first. */
struct vine__heap_segment {
    uint32_t before; /* the segment that was left */
    uint32_t top;    /* and where the stack ended in it */
    uint32_t unused[2];
};

/* ---- small ones, inside ---------------------------------------------------------------------- */

VINE__INSIDE static inline struct vine__heap_block *block_at(const struct vine__heap_head *head,
                                                             uint32_t place)
{
    return (struct vine__heap_block *)((uintptr_t)head + place);
}

VINE__INSIDE static inline uint32_t size_of(const struct vine__heap_block *block)
{
    return block->size & ~FLAGS;
}

VINE__INSIDE static inline uint32_t round_up(uint32_t value)
{
    return (value + GRAIN - 1) & ~(GRAIN - 1);
}

/* The header of the first block, which is the stack's first segment. */
VINE__INSIDE static inline uint32_t first_place(const struct vine__heap_head *head)
{
    return round_up(head->head_bytes + HEADER) - HEADER;
}

VINE__INSIDE static inline uint32_t class_of(uint32_t size)
{
    return 31U - (uint32_t)__builtin_clz(size) - 4U;
}

VINE__INSIDE static inline uint32_t end_place(const struct vine__heap_head *head)
{
    return head->size_bytes - HEADER;
}

VINE__INSIDE static inline uint32_t segment_end(const struct vine__heap_head *head)
{
    return head->segment + size_of(block_at(head, head->segment));
}

VINE__INSIDE static inline void set_size(struct vine__heap_head *head, uint32_t place,
                                         uint32_t size, uint32_t flags)
{
    block_at(head, place)->size = size | flags;
    block_at(head, place + size)->before = size;
}

/* ---- blocks.c, inside ------------------------------------------------------------------------ */

/* Returns a free block of that size at least, or 0. `tries`: how many of its own class are looked
 * at. */
uint32_t vine__heap_find_free(const struct vine__heap_head *head, uint32_t size, uint32_t tries);

/* Take a free block, and give back what is too much of it; but a segment takes it whole. */
void vine__heap_take_free(struct vine__heap_head *head, uint32_t place, uint32_t size,
                          uint32_t flags);

/* What becomes free joins its neighbours; the stack's segment takes what lies behind it. */
void vine__heap_block_free(struct vine__heap_head *head, uint32_t place);

/* Whether the block behind the stack's segment is free: it is the segment's then. */
void vine__heap_extend_segment(struct vine__heap_head *head);

/* Note what could not be had. */
void vine__heap_refuse(struct vine__heap_head *head, uint64_t asked_bytes, uint64_t wanted_bytes);

/* `bytes` were asked for, and `missing` more have to be at the heap's end. Returns whether they
 * are. */
bool vine__heap_grow_by(struct vine__heap_head *head, uint32_t bytes, uint32_t missing);

/* What is at the heap's end already: a free block, or the room of the stack's segment. */
uint32_t vine__heap_room_at_end(const struct vine__heap_head *head);

/* ---- head.c, inside -------------------------------------------------------------------------- */

/* Make the head and the first block of an empty heap. */
void vine__heap_begin(struct vine__heap_head *head, uint32_t head_bytes, uint32_t size_bytes,
                      uint32_t limit_bytes);

#endif
