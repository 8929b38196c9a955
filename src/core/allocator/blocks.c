/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks by address, and free blocks by size: two-level segregated fit (Masmano, Ripoll, Crespo,
 * Real: "TLSF: a new dynamic memory allocator for real-time systems", 2004) with its headers in a
 * hashed table instead of the memory. The number of entries that a function looks at is bounded,
 * but for those that say otherwise: doubling, rebuilding, and general's fit within one bin.
 *
 * A block is cut from the end of a larger one: what remains keeps its place, and often its list.
 */
#include "core/allocator/allocator_internal.h"

#include "utils/assert.h"
#include "utils/bits.h"

#include <stdlib.h>
#include <string.h>

/* A free entry for a block that will begin at `unit`, or 0 where all its buckets are full. */
static uint32_t entry_search(struct vine_allocator *allocator, uint32_t unit)
{
    struct vine__bucket_walk walk = vine__bucket_first(allocator, unit + 1);
    for (uint32_t choice = 0; choice < VINE__BUCKET_CHOICES; choice++) {
        const uint32_t first = vine__bucket_next(allocator, &walk);
        for (uint32_t index = first; index < first + VINE__BUCKET_ENTRIES; index++) {
            if (allocator->table[index].key == 0) {
                allocator->steps += index - first + 1;
                return index;
            }
        }
        allocator->steps += VINE__BUCKET_ENTRIES;
    }
    return 0;
}

static void edge_init(struct vine__block *table)
{
    memset(&table[0], 0, sizeof(table[0]));
    table[0].key = UINT32_MAX; /* no block's, and not free */
    table[0].state_units = VINE__BLOCK_LIVE;
}

/* While the table doubles, an old entry's `key` is its new index. */
static void renumber(struct vine_allocator *allocator, const struct vine__block *old)
{
    struct vine__allocator_header *header = allocator->header;
    for (uint32_t index = 1; index <= allocator->table_mask; index++) {
        struct vine__block *block = &allocator->table[index];
        if (block->key == 0)
            continue;
        block->before = old[block->before].key;
        block->after = old[block->after].key;
        const uint32_t state = vine__block_state(block);
        if (state == VINE__BLOCK_FREE)
            block->list_before = old[block->list_before].key;
        if (state == VINE__BLOCK_FREE || state == VINE__BLOCK_QUICK)
            block->list_after = old[block->list_after].key;
    }
    for (uint32_t bin = 0; bin < VINE__BIN_COUNT; bin++)
        header->bins[bin] = old[header->bins[bin]].key;
    for (uint32_t bin = 0; bin < VINE__QUICK_COUNT; bin++)
        header->quick[bin].head = old[header->quick[bin].head].key;
}

/* Double the table. Private books alone, whose indices nobody else keeps; takes time in proportion
 * to the blocks. `*kept` is an index that the caller goes on using. */
static bool table_double(struct vine_allocator *allocator, uint32_t *kept)
{
    const uint32_t old_bits = allocator->header->table_bits;
    const uint32_t table_bits = old_bits + 1;
    if (!allocator->grows || table_bits > allocator->table_bits_max)
        return false;
    struct vine__block *old = allocator->table;
    const uint32_t old_mask = allocator->table_mask;
    const size_t bytes = sizeof(struct vine__block) << table_bits;
    struct vine__block *table = vine__allocator_table_create(bytes);
    if (table == NULL)
        return false;

    const uint32_t steps = allocator->steps;
    vine__allocator_use_table(allocator, table, table_bits);
    edge_init(table);
    for (uint32_t index = 1; index <= old_mask; index++) {
        if (old[index].key == 0)
            continue;
        const uint32_t moved = entry_search(allocator, old[index].key - 1);
        if (moved == 0) { /* 64 places taken in a table that is hardly a third full */
            vine__allocator_use_table(allocator, old, old_bits);
            for (uint32_t other = 1; other < index; other++) {
                if (old[other].key != 0)
                    old[other].key = table[old[other].key].key;
            }
            free(table);
            return false;
        }
        table[moved] = old[index];
        old[index].key = moved;
    }
    old[0].key = 0;
    renumber(allocator, old);
    *kept = old[*kept].key;
    allocator->steps = steps;
    allocator->books_bytes += bytes / 2;
    free(old);
    return true;
}

