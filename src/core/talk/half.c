/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/half.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/talk_protocol.h"
#include "utils/assert.h"
#include "utils/bits.h"

uint32_t vine__ring_slots(uint32_t tasks_max)
{
    const uint64_t slots = vine__ceil_power_of_two_u64(((uint64_t)tasks_max * 4 + 2) / 3);

    return slots < 4 ? 4 : (uint32_t)slots;
}

uint64_t vine__half_fingerprint(void)
{
    static const uint64_t numbers[] = {
        VINE_CACHE_LINE,
        sizeof(struct vine_slot),
        sizeof(struct vine_half_layout),
        sizeof(struct vine_wire_submission),
        sizeof(struct vine_wire_completion),
        sizeof(struct vine_wire_descriptor),
        sizeof(struct vine_wire_description),
        VINE_TALK_CHANNELS_MAX,
        VINE_TALK_UNIT,
    };

    return vine_segment_fingerprint(numbers, sizeof numbers / sizeof numbers[0]);
}

static int make_allocator(struct vine__half_extent *extent)
{
    struct vine_allocator_options options = {
        .size_bytes = sizeof options,
        .strategy = VINE_ALLOCATOR_GENERAL,
        .granule_bytes = VINE_TALK_UNIT,
        .extent_bytes = extent->size_bytes - extent->heap_offset,
    };

    return vine_allocator_create(&options, &extent->allocator);
}

/* Takes the extent over, unless it fails. */
static int add_extent(struct vine__half *half, const struct vine__half_extent *extent)
{
    const struct vine_box_extent box_extent = {
        .base = extent->base,
        .size_bytes = extent->size_bytes,
        .heap_bytes = extent->heap_offset,
        .allocator = extent->allocator,
    };
    struct vine_extent_index index;
    const int error = vine_box_book_add_extent(half->book, &box_extent, &index);

    if (error)
        return error;
    VINE_ASSERT(index.value == half->extent_count);
    half->extents[half->extent_count++] = *extent;
    half->size_bytes += extent->size_bytes;
    return 0;
}

int vine__half_place(struct vine__half *half, void *memory, uint64_t size_bytes)
{
    struct vine__half_extent extent = {
        .base = memory,
        .size_bytes = size_bytes,
        .heap_offset = sizeof(struct vine_half_layout),
    };

    VINE_STATIC_ASSERT(sizeof(struct vine_half_layout) % VINE_TALK_UNIT == 0, "heap's start");
    if (size_bytes < sizeof(struct vine_half_layout) + VINE_TALK_UNIT)
        return -EINVAL;

    memset(half, 0, sizeof *half);
    half->layout = memory;
    half->bytes_max = size_bytes;

    int error = vine_box_book_create(VINE_TALK_EXTENTS_MAX, &half->book);

    if (!error)
        error = make_allocator(&extent);
    if (!error) {
        error = add_extent(half, &extent);
        if (error)
            vine_allocator_destroy(extent.allocator);
    }
    if (error)
        vine__half_close(half);
    return error;
}

int vine__half_create(struct vine__half *half, const struct vine__half_options *options)
{
    struct vine_segment_options segment_options;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    const enum vine_segment_kind kind = options->side == VINE_SEGMENT_APPLICATION
                                            ? VINE_SEGMENT_KIND_APPLICATION_HALF
                                            : VINE_SEGMENT_KIND_APPLIANCE_HALF;
    void *region = NULL;
    uint64_t region_bytes = 0;

    vine_segment_options_init(&segment_options);
    segment_options.backend = VINE_SEGMENT_MEMFD;
    segment_options.side = options->side;
    segment_options.name =
        options->side == VINE_SEGMENT_APPLICATION ? "vine-application" : "vine-appliance";
    segment_options.fingerprint = vine__half_fingerprint();
    segment_options.generation = options->generation;
    segment_options.peer_uid = options->peer_uid;
    memcpy(segment_options.identity, options->uuid, sizeof segment_options.identity);
    segment_options.region_count = 1;
    segment_options.regions[0].kind = kind;
    segment_options.regions[0].size_bytes = VINE__HALF_BYTES - VINE_SEGMENT_HEADER_BYTES;

    int error = vine_segment_create(&segment_options, &segment, &report);

    if (!error)
        error = vine_segment_find(segment, kind, &region, &region_bytes);
    if (!error)
        error = vine__half_place(half, region, region_bytes);
    if (!error)
        error = vine_segment_publish(segment);
    if (error) {
        if (options->why)
            (void)snprintf(options->why, options->why_size, "%s", report.why);
        vine_segment_unref(segment);
        return error;
    }
    half->segment = segment;
    half->size_bytes = vine_segment_size(segment);
    half->bytes_max = options->bytes_max;
    return 0;
}

