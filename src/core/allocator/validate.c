/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The equation of the books:
 *
 *   live_units + quick_units + free_units = unit_count
 *   live_count + quick_count + free_count = entry_count = entries of the table with a key
 *
 * where the blocks, walked by `after` from offset 0, tile [0, unit_count) without gap or overlap;
 * each is found by its offset; no two neighbours are both FREE; each FREE block is in the bin of
 * its size exactly once, each QUICK one in the quick list of its size.
 *
 * Holds between operations. For bump: cursor_units <= unit_count.
 */
#include "core/allocator/allocator_internal.h"

struct walk {
    uint64_t live_units;
    uint64_t quick_units;
    uint64_t live_bytes;
    uint32_t live_count;
    uint32_t quick_count;
    uint32_t free_count;
    uint32_t count;
};

static bool walk_blocks(struct vine_allocator *allocator, struct walk *walk)
{
    const struct vine__allocator_header *header = allocator->header;
    uint32_t index = vine__block_find(allocator, 0);
    uint32_t before = 0;
    uint32_t before_state = VINE__BLOCK_LIVE;
    uint32_t unit = 0;

    while (index != 0) {
        const struct vine__block *block = vine__block_at(allocator, index);
        const uint32_t state = vine__block_state(block);
        const uint32_t units = vine__block_units(block);
        if (walk->count++ == header->entry_count)
            return false;
        if (vine__block_offset_units(block) != unit || block->before != before || units == 0 ||
            units > allocator->unit_count - unit || vine__block_find(allocator, unit) != index)
            return false;
        const bool before_is_free = before_state == VINE__BLOCK_FREE;
        if (block->before_is_free != before_is_free)
            return false;
        if (before != 0 &&
            vine__block_at(allocator, before)->after_is_free != (state == VINE__BLOCK_FREE))
            return false;
        const uint64_t bytes = (uint64_t)units << allocator->granule_shift;
        if (state == VINE__BLOCK_LIVE) {
            if (block->slack_bytes >= bytes)
                return false;
            walk->live_count++;
            walk->live_units += units;
            walk->live_bytes += bytes - block->slack_bytes;
        } else if (state == VINE__BLOCK_QUICK) {
            walk->quick_count++;
            walk->quick_units += units;
        } else if (state == VINE__BLOCK_FREE && before_state != VINE__BLOCK_FREE) {
            walk->free_count++;
        } else {
            return false;
        }
        unit += units;
        before = index;
        before_state = state;
        index = block->after;
    }
    return unit == allocator->unit_count && walk->count == header->entry_count;
}

static bool walk_table(const struct vine_allocator *allocator)
{
    uint32_t count = 0;
    for (uint32_t index = 1; index <= allocator->table_mask; index++)
        count += allocator->table[index].key != 0;
    return count == allocator->header->entry_count;
}

static bool walk_bins(struct vine_allocator *allocator, uint32_t free_count)
{
    const struct vine__allocator_header *header = allocator->header;
    uint32_t count = 0;
    for (uint32_t bin = 0; bin < VINE__BIN_COUNT; bin++) {
        const uint32_t octave = bin >> VINE__SUB_BITS;
        const bool has = (header->sub[octave] >> (bin & (VINE__SUB_COUNT - 1)) & 1) != 0;
        if (has != (header->bins[bin] != 0))
            return false;
        if ((header->octaves >> octave & 1) != (header->sub[octave] != 0))
            return false;
        uint32_t before = 0;
        for (uint32_t index = header->bins[bin]; index != 0;) {
            const struct vine__block *block = vine__block_at(allocator, index);
            if (vine__block_state(block) != VINE__BLOCK_FREE || block->list_before != before ||
                vine__bin_of(vine__block_units(block)) != bin || ++count > free_count)
                return false;
            before = index;
            index = block->list_after;
        }
    }
    return count == free_count;
}

static bool walk_quick(struct vine_allocator *allocator, uint32_t quick_count)
{
    const struct vine__allocator_header *header = allocator->header;
    uint32_t count = 0;
    for (uint32_t bin = 0; bin < VINE__QUICK_COUNT; bin++) {
        const struct vine__quick_list *list = &header->quick[bin];
        uint32_t listed = 0;
        for (uint32_t index = list->head; index != 0;) {
            const struct vine__block *block = vine__block_at(allocator, index);
            if (vine__block_state(block) != VINE__BLOCK_QUICK ||
                vine__bin_of(vine__block_units(block)) != bin || ++count > quick_count)
                return false;
            listed++;
            index = block->list_after;
        }
        if (listed != list->count || list->count > list->count_max)
            return false;
    }
    return count == quick_count;
}

int vine__allocator_check_books(struct vine_allocator *allocator)
{
    const struct vine__allocator_header *header = allocator->header;
    if (allocator->strategy == VINE_ALLOCATOR_BUMP)
        return header->cursor_units <= allocator->unit_count ? 0 : -VINE_ECORRUPT;

    struct walk walk = {0};
    if (header->entry_count > allocator->entries_max || !walk_blocks(allocator, &walk) ||
        !walk_bins(allocator, walk.free_count) || !walk_quick(allocator, walk.quick_count) ||
        !walk_table(allocator))
        return -VINE_ECORRUPT;
    if (walk.live_units != header->live_units || walk.quick_units != header->quick_units ||
        walk.live_bytes != header->live_bytes || walk.live_count != header->live_count ||
        walk.quick_count != header->quick_count || walk.free_count != header->free_count)
        return -VINE_ECORRUPT;
    return allocator->corrupt ? -VINE_ECORRUPT : 0;
}
