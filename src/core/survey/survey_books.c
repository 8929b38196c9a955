/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books of an allocator that lie in shared memory: the header, and each block against the equation
 * that docs/formats/allocator.md states. Who holds them may be at work: then sums differ for a
 * moment, and where it has died, until the next one repairs them.
 */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/peer/process.h"
#include "core/allocator/allocator_layout.h"
#include "utils/bits.h"

#include <vine/allocator.h>

#define BOOKS(field) offsetof(struct vine__allocator_header, field)

struct books {
    struct vine__allocator_header header;
    struct vine__block *table;
    uint64_t table_count;
    uint64_t base; /* of the header, in the segment */
    uint64_t entries, live, quick, unused;
    uint64_t live_units, quick_units, free_units, live_bytes;
};

static void expect(struct vine__look *look, uint64_t offset, const char *name, uint64_t found,
                   uint64_t expected)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, expected);
    if (found != expected)
        vine__survey_fault(look, offset, text, "%s %" PRIu64, name, found);
}

static void look_at_owner(struct vine__survey_region *region, uint64_t owner)
{
    const int32_t pid = (int32_t)(uint32_t)owner;
    uint64_t start_ticks = 0;

    if (owner == 0)
        return;
    region->holder_pid = pid;
    const int error = pid > 0 ? vine__process_start_time(pid, &start_ticks) : -1;

    region->holder_is_dead = error != 0 || (uint32_t)start_ticks != (uint32_t)(owner >> 32);
}

/* Whether the header lets the table be walked. */
static bool look_at_books_header(struct vine__look *look, const struct vine__survey_region *region,
                                 const struct books *books)
{
    const struct vine__allocator_header *header = &books->header;
    const uint64_t base = books->base;
    const uint32_t faults = look->survey->fault_count;

    expect(look, base + BOOKS(version), "version", header->version, VINE__ALLOCATOR_VERSION);
    expect(look, base + BOOKS(fingerprint), "fingerprint", header->fingerprint,
           VINE__ALLOCATOR_FINGERPRINT);
    if (look->survey->fault_count != faults)
        return false;
    if (header->status == VINE__ALLOCATOR_INITIALIZING) {
        vine__survey_note(look, base + BOOKS(status), "they are being made");
        return false;
    }
    expect(look, base + BOOKS(status), "status", header->status, VINE__ALLOCATOR_READY);
    if (header->strategy > VINE_ALLOCATOR_BUMP)
        vine__survey_fault(look, base + BOOKS(strategy), "0 to 2", "strategy %u", header->strategy);
    if (header->granule_bytes != 16 && header->granule_bytes != 64)
        vine__survey_fault(look, base + BOOKS(granule_bytes), "16 or 64", "granule_bytes %u",
                           header->granule_bytes);
    if (header->unit_count == 0 || header->unit_count > VINE_ALLOCATOR_GRANULES_MAX)
        vine__survey_fault(look, base + BOOKS(unit_count), "1 to 1073741823", "unit_count %u",
                           header->unit_count);
    if (!vine__range_is_within_u64(header->extent_offset,
                                   (uint64_t)header->unit_count * header->granule_bytes,
                                   region->size_bytes))
        vine__survey_fault(look, base + BOOKS(extent_offset), "an extent within the region",
                           "%u granules at %" PRIu64, header->unit_count, header->extent_offset);
    expect(look, base + BOOKS(total_bytes), "total_bytes", header->total_bytes,
           header->extent_offset + (uint64_t)header->unit_count * header->granule_bytes);
    if (header->table_bits > 30 || header->table_offset < sizeof *header ||
        !vine__range_is_within_u64(header->table_offset,
                                   sizeof(struct vine__block) << (header->table_bits & 31),
                                   header->extent_offset)) {
        vine__survey_fault(look, base + BOOKS(table_offset), "a table before the extent",
                           "2^%u entries at %" PRIu64, header->table_bits, header->table_offset);
        return false;
    }
    return look->survey->fault_count == faults;
}