/* Take an entry for a block that begins at `unit`, in no list and of no state yet, or 0. May double
 * the table, hence `kept`. */
static uint32_t entry_take(struct vine_allocator *allocator, uint32_t unit, uint32_t *kept)
{
    struct vine__allocator_header *header = allocator->header;
    uint32_t index = 0;
    if (header->entry_count < allocator->entries_max)
        index = entry_search(allocator, unit);
    if (index == 0 && allocator->grows && table_double(allocator, kept))
        index = entry_search(allocator, unit);
    if (index == 0)
        return 0;
    header->entry_count++;
    allocator->table[index].key = unit + 1;
    return index;
}

static void entry_give(struct vine_allocator *allocator, uint32_t index)
{
    struct vine__block *block = vine__block_at(allocator, index);
    if (index == 0)
        return;
    block->state_units = VINE__BLOCK_UNUSED;
    block->key = 0;
    allocator->header->entry_count--;
}

static void bin_insert(struct vine_allocator *allocator, uint32_t index, uint32_t units)
{
    struct vine__allocator_header *header = allocator->header;
    struct vine__block *block = vine__block_at(allocator, index);
    const uint32_t bin = vine__bin_of(units);
    const uint32_t head = header->bins[bin];
    block->state_units = VINE__BLOCK_FREE | units;
    block->list_before = 0;
    block->list_after = head;
    vine__block_at(allocator, head)->list_before = index;
    header->bins[bin] = index;
    header->sub[bin >> VINE__SUB_BITS] |= 1u << (bin & (VINE__SUB_COUNT - 1));
    header->octaves |= 1u << (bin >> VINE__SUB_BITS);
    header->free_count++;
}

static void tell_neighbours(struct vine_allocator *allocator, const struct vine__block *block,
                            uint8_t is_free)
{
    vine__block_at(allocator, block->before)->after_is_free = is_free;
    vine__block_at(allocator, block->after)->before_is_free = is_free;
}

static void bin_remove(struct vine_allocator *allocator, const struct vine__block *block)
{
    struct vine__allocator_header *header = allocator->header;
    const uint32_t list_before = block->list_before;
    const uint32_t list_after = block->list_after;
    vine__block_at(allocator, list_before)->list_after = list_after;
    vine__block_at(allocator, list_after)->list_before = list_before;
    header->free_count--;
    if (list_before != 0)
        return;
    const uint32_t bin = vine__bin_of(vine__block_units(block));
    header->bins[bin] = list_after;
    if (list_after != 0)
        return;
    const uint32_t octave = bin >> VINE__SUB_BITS;
    header->sub[octave] &= ~(1u << (bin & (VINE__SUB_COUNT - 1)));
    if (header->sub[octave] == 0)
        header->octaves &= ~(1u << octave);
}

/* The first bin from `bin` on that has blocks, or VINE__BIN_COUNT. */
static uint32_t bin_search(const struct vine__allocator_header *header, uint32_t bin)
{
    uint32_t octave = bin >> VINE__SUB_BITS;
    uint32_t sub = header->sub[octave] & (~0u << (bin & (VINE__SUB_COUNT - 1)));
    if (sub == 0) {
        const uint32_t octaves = header->octaves & ~(2u * (1u << octave) - 1u);
        if (octaves == 0)
            return VINE__BIN_COUNT;
        octave = (uint32_t)__builtin_ctz(octaves);
        sub = header->sub[octave];
    }
    if (sub == 0)
        return VINE__BIN_COUNT;
    return (octave << VINE__SUB_BITS) + (uint32_t)__builtin_ctz(sub);
}

/* When no larger class has a block: look for one that fits in the request's own class. */
static uint32_t fit_within_bin(struct vine_allocator *allocator, uint32_t units)
{
    const uint32_t steps_max = allocator->strategy == VINE_ALLOCATOR_TLSF
                                   ? VINE__STEPS_FIT
                                   : allocator->header->free_count;
    uint32_t index = allocator->header->bins[vine__bin_of(units)];
    for (uint32_t step = 1; step <= steps_max && index != 0; step++) {
        const struct vine__block *block = vine__block_at(allocator, index);
        allocator->steps += allocator->strategy == VINE_ALLOCATOR_TLSF;
        if (vine__block_units(block) >= units)
            return index;
        index = block->list_after;
    }
    return 0;
}

