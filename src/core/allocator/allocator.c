/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public calls: check, take the lock if the books are shared, let the strategy act, count.
 */
#include "core/allocator/allocator_internal.h"

#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_BITS_MAX = 30,
    GROWING_ENTRIES = 20, /* what books that may grow begin with */
    DERIVED_UNITS = 64,   /* fixed books have one entry for so many granules */
    DERIVED_ENTRIES_MIN = 256,
    QUICK_BYTES_MAX = 64 << 10, /* the largest block that a quick list takes */
    TABLE_ENTRIES_MIN = 32,
    BUCKET_BITS = 2, /* a bucket has 4 entries */
    BUCKET_ALIGN = VINE__BUCKET_ENTRIES * 32,
    HUGE_PAGE_BYTES = 2 * 1024 * 1024,
};

int vine__allocator_check_options(const struct vine_allocator_options *options,
                                  struct vine_allocator_options *ret_options)
{
    if (options == NULL || options->size_bytes != sizeof(*options))
        return -EINVAL;
    struct vine_allocator_options checked = *options;
    if (checked.granule_bytes == 0)
        checked.granule_bytes = 64;
    if (checked.granule_bytes != 16 && checked.granule_bytes != 64)
        return -EINVAL;
    if ((uint32_t)checked.strategy > VINE_ALLOCATOR_BUMP)
        return -EINVAL;
    if (checked.extent_bytes / checked.granule_bytes > VINE_ALLOCATOR_GRANULES_MAX)
        return -EINVAL;
    *ret_options = checked;
    return 0;
}

uint32_t vine__allocator_entries_of(const struct vine_allocator_options *options,
                                    uint32_t unit_count)
{
    if (options->strategy == VINE_ALLOCATOR_BUMP)
        return 0;
    if (options->blocks_max != 0)
        return (uint32_t)vine__min_u64(options->blocks_max, unit_count);
    return (uint32_t)vine__min_u64(vine__max_u64(unit_count / DERIVED_UNITS, DERIVED_ENTRIES_MIN),
                                   unit_count);
}

uint32_t vine__allocator_table_bits_of(uint32_t entries_max)
{
    const uint64_t entries = ((uint64_t)entries_max * 8 + 4) / 5;
    return vine__log2_u64(vine__ceil_power_of_two_u64(vine__max_u64(entries, TABLE_ENTRIES_MIN)));
}

/* A table that fills huge pages lies on them, where the program lets malloc have any. */
struct vine__block *vine__allocator_table_create(size_t bytes)
{
    const size_t align = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : (size_t)BUCKET_ALIGN;
    struct vine__block *table = aligned_alloc(align, (size_t)vine__round_up_u64(bytes, align));
    if (table != NULL)
        memset(table, 0, bytes);
    return table;
}

void vine__allocator_use_table(struct vine_allocator *allocator, struct vine__block *table,
                               uint32_t table_bits)
{
    allocator->table = table;
    allocator->table_mask = (1u << table_bits) - 1;
    allocator->bucket_shift = 64 - (table_bits - BUCKET_BITS);
    if (!allocator->shared)
        allocator->header->table_bits = table_bits;
    if (allocator->grows) {
        allocator->entries_max = (uint32_t)((uint64_t)5 << table_bits >> 3);
        allocator->header->entries_max = allocator->entries_max;
    }
}

void vine__allocator_begin(struct vine_allocator *allocator,
                           const struct vine_allocator_options *options, uint32_t unit_count,
                           uint32_t entries_max)
{
    const bool is_general = options->strategy == VINE_ALLOCATOR_GENERAL;
    allocator->magic = VINE__ALLOCATOR_HANDLE_MAGIC;
    allocator->strategy = options->strategy;
    allocator->unit_count = unit_count;
    allocator->entries_max = entries_max;
    allocator->granule_shift = vine__log2_u64(options->granule_bytes);
    allocator->quick_units_max =
        is_general ? (uint32_t)QUICK_BYTES_MAX / options->granule_bytes : 0;
    allocator->quick_slack = unit_count >> 6;
    VINE_ASSERT(vine__bin_of(allocator->quick_units_max) < VINE__QUICK_COUNT);
}