/* One entry; 0 is the edge. Returns whether it may stand in a sum. */
static void look_at_block(struct vine__look *look, struct books *books, uint64_t index)
{
    const struct vine__block *block = &books->table[index];
    const uint32_t units = block->state_units & VINE__BLOCK_UNITS_MASK;
    const uint32_t state = block->state_units & VINE__BLOCK_STATE_MASK;
    const uint64_t bytes = (uint64_t)units * books->header.granule_bytes;
    const uint64_t offset =
        books->base + books->header.table_offset + index * sizeof(struct vine__block);
    char text[56];

    if (block->key == 0)
        return;
    books->entries++;
    vine__survey_at(look, "books, block %" PRIu64, index);
    if (units == 0 || !vine__range_is_within_u64(block->key - 1, units, books->header.unit_count)) {
        (void)snprintf(text, sizeof text, "1 at least, within %u", books->header.unit_count);
        vine__survey_fault(look, offset, text, "%u granules at %u", units, block->key - 1);
    }
    if (block->before >= books->table_count || block->after >= books->table_count)
        vine__survey_fault(look, offset + 8, "entries of the table", "neighbours %u and %u",
                           block->before, block->after);
    else if (block->after != 0 && books->table[block->after].key != block->key + units)
        vine__survey_fault(look, offset + 12, "the block that begins where this one ends",
                           "the neighbour %u, at %u", block->after,
                           books->table[block->after].key - 1);
    switch (state) {
    case VINE__BLOCK_LIVE:
        books->live++;
        books->live_units += units;
        books->live_bytes += bytes - vine__min_u64(block->slack_bytes, bytes);
        if (block->slack_bytes >= bytes && units != 0)
            vine__survey_fault(look, offset + 16, "less than the block has", "slack_bytes %u",
                               block->slack_bytes);
        break;
    case VINE__BLOCK_QUICK:
        books->quick++;
        books->quick_units += units;
        break;
    case VINE__BLOCK_FREE:
        books->unused++;
        books->free_units += units;
        break;
    default:
        vine__survey_fault(look, offset + 4, "1, 2 or 3", "state 0");
    }
}

static void look_at_sums(struct vine__look *look, const struct books *books)
{
    const struct vine__allocator_header *header = &books->header;
    const uint64_t base = books->base;

    vine__survey_at(look, "books");
    expect(look, base + BOOKS(entry_count), "entry_count", header->entry_count, books->entries);
    expect(look, base + BOOKS(live_count), "live_count", header->live_count, books->live);
    expect(look, base + BOOKS(free_count), "free_count", header->free_count, books->unused);
    expect(look, base + BOOKS(quick_count), "quick_count", header->quick_count, books->quick);
    expect(look, base + BOOKS(live_units), "live_units", header->live_units, books->live_units);
    expect(look, base + BOOKS(quick_units), "quick_units", header->quick_units, books->quick_units);
    expect(look, base + BOOKS(live_bytes), "live_bytes", header->live_bytes, books->live_bytes);
    expect(look, base + BOOKS(unit_count), "unit_count", header->unit_count,
           books->live_units + books->quick_units + books->free_units);
}

static void look_at_table(struct vine__look *look, struct vine__survey_region *region,
                          struct books *books)
{
    const size_t bytes = sizeof(struct vine__block) << books->header.table_bits;

    books->table_count = UINT64_C(1) << books->header.table_bits;
    books->table = malloc(bytes);
    if (books->table == NULL ||
        !vine__survey_read(look, books->base + books->header.table_offset, books->table, bytes))
        return;
    for (uint64_t i = 1; i < books->table_count; i++)
        look_at_block(look, books, i);
    look_at_sums(look, books);
    region->count = books->live;
    region->bytes = books->live_bytes;
}

void vine__survey_at_books(struct vine__look *look, struct vine__survey_region *region)
{
    struct books *books = calloc(1, sizeof *books);

    region->is = VINE__SURVEY_BOOKS;
    vine__survey_at(look, "books");
    if (books == NULL)
        return;
    books->base = region->offset_bytes;
    if (vine__survey_read(look, books->base, &books->header, sizeof books->header) &&
        look_at_books_header(look, region, books)) {
        const struct vine__allocator_header *header = &books->header;

        region->room = (uint64_t)header->unit_count * header->granule_bytes;
        look_at_owner(region, header->owner);
        if (region->holder_is_dead)
            vine__survey_note(look, books->base + BOOKS(owner),
                              "process %d has died with the books: the next one repairs them",
                              region->holder_pid);
        else if (header->strategy == VINE_ALLOCATOR_BUMP)
            region->bytes = (uint64_t)header->cursor_units * header->granule_bytes;
        if (header->strategy == VINE_ALLOCATOR_BUMP && header->cursor_units > header->unit_count)
            vine__survey_fault(look, books->base + BOOKS(cursor_units), "unit_count at most",
                               "cursor_units %u", header->cursor_units);
        else if (header->strategy != VINE_ALLOCATOR_BUMP && !region->holder_is_dead)
            look_at_table(look, region, books);
    }
    free(books->table);
    free(books);
}
