/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocator_internal.h - the handle, and the path from an offset to its block.
 *
 * Every index that comes out of the books goes through vine__block_at, which answers a bad one with
 * entry 0 and a flag: shared books can be damaged by a process that shares them, and then the worst
 * is -VINE_ECORRUPT. Sizes, masks and pointers that bound an access are in the handle, in private
 * memory.
 */
#ifndef VINE_ALLOCATOR_INTERNAL_H
#define VINE_ALLOCATOR_INTERNAL_H

#include "core/allocator/allocator_layout.h"
#include "utils/atomic.h"

#include <vine/allocator.h>
#include <vine/error.h>

#include <stdbool.h>

#define VINE__ALLOCATOR_HANDLE_MAGIC 0x616c6c63u

/* Steps that every operation may take beside its loops: the block itself, its two neighbours, two
 * list neighbours of each of three blocks, the new entry, a list head and the neighbour's
 * neighbour. */
#define VINE__STEPS_STRAIGHT 12u
/* Blocks that one entry of the map can hold. */
#define VINE__STEPS_LOOKUP (1u << VINE__REGION_SHIFT)
/* Blocks of the request's own size class that tlsf looks at, when no larger class has any. */
#define VINE__STEPS_FIT 8u

VINE_STATIC_ASSERT(VINE__STEPS_STRAIGHT + VINE__STEPS_LOOKUP <= VINE_ALLOCATOR_STEPS_MAX,
                   "the promise of freeing");
VINE_STATIC_ASSERT(VINE__STEPS_STRAIGHT + VINE__STEPS_FIT <= VINE_ALLOCATOR_STEPS_MAX,
                   "the promise of allocating");

struct vine_allocator {
    uint32_t magic;
    enum vine_allocator_strategy strategy;
    struct vine__allocator_header *header;
    struct vine__block *table; /* entries_max + 1 entries */
    uint32_t *map;
    uint32_t entries_max;
    uint32_t unit_count;
    uint32_t granule_shift;
    uint32_t quick_units_max; /* larger blocks have no quick list; 0 for tlsf */
    uint32_t quick_slack;     /* units that quick lists may hold whatever is live */
    uint32_t steps_seen;
    bool grows;   /* the table is ours and may double */
    bool shared;  /* the books lie in shared memory */
    bool corrupt; /* something in the books was impossible */
    uint64_t books_bytes;
    uint64_t owner;      /* what we write into a shared owner word */
    unsigned char *base; /* offset 0 of shared books' extent */
};

static inline uint32_t vine__block_state(const struct vine__block *block)
{
    return block->state_units & VINE__BLOCK_STATE_MASK;
}

static inline uint32_t vine__block_units(const struct vine__block *block)
{
    return block->state_units & VINE__BLOCK_UNITS_MASK;
}

static inline struct vine__block *vine__block_at(struct vine_allocator *allocator, uint32_t index)
{
    if (__builtin_expect(index > allocator->entries_max, 0)) {
        allocator->corrupt = true;
        index = 0;
    }
    return &allocator->table[index];
}

static inline uint32_t vine__region_of(uint32_t unit)
{
    return unit >> VINE__REGION_SHIFT;
}

static inline uint32_t vine__region_count(uint32_t unit_count)
{
    return vine__region_of(unit_count - 1) + 1;
}

static inline size_t vine__map_bytes(uint32_t unit_count)
{
    return (size_t)vine__region_count(unit_count) * sizeof(uint32_t);
}

/* The bin of free blocks with `units`, and of requests that were rounded up. Below 16 each size has
 * its own; above, an octave has 16. */
static inline uint32_t vine__bin_of(uint32_t units)
{
    if (units < VINE__SUB_COUNT)
        return units;
    const uint32_t log = 31u - (uint32_t)__builtin_clz(units);
    return ((log - (VINE__SUB_BITS - 1)) << VINE__SUB_BITS) + (units >> (log - VINE__SUB_BITS)) -
           VINE__SUB_COUNT;
}

/* The smallest size at the beginning of a bin that is not below `units`, which is below 2^30. */
static inline uint32_t vine__round_up_to_bin(uint32_t units)
{
    if (units < 2 * VINE__SUB_COUNT)
        return units;
    const uint32_t log = 31u - (uint32_t)__builtin_clz(units);
    const uint32_t mask = (1u << (log - VINE__SUB_BITS)) - 1;
    return (units + mask) & ~mask;
}