/* Cut the last `units` of a block that has more: they become a block in state FREE that is in no
 * list. 0 if the table is full. May double the table, hence `*index`. */
static uint32_t cut_end(struct vine_allocator *allocator, uint32_t *index, uint32_t units)
{
    struct vine__block *block = vine__block_at(allocator, *index);
    const uint32_t rest = vine__block_units(block) - units;
    const uint32_t end = entry_take(allocator, vine__block_offset_units(block) + rest, index);
    if (end == 0)
        return 0;
    block = vine__block_at(allocator, *index);
    struct vine__block *ret = vine__block_at(allocator, end);
    ret->state_units = VINE__BLOCK_FREE | units;
    ret->before = *index;
    ret->after = block->after;
    ret->before_is_free = 0;
    ret->after_is_free = block->after_is_free;
    vine__block_at(allocator, block->after)->before = end;
    block->after = end;
    return end;
}

uint32_t vine__blocks_take(struct vine_allocator *allocator, uint32_t units)
{
    VINE_ASSERT(units != 0 && units <= allocator->unit_count);
    const struct vine__allocator_header *header = allocator->header;
    const uint32_t bin = bin_search(header, vine__bin_of(vine__round_up_to_bin(units)));
    uint32_t index = bin < VINE__BIN_COUNT ? header->bins[bin] : fit_within_bin(allocator, units);
    if (index == 0)
        return 0;

    struct vine__block *block = vine__block_at(allocator, index);
    const uint32_t found = vine__block_units(block);
    if (vine__block_state(block) != VINE__BLOCK_FREE || found < units) {
        allocator->corrupt = true;
        return 0;
    }
    if (found == units) {
        bin_remove(allocator, block);
        tell_neighbours(allocator, block, 0);
        return index;
    }
    const uint32_t end = cut_end(allocator, &index, units);
    if (end == 0)
        return 0;
    struct vine__block *taken = vine__block_at(allocator, end);
    taken->before_is_free = 1;
    vine__block_at(allocator, taken->after)->before_is_free = 0;
    block = vine__block_at(allocator, index); /* the table may have moved */
    const uint32_t rest = found - units;
    if (vine__bin_of(rest) == vine__bin_of(found)) {
        block->state_units = VINE__BLOCK_FREE | rest;
    } else {
        bin_remove(allocator, block);
        bin_insert(allocator, index, rest);
    }
    return end;
}

void vine__block_hand_out(struct vine_allocator *allocator, uint32_t index, uint64_t size_bytes)
{
    struct vine__allocator_header *header = allocator->header;
    struct vine__block *block = vine__block_at(allocator, index);
    const uint32_t units = vine__block_units(block);
    block->slack_bytes = (uint32_t)(((uint64_t)units << allocator->granule_shift) - size_bytes);
    block->generation = 0;
    header->live_count++;
    header->live_units += units;
    header->live_bytes += size_bytes;
    /* The one store that makes it live; offset and slack are stored before, see below. If we die
     * after it, the block is nobody's and stays so, as all blocks of a dead process do. */
    vine__compiler_barrier();
    vine__store_relaxed_u32(&block->state_units, VINE__BLOCK_LIVE | units);
}

void vine__block_take_back(struct vine_allocator *allocator, uint32_t index, uint32_t state)
{
    struct vine__allocator_header *header = allocator->header;
    struct vine__block *block = vine__block_at(allocator, index);
    const uint32_t units = vine__block_units(block);
    const uint32_t slack_bytes = block->slack_bytes;
    vine__store_relaxed_u32(&block->state_units, state | units);
    /* Whoever repairs after our death goes by the state alone, so it changes before all else. A
     * signal stops us between two instructions, and what was stored before it is seen by whoever
     * hears of our death: the compiler is all that has to be told. The living go by the lock. */
    vine__compiler_barrier();
    header->live_count--;
    header->live_units -= units;
    header->live_bytes -= ((uint64_t)units << allocator->granule_shift) - slack_bytes;
}