int vine_allocator_create(const struct vine_allocator_options *options,
                          struct vine_allocator **ret_allocator)
{
    struct vine_allocator_options checked;
    const int rc = vine__allocator_check_options(options, &checked);
    if (rc != 0)
        return rc;
    const uint32_t unit_count = (uint32_t)(checked.extent_bytes / checked.granule_bytes);
    if (unit_count == 0)
        return -EINVAL;
    const bool grows = checked.strategy == VINE_ALLOCATOR_GENERAL && checked.blocks_max == 0;
    if (grows)
        checked.blocks_max = GROWING_ENTRIES;
    const uint32_t entries_max = vine__allocator_entries_of(&checked, unit_count);
    const uint32_t table_bits = vine__allocator_table_bits_of(entries_max);
    const size_t table_bytes = sizeof(struct vine__block) << table_bits;

    struct vine_allocator *allocator = calloc(1, sizeof(*allocator));
    if (allocator == NULL)
        return -ENOMEM;
    vine__allocator_begin(allocator, &checked, unit_count, entries_max);
    allocator->grows = grows;
    allocator->table_bits_max = TABLE_BITS_MAX;
    if (grows && checked.blocks_limit != 0)
        allocator->table_bits_max = vine__allocator_table_bits_of(
            (uint32_t)vine__min_u64(checked.blocks_limit, unit_count));
    allocator->header = calloc(1, sizeof(*allocator->header));
    /* The table is touched here, so that no page of it is missing within an operation later. */
    struct vine__block *table = vine__allocator_table_create(table_bytes);
    if (allocator->header == NULL || table == NULL) {
        free(table);
        vine_allocator_destroy(allocator);
        return -ENOMEM;
    }
    allocator->header->entries_max = entries_max;
    vine__allocator_use_table(allocator, table, table_bits);
    allocator->books_bytes = sizeof(*allocator) + sizeof(*allocator->header) + table_bytes;
    if (checked.strategy != VINE_ALLOCATOR_BUMP)
        vine__blocks_clear(allocator);
    *ret_allocator = allocator;
    return 0;
}

uint64_t vine_allocator_books_bytes(const struct vine_allocator *allocator)
{
    VINE_ASSERT(allocator->magic == VINE__ALLOCATOR_HANDLE_MAGIC);
    return allocator->books_bytes;
}

void vine_allocator_destroy(struct vine_allocator *allocator)
{
    if (allocator == NULL)
        return;
    VINE_ASSERT(allocator->magic == VINE__ALLOCATOR_HANDLE_MAGIC);
    if (!allocator->shared) {
        free(allocator->header);
        free(allocator->table);
    }
    memset(allocator, 0, sizeof(*allocator));
    free(allocator);
}

static inline int enter(struct vine_allocator *allocator)
{
    VINE_ASSERT(allocator->magic == VINE__ALLOCATOR_HANDLE_MAGIC);
    allocator->steps = 0;
    if (__builtin_expect(allocator->shared, 0))
        return vine__allocator_lock(allocator);
    return 0;
}

/* Books that turned out to be damaged stay closed for everybody. */
static inline int leave(struct vine_allocator *allocator, int result)
{
    if (__builtin_expect(allocator->corrupt, 0)) {
        /* Relaxed: who sees it reads nothing else. */
        vine__store_relaxed_u32(&allocator->header->status, VINE__ALLOCATOR_CORRUPTED);
        result = -VINE_ECORRUPT;
    }
    if (__builtin_expect(allocator->steps > allocator->steps_seen, 0))
        allocator->steps_seen = allocator->steps;
    if (__builtin_expect(allocator->shared, 0))
        vine__allocator_unlock(allocator);
    return result;
}

