/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocator_internal.h - the handle, and the way from an offset to its block.
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

/* Entries that an operation may look at beside its loops: the block itself, its two neighbours, two
 * list neighbours of each of three blocks, the new entry, a list head and the neighbour's
 * neighbour. */
#define VINE__STEPS_STRAIGHT 12u
/* All buckets where an offset's entry can be. Freeing looks for one, allocating makes one. */
#define VINE__STEPS_LOOKUP ((uint32_t)(VINE__BUCKET_CHOICES * VINE__BUCKET_ENTRIES))
/* Blocks of the request's own size class that tlsf looks at, when no larger class has any. */
#define VINE__STEPS_FIT 8u

VINE_STATIC_ASSERT(VINE__STEPS_STRAIGHT + VINE__STEPS_LOOKUP + VINE__STEPS_FIT <=
                       VINE_ALLOCATOR_STEPS_MAX,
                   "the promise of vine/allocator.h");

struct vine_allocator {
    uint32_t magic;
    enum vine_allocator_strategy strategy;
    struct vine__allocator_header *header;
    struct vine__block *table; /* table_mask + 1 entries */
    uint32_t table_mask;
    uint32_t bucket_shift; /* what is left of a hash, shifted by it, is a bucket */
    uint32_t entries_max;
    uint32_t unit_count;
    uint32_t granule_shift;
    uint32_t quick_units_max; /* larger blocks have no quick list; 0 for tlsf */
    uint32_t quick_slack;     /* units that quick lists may hold whatever is live */
    uint32_t steps;           /* entries that the loops of this operation have looked at */
    uint32_t steps_seen;
    uint32_t table_bits_max; /* beyond which it does not double */
    bool grows;              /* the table is ours and may double */
    bool shared;             /* the books lie in shared memory */
    bool corrupt;            /* something in the books was impossible */
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
    if (__builtin_expect(index > allocator->table_mask, 0)) {
        allocator->corrupt = true;
        index = 0;
    }
    return &allocator->table[index];
}

static inline uint32_t vine__block_offset_units(const struct vine__block *block)
{
    return block->key - 1;
}

/* The bin of free blocks with `units`, and of requests that were rounded up. Below 32 each size has
 * its own; above, an octave has 32. */
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

/* The walk over the buckets of a key: multiplicative hashing, and an odd stride from other bits of
 * the product, so that keys of one bucket part after it. */
struct vine__bucket_walk {
    uint32_t bucket;
    uint32_t stride;
};

static inline struct vine__bucket_walk vine__bucket_first(const struct vine_allocator *allocator,
                                                          uint32_t key)
{
    const uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
    return (struct vine__bucket_walk){
        .bucket = (uint32_t)(hash >> allocator->bucket_shift),
        .stride = (uint32_t)hash | 1,
    };
}

/* The index of the bucket's first entry; the walk goes on to the next bucket. */
static inline uint32_t vine__bucket_next(const struct vine_allocator *allocator,
                                         struct vine__bucket_walk *walk)
{
    const uint32_t index = (walk->bucket * VINE__BUCKET_ENTRIES) & allocator->table_mask;
    walk->bucket += walk->stride;
    return index;
}

/* The index of the entry for the block, of any state, that begins at `unit`; 0 if there is none. */
static inline uint32_t vine__block_find(struct vine_allocator *allocator, uint32_t unit)
{
    const uint32_t key = unit + 1;
    struct vine__bucket_walk walk = vine__bucket_first(allocator, key);
    for (uint32_t choice = 0; choice < VINE__BUCKET_CHOICES; choice++) {
        const uint32_t first = vine__bucket_next(allocator, &walk);
        for (uint32_t index = first; index < first + VINE__BUCKET_ENTRIES; index++) {
            if (allocator->table[index].key == key) {
                allocator->steps += index - first + 1;
                return index;
            }
        }
        allocator->steps += VINE__BUCKET_ENTRIES;
    }
    return 0;
}

/* The index of the living block that begins at `offset`, or 0. */
static inline uint32_t vine__block_find_live(struct vine_allocator *allocator, uint64_t offset)
{
    const uint64_t unit = offset >> allocator->granule_shift;
    if (unit << allocator->granule_shift != offset || unit >= allocator->unit_count)
        return 0;
    const uint32_t index = vine__block_find(allocator, (uint32_t)unit);
    if (index == 0 || vine__block_state(&allocator->table[index]) != VINE__BLOCK_LIVE)
        return 0;
    return index;
}

/* blocks.c: the list of blocks by address, and the bins. Callers hold the lock of shared books. */

/* One free block from edge to edge, everything else empty. */
void vine__blocks_clear(struct vine_allocator *allocator);
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

/* Check what the caller asks for; granule_bytes is filled in. 0 or -EINVAL. */
int vine__allocator_check_options(const struct vine_allocator_options *options,
                                  struct vine_allocator_options *ret_options);
/* The number of blocks that books which cannot grow are made for. */
uint32_t vine__allocator_entries_of(const struct vine_allocator_options *options,
                                    uint32_t unit_count);
/* The size of a table for so many blocks: at most 5 of 8 entries are in use. */
uint32_t vine__allocator_table_bits_of(uint32_t entries_max);
/* Private books only, for boxes: a living block of `size_bytes`, its index or 0; and back. */
uint32_t vine__allocator_take(struct vine_allocator *allocator, uint64_t size_bytes);
void vine__allocator_give(struct vine_allocator *allocator, uint32_t index);
/* Fill what the handle keeps of strategy and sizes. */
void vine__allocator_begin(struct vine_allocator *allocator,
                           const struct vine_allocator_options *options, uint32_t unit_count,
                           uint32_t entries_max);
/* A table of zeros, on cache lines, to be given to free(); NULL without memory. */
struct vine__block *vine__allocator_table_create(size_t bytes);
/* Let the handle use another table. */
void vine__allocator_use_table(struct vine_allocator *allocator, struct vine__block *table,
                               uint32_t table_bits);

/* shared.c: the lock of shared books. */

/* Take the lock; repair what a dead holder left. 0, -EBUSY or -VINE_ECORRUPT; not held then. */
int vine__allocator_lock(struct vine_allocator *allocator);
void vine__allocator_unlock(struct vine_allocator *allocator);

/* validate.c */
int vine__allocator_check_books(struct vine_allocator *allocator);

#endif
