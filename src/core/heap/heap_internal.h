/* SPDX-License-Identifier: Apache-2.0 */
/* core/heap/heap_internal.h - what lies in a heap behind its head: see inside.c. */
#ifndef VINE_CORE_HEAP_HEAP_INTERNAL_H
#define VINE_CORE_HEAP_HEAP_INTERNAL_H

#include "core/heap/heap.h"

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

/* Make the head and the first block of an empty heap. */
void vine__heap_begin(struct vine__heap_head *head, uint32_t head_bytes, uint32_t size_bytes,
                      uint32_t limit_bytes);

#endif