static int bump_alloc(struct vine_allocator *allocator, uint64_t size_bytes, uint64_t *ret_offset)
{
    const uint64_t granule_mask = (1u << allocator->granule_shift) - 1;
    const uint32_t units = (uint32_t)((size_bytes + granule_mask) >> allocator->granule_shift);
    struct vine__allocator_header *header = allocator->header;
    const uint32_t cursor = header->cursor_units;
    if (cursor > allocator->unit_count || units > allocator->unit_count - cursor)
        return -ENOMEM;
    header->cursor_units = cursor + units;
    header->live_bytes += size_bytes;
    header->live_count++;
    *ret_offset = (uint64_t)cursor << allocator->granule_shift;
    return 0;
}

static uint32_t block_alloc(struct vine_allocator *allocator, uint64_t size_bytes)
{
    const uint64_t granule_mask = (1u << allocator->granule_shift) - 1;
    const uint32_t units = (uint32_t)((size_bytes + granule_mask) >> allocator->granule_shift);
    const uint32_t index = allocator->strategy == VINE_ALLOCATOR_GENERAL
                               ? vine__general_take(allocator, units)
                               : vine__blocks_take(allocator, units);
    if (index == 0)
        return 0;
    vine__block_hand_out(allocator, index, size_bytes);
    /* Damaged books must not lead the caller outside of the extent. */
    const uint32_t unit = vine__block_offset_units(vine__block_at(allocator, index));
    if (__builtin_expect(!vine__range_is_within_u64(unit, units, allocator->unit_count), 0))
        allocator->corrupt = true;
    return index;
}

int vine_allocator_alloc(struct vine_allocator *allocator, uint64_t size_bytes,
                         uint64_t *ret_offset)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    if (size_bytes == 0)
        return leave(allocator, -EINVAL);
    if (size_bytes > (uint64_t)allocator->unit_count << allocator->granule_shift)
        return leave(allocator, -ENOMEM);
    if (allocator->strategy == VINE_ALLOCATOR_BUMP)
        return leave(allocator, bump_alloc(allocator, size_bytes, ret_offset));
    const uint32_t index = block_alloc(allocator, size_bytes);
    if (index == 0)
        return leave(allocator, -ENOMEM);
    const uint64_t unit = vine__block_offset_units(vine__block_at(allocator, index));
    rc = leave(allocator, 0);
    if (rc == 0)
        *ret_offset = unit << allocator->granule_shift;
    return rc;
}

uint32_t vine__allocator_take(struct vine_allocator *allocator, uint64_t size_bytes)
{
    VINE_ASSERT(allocator->magic == VINE__ALLOCATOR_HANDLE_MAGIC && !allocator->shared);
    if (size_bytes > (uint64_t)allocator->unit_count << allocator->granule_shift)
        return 0;
    return block_alloc(allocator, size_bytes);
}

static inline void free_index(struct vine_allocator *allocator, uint32_t index)
{
    if (allocator->strategy == VINE_ALLOCATOR_GENERAL) {
        vine__general_free(allocator, index);
    } else {
        vine__block_take_back(allocator, index, VINE__BLOCK_FREE);
        vine__blocks_release(allocator, index);
    }
}

void vine__allocator_give(struct vine_allocator *allocator, uint32_t index)
{
    free_index(allocator, index);
}

int vine_allocator_free(struct vine_allocator *allocator, uint64_t offset)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    if (allocator->strategy == VINE_ALLOCATOR_BUMP)
        return leave(allocator, -EOPNOTSUPP);
    const uint32_t index = vine__block_find_live(allocator, offset);
    if (index == 0)
        return leave(allocator, -VINE_ETOKEN);
    free_index(allocator, index);
    return leave(allocator, 0);
}

int vine_allocator_size_of(struct vine_allocator *allocator, uint64_t offset,
                           uint64_t *ret_size_bytes)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    if (allocator->strategy == VINE_ALLOCATOR_BUMP)
        return leave(allocator, -EOPNOTSUPP);
    const uint32_t index = vine__block_find_live(allocator, offset);
    if (index == 0)
        return leave(allocator, -VINE_ETOKEN);
    const uint64_t units = vine__block_units(vine__block_at(allocator, index));
    rc = leave(allocator, 0);
    if (rc == 0)
        *ret_size_bytes = units << allocator->granule_shift;
    return rc;
}