/* Take `drop`, the neighbour after `keep`, out of the list by address. */
static void join(struct vine_allocator *allocator, uint32_t keep, uint32_t drop)
{
    const struct vine__block *dropped = vine__block_at(allocator, drop);
    struct vine__block *kept = vine__block_at(allocator, keep);
    const uint32_t after = dropped->after;
    kept->after = after;
    kept->after_is_free = 0;
    vine__block_at(allocator, after)->before = keep;
    entry_give(allocator, drop);
}

void vine__blocks_release(struct vine_allocator *allocator, uint32_t index)
{
    struct vine__block *block = vine__block_at(allocator, index);
    uint32_t units = vine__block_units(block);

    if (block->after_is_free != 0) {
        const uint32_t after = block->after;
        const struct vine__block *block_after = vine__block_at(allocator, after);
        if (vine__block_state(block_after) != VINE__BLOCK_FREE) {
            allocator->corrupt = true;
            return;
        }
        units += vine__block_units(block_after);
        bin_remove(allocator, block_after);
        join(allocator, index, after);
    }
    if (block->before_is_free != 0) {
        const uint32_t before = block->before;
        const struct vine__block *block_before = vine__block_at(allocator, before);
        if (vine__block_state(block_before) != VINE__BLOCK_FREE) {
            allocator->corrupt = true;
            return;
        }
        units += vine__block_units(block_before);
        bin_remove(allocator, block_before);
        join(allocator, before, index);
        index = before;
        block = vine__block_at(allocator, index);
    }
    /* Only damaged books sum up to more; the mask keeps the state out of it. */
    bin_insert(allocator, index, units & VINE__BLOCK_UNITS_MASK);
    tell_neighbours(allocator, block, 1);
}

bool vine__blocks_trim(struct vine_allocator *allocator, uint32_t index, uint32_t units)
{
    const uint32_t found = vine__block_units(vine__block_at(allocator, index));
    const uint32_t end = cut_end(allocator, &index, found - units);
    if (end == 0)
        return false;
    struct vine__block *block = vine__block_at(allocator, index);
    vine__compiler_barrier(); /* as in vine__block_take_back */
    vine__store_relaxed_u32(&block->state_units, VINE__BLOCK_LIVE | units);
    vine__compiler_barrier();
    allocator->header->live_units -= found - units;
    vine__blocks_release(allocator, end);
    return true;
}

static void lists_clear(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    memset(header->sub, 0, sizeof(header->sub));
    memset(header->bins, 0, sizeof(header->bins));
    edge_init(allocator->table);
    header->octaves = 0;
    header->entry_count = 0;
    header->free_count = 0;
    header->live_count = 0;
    header->live_units = 0;
    header->live_bytes = 0;
    vine__quick_clear(allocator);
}

/* Append a block behind `before`; the list by address is made from the left. */
static void append(struct vine_allocator *allocator, uint32_t before, uint32_t index)
{
    struct vine__block *block = vine__block_at(allocator, index);
    block->before = before;
    block->after = 0;
    block->before_is_free = 0;
    block->after_is_free = 0;
    if (before == 0)
        return;
    struct vine__block *block_before = vine__block_at(allocator, before);
    block_before->after = index;
    block->before_is_free = vine__block_state(block_before) == VINE__BLOCK_FREE;
    block_before->after_is_free = vine__block_state(block) == VINE__BLOCK_FREE;
}

/* Returns the index of the new block, or 0 if there is no entry for it. */
static uint32_t append_free(struct vine_allocator *allocator, uint32_t before, uint32_t unit,
                            uint32_t units)
{
    const uint32_t index = entry_take(allocator, unit, &before);
    if (index == 0)
        return 0;
    bin_insert(allocator, index, units);
    append(allocator, before, index);
    return index;
}

void vine__blocks_clear(struct vine_allocator *allocator)
{
    memset(allocator->table, 0, ((size_t)allocator->table_mask + 1) * sizeof(struct vine__block));
    lists_clear(allocator);
    const uint32_t index = append_free(allocator, 0, 0, allocator->unit_count);
    VINE_ASSERT(index != 0);
}

