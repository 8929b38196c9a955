/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/half.h"

#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "core/allocator/marks.h"
#include "core/talk/talk_protocol.h"
#include "utils/assert.h"
#include "utils/atomic.h"
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

/* Extents double up to this, or to a few of the items that ask for room: a small item does not wait
 * for a large extent, and large ones share. Where 64 of them would not make the half, they are
 * larger. */
#define EXTENT_BYTES  (8ULL << 20)
#define SHARED_BYTES  (64ULL << 20)
#define ITEMS         4
#define EXTENTS_LEAST (VINE_TALK_EXTENTS_MAX / 2)

/* Boxes in an extent: no doubling of its books takes longer than for so many. */
#define BOXES_LIMIT 65536

static int make_allocator(struct vine__half_extent *extent)
{
    struct vine_allocator_options options = {
        .size_bytes = sizeof options,
        .strategy = VINE_ALLOCATOR_GENERAL,
        .granule_bytes = VINE_TALK_UNIT,
        .extent_bytes = extent->size_bytes - extent->heap_offset,
        .blocks_limit = BOXES_LIMIT,
    };

    return vine_allocator_create(&options, &extent->allocator);
}

/* The books of an extent may have grown. */
static void charge_books(struct vine__half *half, uint32_t index)
{
    struct vine__half_extent *extent = &half->extents[index];
    const uint64_t bytes = vine_allocator_books_bytes(extent->allocator);

    if (half->quota == NULL || bytes == extent->books_bytes)
        return;
    vine__quota_add(half->quota, bytes - extent->books_bytes);
    extent->books_bytes = bytes;
}

void vine__half_charge(struct vine__half *half, struct vine__quota *quota)
{
    half->quota = quota;
    vine__quota_add(quota, half->size_bytes);
    for (uint32_t i = 0; i < half->extent_count; i++)
        charge_books(half, i);
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

/* Where it lies: in memory of our own, or in a device's. */
static void choose_memory(const struct vine__half_options *options,
                          struct vine_segment_options *segment_options)
{
    uint64_t bytes = VINE__HALF_BYTES;

    if (options->device != NULL) {
        /* Who is there is told by the host. A side would be given back when the memory is unmapped,
         * and by then it may be the next one's. */
        segment_options->backend = VINE_SEGMENT_IVSHMEM;
        segment_options->name = options->device;
        segment_options->sysfs_root = options->sysfs_root;
        segment_options->sole_writer = true;
        bytes = options->device_bytes;
    } else {
        segment_options->backend = VINE_SEGMENT_MEMFD;
        segment_options->side = options->side;
        segment_options->name =
            options->side == VINE_SEGMENT_APPLICATION ? "vine-application" : "vine-appliance";
    }
    segment_options->regions[0].size_bytes = bytes - VINE_SEGMENT_HEADER_BYTES;
}

/* Whoever still reads what our predecessor left finds that its meeting is over before it finds
 * anything that makes no sense. */
static void clear_board(struct vine_half_layout *layout)
{
    vine__store_relaxed_u64(&layout->board.meeting, 0);
    vine__fence_full();
    memset(layout, 0, sizeof *layout);
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
    choose_memory(options, &segment_options);
    segment_options.fingerprint = vine__half_fingerprint();
    segment_options.generation = options->generation;
    segment_options.peer_uid = options->peer_uid;
    memcpy(segment_options.identity, options->uuid, sizeof segment_options.identity);
    segment_options.region_count = 1;
    segment_options.regions[0].kind = kind;

    int error = vine_segment_create(&segment_options, &segment, &report);

    if (!error)
        error = vine_segment_find(segment, kind, &region, &region_bytes);
    if (!error && options->device != NULL)
        clear_board(region);
    if (!error)
        error = vine__half_place(half, region, region_bytes);
    if (!error)
        error = vine_segment_publish(segment);
    if (error) {
        if (options->why)
            vine__why_say(options->why, "%s", report.why);
        vine_segment_unref(segment);
        return error;
    }
    half->segment = segment;
    half->size_bytes = vine_segment_size(segment);
    half->bytes_max = options->bytes_max;
    return 0;
}

static void close_extent(struct vine__half *half, struct vine__half_extent *extent)
{
    if (half->quota != NULL)
        vine__quota_give(half->quota, extent->books_bytes);
    vine_allocator_destroy(extent->allocator);
    vine__memory_close(extent->memory);
}

bool vine__half_close_step(struct vine__half *half, uint64_t step_bytes)
{
    struct vine__half_extent *last = &half->extents[half->extent_count - 1];

    if (half->growing != NULL && vine__memory_unmap_step(half->growing, step_bytes))
        return true;
    if (half->extent_count <= 1)
        return false;
    if (vine__memory_unmap_step(last->memory, step_bytes))
        return true;
    if (half->quota != NULL)
        vine__quota_give(half->quota, last->size_bytes);
    half->size_bytes -= last->size_bytes;
    close_extent(half, last);
    return --half->extent_count > 1;
}

void vine__half_close(struct vine__half *half)
{
    if (half->quota != NULL)
        vine__quota_give(half->quota,
                         half->size_bytes +
                             (half->growing != NULL ? vine__memory_size(half->growing) : 0));
    for (uint32_t i = 0; i < half->extent_count; i++)
        close_extent(half, &half->extents[i]);
    vine__memory_close(half->growing);
    vine_box_book_destroy(half->book);
    vine_segment_unref(half->segment);
    memset(half, 0, sizeof *half);
}

/* ---- growing --------------------------------------------------------------------------------- */

/* Let the half have a further extent, and the other side know it. Takes the memory over. */
static int add_memory(struct vine__half *half, struct vine__memory *memory)
{
    struct vine__half_extent extent = {
        .base = vine__memory_base(memory),
        .size_bytes = vine__memory_size(memory),
        .memory = memory,
    };
    int error = make_allocator(&extent);

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
        if (half->quota != NULL)
            vine__quota_give(half->quota, extent.size_bytes);
        vine__memory_close(memory);
        return error;
    }
    charge_books(half, half->extent_count - 1);
    if (half->segment != NULL)
        (void)!vine_segment_extent_add(half->segment, extent.size_bytes);
    return 0;
}

