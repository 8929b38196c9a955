/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quick lists: what general has over the plain two-level fit.
 *
 * A freed block of a small size class waits, unmerged, for the next request of its class. The count
 * of a list wanders in a trace that frees and takes at random, and only its two ends cost: a list
 * of 4 serves four of five operations, one of 64 nearly all. What is kept from merging costs room,
 * though, and that in proportion to its bytes. So a list has 64 blocks where they are small and 4
 * where they are large, and all lists together hold at most 1/32 of what is live and 1/64 of the
 * extent. When an allocation would fail, all lists are emptied first.
 */
#include "core/allocator/allocator_internal.h"

#include <string.h>

enum {
    QUICK_BLOCKS_MIN = 4,
    QUICK_BLOCKS_MAX = 64,
    QUICK_LIST_BYTES = 64 << 10, /* a list may hold that much, within the two above */
};

void vine__quick_clear(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    memset(header->quick, 0, sizeof(header->quick));
    header->quick_count = 0;
    header->quick_units = 0;
    for (uint32_t units = 1; units <= allocator->quick_units_max;) {
        const uint32_t bin = vine__bin_of(units);
        const uint64_t fit = QUICK_LIST_BYTES / ((uint64_t)units << allocator->granule_shift);
        header->quick[bin].count_max = (uint16_t)(fit < QUICK_BLOCKS_MIN   ? QUICK_BLOCKS_MIN
                                                  : fit > QUICK_BLOCKS_MAX ? QUICK_BLOCKS_MAX
                                                                           : fit);
        units = vine__round_up_to_bin(units + 1);
    }
}

void vine__quick_flush(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    if (header->quick_count == 0)
        return;
    for (uint32_t bin = 0; bin < VINE__QUICK_COUNT; bin++) {
        struct vine__quick_list *list = &header->quick[bin];
        for (; list->count != 0; list->count--) {
            const uint32_t index = list->head;
            struct vine__block *block = vine__block_at(allocator, index);
            list->head = block->list_after;
            if (index == 0 || vine__block_state(block) != VINE__BLOCK_QUICK) {
                allocator->corrupt = true;
                continue;
            }
            header->quick_units -= vine__block_units(block);
            header->quick_count--;
            vine__blocks_release(allocator, index);
        }
    }
}

uint32_t vine__general_take(struct vine_allocator *allocator, uint32_t units)
{
    struct vine__allocator_header *header = allocator->header;
    const uint32_t units_asked = units;
    uint32_t index;

    if (units <= allocator->quick_units_max) {
        const uint32_t rounded = vine__round_up_to_bin(units);
        struct vine__quick_list *list = &header->quick[vine__bin_of(rounded)];
        index = list->head;
        if (index != 0) {
            const struct vine__block *block = vine__block_at(allocator, index);
            if (vine__block_state(block) != VINE__BLOCK_QUICK || vine__block_units(block) < units ||
                list->count == 0) {
                allocator->corrupt = true;
                return 0;
            }
            list->head = block->list_after;
            /* The next one to be taken may have waited for long: let it come nearer. */
            __builtin_prefetch(vine__block_at(allocator, list->head), 1);
            list->count--;
            header->quick_count--;
            header->quick_units -= vine__block_units(block);
            return index;
        }
        if (rounded <= allocator->unit_count)
            units = rounded;
    }
    index = vine__blocks_take(allocator, units);
    if (index == 0 && header->quick_count != 0) {
        vine__quick_flush(allocator);
        index = vine__blocks_take(allocator, units);
    }
    if (index == 0 && units != units_asked)
        index = vine__blocks_take(allocator, units_asked);
    return index;
}

void vine__general_free(struct vine_allocator *allocator, uint32_t index)
{
    struct vine__allocator_header *header = allocator->header;
    struct vine__block *block = vine__block_at(allocator, index);
    const uint32_t units = vine__block_units(block);

    if (units <= allocator->quick_units_max) {
        struct vine__quick_list *list = &header->quick[vine__bin_of(units)];
        const uint64_t held_max = (header->live_units >> 5) + allocator->quick_slack;
        if (list->count < list->count_max && header->quick_units + (uint64_t)units <= held_max) {
            vine__block_take_back(allocator, index, VINE__BLOCK_QUICK);
            block->list_after = list->head;
            list->head = index;
            list->count++;
            header->quick_count++;
            header->quick_units += units;
            return;
        }
    }
    vine__block_take_back(allocator, index, VINE__BLOCK_FREE);
    vine__blocks_release(allocator, index);
}