void vine__half_close(struct vine__half *half)
{
    for (uint32_t i = 0; i < half->extent_count; i++) {
        vine_allocator_destroy(half->extents[i].allocator);
        vine__memory_unref(half->extents[i].memory);
    }
    vine_box_book_destroy(half->book);
    vine_segment_unref(half->segment);
    memset(half, 0, sizeof *half);
}

/* A further memory object, twice as large as the last one so that few are needed, large enough for
 * `size_bytes`, and within the quota. */
static int grow(struct vine__half *half, uint64_t size_bytes)
{
    const uint64_t room =
        half->bytes_max > half->size_bytes ? half->bytes_max - half->size_bytes : 0;
    const uint64_t needed = vine__round_up_u64(size_bytes, 4096);
    uint64_t bytes = 2 * half->extents[half->extent_count - 1].size_bytes;

    if (half->announce == NULL || half->extent_count == VINE_TALK_EXTENTS_MAX || needed > room)
        return -VINE_EQUOTA;
    bytes = vine__round_up_u64(vine__max_u64(bytes, needed), 4096);
    bytes = vine__min_u64(bytes, vine__round_down_u64(room, 4096));

    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__half_extent extent = {.size_bytes = bytes};

    options.backend = VINE__MEMORY_MEMFD;
    options.name = "vine-extent";
    options.size_bytes = bytes;

    int error = vine__memory_create(&options, &extent.memory);

    if (error)
        return error;
    extent.base = vine__memory_base(extent.memory);
    extent.size_bytes = vine__memory_size(extent.memory);
    error = make_allocator(&extent);
    if (!error)
        error = half->announce(half->announce_context, half->extent_count, &extent);
    if (!error) {
        error = add_extent(half, &extent);
        if (error)
            half->announce =
                NULL; /* the other side knows an extent that we lack: no more of them */
    }
    if (error) {
        vine_allocator_destroy(extent.allocator);
        vine__memory_unref(extent.memory);
        return error;
    }
    if (half->segment != NULL)
        (void)!vine_segment_extent_add(half->segment, extent.size_bytes);
    return 0;
}

static int alloc_in(struct vine__half *half, uint32_t index, uint64_t size_bytes,
                    struct vine__box *ret_box)
{
    struct vine__half_extent *extent = &half->extents[index];
    uint64_t heap_offset = 0;
    const int error = vine_allocator_alloc(extent->allocator, size_bytes, &heap_offset);

    if (error)
        return error;

    const uint64_t offset = extent->heap_offset + heap_offset;

    ret_box->memory = extent->base + offset;
    ret_box->size_bytes = size_bytes;
    ret_box->heap_offset = heap_offset;
    ret_box->extent = index;
    ret_box->offset_units = (uint32_t)(offset / VINE_TALK_UNIT);
    return 0;
}

int vine__half_alloc(struct vine__half *half, uint64_t size_bytes, struct vine__box *ret_box)
{
    const uint64_t wanted = size_bytes ? size_bytes : 1;

    if (wanted > half->bytes_max || wanted > UINT32_MAX)
        return -VINE_ETOOBIG;
    /* The newest extent is the largest and the likeliest to have room. */
    for (uint32_t i = half->extent_count; i-- > 0;)
        if (alloc_in(half, i, wanted, ret_box) == 0) {
            ret_box->size_bytes = size_bytes;
            return 0;
        }

    int error = grow(half, wanted);

    if (!error)
        error = alloc_in(half, half->extent_count - 1, wanted, ret_box);
    if (!error)
        ret_box->size_bytes = size_bytes;
    return error;
}

int vine__half_create_box(struct vine__half *half, uint16_t type, uint64_t length,
                          struct vine_box *ret_box)
{
    const struct vine_box_type box_type = {.value = type};

    if (length > half->bytes_max || length > UINT32_MAX)
        return -VINE_ETOOBIG;

    int error = vine_box_create(half->book, box_type, (uint32_t)length, ret_box);

    if (error == -ENOMEM) {
        error = grow(half, length);
        if (!error)
            error = vine_box_create(half->book, box_type, (uint32_t)length, ret_box);
    }
    return error;
}

void vine__half_free(struct vine__half *half, const struct vine__box *box)
{
    const int error = vine_allocator_free(half->extents[box->extent].allocator, box->heap_offset);

    VINE_ASSERT(error == 0);
}

void vine__half_shrink(struct vine__half *half, struct vine__box *box, uint64_t size_bytes)
{
    const uint64_t kept = size_bytes ? size_bytes : 1;

    if (vine_allocator_shrink(half->extents[box->extent].allocator, box->heap_offset, kept) == 0)
        box->size_bytes = size_bytes;
}