int vine__half_grow_step(struct vine__half *half, uint64_t step_bytes)
{
    struct vine__memory *memory = half->growing;

    VINE_ASSERT(memory != NULL);

    int error = vine__memory_step(memory, step_bytes);

    if (error > 0)
        return error;
    half->growing = NULL;
    if (!error) {
        error = add_memory(half, memory);
    } else {
        if (half->quota != NULL)
            vine__quota_give(half->quota, vine__memory_size(memory));
        vine__memory_close(memory);
    }
    half->growth_error = error;
    return error;
}

/* Of the next extent, within the quota; 0 if there is no room for what is needed. */
static uint64_t next_size(const struct vine__half *half, uint64_t needed_bytes)
{
    const uint64_t doubled = 2 * half->extents[half->extent_count - 1].size_bytes;
    const uint64_t shared = vine__min_u64(ITEMS * needed_bytes, SHARED_BYTES);
    const uint64_t most =
        vine__max_u64(vine__max_u64(EXTENT_BYTES, shared), half->bytes_max / EXTENTS_LEAST);
    uint64_t room = half->bytes_max > half->size_bytes ? half->bytes_max - half->size_bytes : 0;

    if (half->quota != NULL)
        room = vine__min_u64(room, vine__quota_room(half->quota));
    room = vine__round_down_u64(room, 4096);
    if (needed_bytes > room)
        return 0;
    return vine__min_u64(
        vine__round_up_u64(vine__max_u64(vine__min_u64(doubled, most), needed_bytes), 4096), room);
}

/* A further memory object with room for `size_bytes`. */
static int grow(struct vine__half *half, uint64_t size_bytes)
{
    const uint64_t bytes = next_size(half, vine__round_up_u64(size_bytes, 4096));
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;
    int error = half->growth_error;

    if (half->growing != NULL)
        return -EINPROGRESS;
    half->growth_error = 0;
    if (error)
        return error;
    if (half->announce == NULL || half->extent_count == VINE_TALK_EXTENTS_MAX || bytes == 0 ||
        (half->quota != NULL && vine__quota_take(half->quota, bytes) != 0))
        return -VINE_EQUOTA;
    options.backend = VINE__MEMORY_MEMFD;
    options.name = "vine-extent";
    options.size_bytes = bytes;
    options.in_steps = half->in_steps;
    error = vine__memory_create(&options, &memory);
    if (error) {
        if (half->quota != NULL)
            vine__quota_give(half->quota, bytes);
        return error;
    }
    if (!half->in_steps)
        return add_memory(half, memory);
    half->growing = memory;
    return -EINPROGRESS;
}

/* Whether what it holds has outgrown its quota, which books can bring about. */
static bool is_over(const struct vine__half *half)
{
    return half->quota != NULL && vine__quota_held(half->quota) > half->quota->bytes_max;
}

/* ---- allocating ------------------------------------------------------------------------------ */

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
    int error = -ENOMEM;

    if (wanted > UINT32_MAX)
        return -VINE_ETOOBIG;
    if (is_over(half))
        return -VINE_EQUOTA;
    /* The newest extent is the largest and the likeliest to have room. */
    for (uint32_t i = half->extent_count; i-- > 0 && error;)
        error = alloc_in(half, i, wanted, ret_box);
    if (error) {
        error = grow(half, wanted);
        if (!error)
            error = alloc_in(half, half->extent_count - 1, wanted, ret_box);
    }
    if (error)
        return error;
    ret_box->size_bytes = size_bytes;
    charge_books(half, ret_box->extent);
    return 0;
}

int vine__half_create_box(struct vine__half *half, uint16_t type, uint64_t length, uint32_t mark,
                          struct vine_box *ret_box)
{
    const struct vine_box_type box_type = {.value = type};

    if (length > UINT32_MAX)
        return -VINE_ETOOBIG;
    if (is_over(half))
        return -VINE_EQUOTA;

    int error = vine__box_create_marked(half->book, box_type, (uint32_t)length, mark, ret_box);

    if (error == -ENOMEM) {
        error = grow(half, length);
        if (!error)
            error = vine__box_create_marked(half->book, box_type, (uint32_t)length, mark, ret_box);
    }
    if (!error)
        charge_books(half, ret_box->token.extent);
    return error;
}

void vine__half_free(struct vine__half *half, const struct vine__box *box)
{
    const int error = vine_allocator_free(half->extents[box->extent].allocator, box->heap_offset);

    VINE_ASSERT(error == 0);
}