static int shrink_index(struct vine_allocator *allocator, uint32_t index, uint64_t size_bytes)
{
    struct vine__block *found = vine__block_at(allocator, index);
    const uint32_t unit = vine__block_offset_units(found);
    const uint32_t units = vine__block_units(found);
    const uint64_t granted = (uint64_t)units << allocator->granule_shift;
    const uint64_t asked = granted - found->slack_bytes;
    if (size_bytes == 0 || size_bytes > granted)
        return -EINVAL;
    const uint64_t granule_mask = (1u << allocator->granule_shift) - 1;
    uint32_t units_left = (uint32_t)((size_bytes + granule_mask) >> allocator->granule_shift);
    if (units_left <= allocator->quick_units_max)
        units_left = vine__round_up_to_bin(units_left);
    /* An entry that is found after our death must not have more slack than bytes. */
    found->slack_bytes = 0;
    if (units_left < units && vine__blocks_trim(allocator, index, units_left))
        index = vine__block_find(allocator, unit);
    struct vine__block *block = vine__block_at(allocator, index);
    const uint64_t left = (uint64_t)vine__block_units(block) << allocator->granule_shift;
    /* What could not be cut off may be more than an entry can say. */
    const uint64_t slack = vine__min_u64(left - size_bytes, UINT32_MAX);
    block->slack_bytes = (uint32_t)slack;
    allocator->header->live_bytes += left - slack - asked;
    return 0;
}

int vine_allocator_shrink(struct vine_allocator *allocator, uint64_t offset, uint64_t size_bytes)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    if (allocator->strategy == VINE_ALLOCATOR_BUMP)
        return leave(allocator, -EOPNOTSUPP);
    const uint32_t index = vine__block_find_live(allocator, offset);
    if (index == 0)
        return leave(allocator, -VINE_ETOKEN);
    return leave(allocator, shrink_index(allocator, index, size_bytes));
}

int vine_allocator_reset(struct vine_allocator *allocator)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    if (allocator->strategy == VINE_ALLOCATOR_BUMP) {
        allocator->header->cursor_units = 0;
        allocator->header->live_bytes = 0;
        allocator->header->live_count = 0;
    } else {
        vine__blocks_clear(allocator);
    }
    return leave(allocator, 0);
}

int vine_allocator_stats(struct vine_allocator *allocator, struct vine_allocator_stats *ret_stats)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    vine__quick_flush(allocator);
    allocator->steps = 0;
    const struct vine__allocator_header *header = allocator->header;
    const bool is_bump = allocator->strategy == VINE_ALLOCATOR_BUMP;
    const uint32_t granted = is_bump ? header->cursor_units : header->live_units;
    const uint32_t free_units = allocator->unit_count - granted;
    const uint32_t largest = is_bump ? free_units : vine__blocks_largest(allocator);
    const struct vine_allocator_stats stats = {
        .extent_bytes = (uint64_t)allocator->unit_count << allocator->granule_shift,
        .live_bytes = header->live_bytes,
        .granted_bytes = (uint64_t)granted << allocator->granule_shift,
        .free_bytes = (uint64_t)free_units << allocator->granule_shift,
        .largest_free_bytes = (uint64_t)largest << allocator->granule_shift,
        .books_bytes = allocator->books_bytes,
        .live_blocks = header->live_count,
        .free_blocks = is_bump ? (free_units != 0) : header->free_count,
        .books_blocks = allocator->entries_max,
        .repairs = header->repairs,
    };
    rc = leave(allocator, 0);
    if (rc == 0)
        *ret_stats = stats;
    return rc;
}

int vine_allocator_validate(struct vine_allocator *allocator)
{
    int rc = enter(allocator);
    if (rc != 0)
        return rc;
    rc = vine__allocator_check_books(allocator);
    allocator->steps = 0;
    return leave(allocator, rc);
}

void *vine_allocator_base(const struct vine_allocator *allocator)
{
    return allocator->base;
}

uint32_t vine_allocator_steps_seen(const struct vine_allocator *allocator)
{
    return allocator->steps_seen == 0 ? 0 : allocator->steps_seen + VINE__STEPS_STRAIGHT;
}