static uint32_t merge_sorted(struct vine_allocator *allocator, uint32_t left, uint32_t right,
                             uint64_t *budget)
{
    uint32_t head = 0;
    uint32_t *link = &head;
    while (left != 0 && right != 0 && (*budget)-- != 0) {
        struct vine__block *block_left = vine__block_at(allocator, left);
        struct vine__block *block_right = vine__block_at(allocator, right);
        if (block_left->key <= block_right->key) {
            *link = left;
            link = &block_left->after;
            left = block_left->after;
        } else {
            *link = right;
            link = &block_right->after;
            right = block_right->after;
        }
    }
    *link = left != 0 ? left : right;
    return head;
}

/* Link the living blocks by `after` in the order of their offsets, and clear all other entries; no
 * memory is needed. */
static uint32_t sort_living(struct vine_allocator *allocator, uint32_t *ret_count)
{
    uint32_t runs[32] = {0}; /* runs[k] is empty or a sorted list of 2^k blocks */
    uint64_t budget = 64 * ((uint64_t)allocator->table_mask + 1);
    uint32_t count = 0;

    for (uint32_t index = 1; index <= allocator->table_mask; index++) {
        struct vine__block *block = vine__block_at(allocator, index);
        if (vine__block_state(block) != VINE__BLOCK_LIVE) {
            memset(block, 0, sizeof(*block));
            continue;
        }
        count++;
        block->after = 0;
        uint32_t run = index;
        uint32_t k = 0;
        for (; runs[k] != 0; k++) {
            run = merge_sorted(allocator, runs[k], run, &budget);
            runs[k] = 0;
        }
        runs[k] = run;
    }
    uint32_t head = 0;
    for (uint32_t k = 0; k < 32; k++)
        head = merge_sorted(allocator, runs[k], head, &budget);
    *ret_count = count;
    return head;
}

int vine__blocks_rebuild(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    uint32_t count;
    uint32_t index = sort_living(allocator, &count);
    uint32_t before = 0;
    uint32_t unit = 0; /* where the next block has to begin */

    lists_clear(allocator);
    header->entry_count = count;
    for (uint32_t step = 0; step < count; step++) {
        struct vine__block *block = vine__block_at(allocator, index);
        const uint32_t next = block->after;
        const uint32_t begin = vine__block_offset_units(block);
        const uint32_t units = vine__block_units(block);
        const uint64_t bytes = (uint64_t)units << allocator->granule_shift;
        if (index == 0 || begin < unit || units == 0 || block->slack_bytes >= bytes ||
            !vine__range_is_within_u64(begin, units, allocator->unit_count) ||
            vine__block_find(allocator, begin) != index)
            return -VINE_ECORRUPT;
        if (begin > unit) {
            before = append_free(allocator, before, unit, begin - unit);
            if (before == 0)
                return -VINE_ECORRUPT;
        }
        append(allocator, before, index);
        header->live_count++;
        header->live_units += units;
        header->live_bytes += bytes - block->slack_bytes;
        unit = begin + units;
        before = index;
        index = next;
    }
    if (unit < allocator->unit_count &&
        append_free(allocator, before, unit, allocator->unit_count - unit) == 0)
        return -VINE_ECORRUPT;
    return allocator->corrupt ? -VINE_ECORRUPT : 0;
}

uint32_t vine__blocks_largest(struct vine_allocator *allocator)
{
    const struct vine__allocator_header *header = allocator->header;
    if (header->octaves == 0)
        return 0;
    const uint32_t octave = 31u - (uint32_t)__builtin_clz(header->octaves);
    const uint32_t sub = header->sub[octave];
    if (sub == 0)
        return 0;
    const uint32_t bin = (octave << VINE__SUB_BITS) + 31u - (uint32_t)__builtin_clz(sub);
    const uint32_t steps_max =
        allocator->strategy == VINE_ALLOCATOR_TLSF ? VINE__STEPS_FIT : header->free_count;
    uint32_t largest = 0;
    uint32_t index = header->bins[bin];
    for (uint32_t step = 0; step < steps_max && index != 0; step++) {
        const struct vine__block *block = vine__block_at(allocator, index);
        if (vine__block_units(block) > largest)
            largest = vine__block_units(block);
        index = block->list_after;
    }
    return largest;
}