static inline void vine__note_steps(struct vine_allocator *allocator, uint32_t steps)
{
    if (__builtin_expect(steps > allocator->steps_seen, 0))
        allocator->steps_seen = steps;
}

/* The index of the living block that begins at `offset`, or 0. The map names the first block of a
 * region of 16 granules, so that at most 16 begin there. */
static inline uint32_t vine__block_find(struct vine_allocator *allocator, uint64_t offset)
{
    const uint64_t unit = offset >> allocator->granule_shift;
    if (unit << allocator->granule_shift != offset || unit >= allocator->unit_count)
        return 0;
    uint32_t index = allocator->map[vine__region_of((uint32_t)unit)];
    for (uint32_t step = 1; step <= VINE__STEPS_LOOKUP && index != 0; step++) {
        const struct vine__block *block = vine__block_at(allocator, index);
        if (block->offset_units == unit) {
            vine__note_steps(allocator, step + VINE__STEPS_STRAIGHT);
            return vine__block_state(block) == VINE__BLOCK_LIVE ? index : 0;
        }
        if (block->offset_units > unit)
            return 0;
        index = block->after;
    }
    return 0;
}

/* blocks.c: the list of blocks by address, and the bins. Callers hold the lock of shared books. */

/* One free block from edge to edge, everything else empty. A map that is all zero already is not
 * touched, so that a large one takes no memory before it is used. */
void vine__blocks_clear(struct vine_allocator *allocator, bool map_is_clear);
/* Take `units` out of the bins: the index of a block in state FREE that is in no bin, or 0. */
uint32_t vine__blocks_take(struct vine_allocator *allocator, uint32_t units);
/* Hand a taken block out: LIVE, with the sums. `units` of it serve `size_bytes`. */
void vine__block_hand_out(struct vine_allocator *allocator, uint32_t index, uint64_t size_bytes);
/* LIVE no more: the sums, and `state`. */
void vine__block_take_back(struct vine_allocator *allocator, uint32_t index, uint32_t state);
/* Merge a block that is in no list with its free neighbours and put the result into its bin. */
void vine__blocks_release(struct vine_allocator *allocator, uint32_t index);
/* Cut what a living block has beyond `units` off and release it; false if the table is full. */
bool vine__blocks_trim(struct vine_allocator *allocator, uint32_t index, uint32_t units);
/* Make everything anew from the entries in state LIVE. 0 or -VINE_ECORRUPT. */
int vine__blocks_rebuild(struct vine_allocator *allocator);
/* The units of the largest block that vine__blocks_take would find. */
uint32_t vine__blocks_largest(struct vine_allocator *allocator);

/* quick.c: lists of blocks of one size class, for general alone. */

void vine__quick_clear(struct vine_allocator *allocator);
/* Release all that the quick lists hold. */
void vine__quick_flush(struct vine_allocator *allocator);
uint32_t vine__general_take(struct vine_allocator *allocator, uint32_t units);
void vine__general_free(struct vine_allocator *allocator, uint32_t index);

/* allocator.c */

/* Check what the caller asks for and put the derived values in: granule_bytes, and blocks_max where
 * it is 0 and `grows` is not wanted. 0 or -EINVAL. */
int vine__allocator_check_options(const struct vine_allocator_options *options,
                                  struct vine_allocator_options *ret_options);
/* Blocks that books which cannot grow are made for, if nobody says a number. */
uint32_t vine__entries_derived(uint64_t unit_count);
/* Fill what the handle keeps of strategy and sizes. */
void vine__allocator_begin(struct vine_allocator *allocator,
                           const struct vine_allocator_options *options, uint32_t unit_count,
                           uint32_t entries_max);

/* shared.c: the lock of shared books. */

/* Take the lock; repair what a dead holder left. 0, -EBUSY or -VINE_ECORRUPT; not held then. */
int vine__allocator_lock(struct vine_allocator *allocator);
void vine__allocator_unlock(struct vine_allocator *allocator);

/* validate.c */
int vine__allocator_check_books(struct vine_allocator *allocator);

#endif
