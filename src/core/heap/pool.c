/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core's slots. They lie one behind the other in one reservation, the colours taking turns, and a
 * slot is touched first when all that were given before are taken. Given ones wait in a list of
 * their colour, the last one first, as it is the one whose memory the caches still have.
 *
 * Invariant: prepared = taken + free of all colours; warm_count of the free ones have memory.
 */
#include "core/heap/heap.h"

#include "core/heap/heap_internal.h"
#include "core/heap/poison.h"
#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAP_BYTES (UINT32_C(64) << 10)
#define WARM_COUNT 256U
#define KEPT_PAGES 4U /* of a heap that is given: beyond, wiping costs more than new pages */
#define NONE       UINT32_MAX

struct slot {
    struct vine__heap heap;
    uint32_t next; /* of the free ones of its colour; NONE: the last */
    bool is_taken;
    bool is_warm;  /* free, and it has memory */
    bool is_dirty; /* which has not been wiped yet */
};

enum refusal {
    REFUSED_NONE,
    REFUSED_COUNT,
    REFUSED_COLOUR,
    REFUSED_KERNEL,
};

/* In memory of the runtime's own: what is here is believed. */
struct vine__heap_pool {
    size_t own_bytes; /* of this, with its slots */
    unsigned char *start;
    size_t reserved_bytes;
    size_t stride_bytes; /* from slot to slot */
    uint32_t page_bytes;
    uint32_t heap_bytes;
    uint32_t count_asked;
    uint32_t taken_max;
    uint32_t slot_count;
    uint32_t prepared_of[VINE__GUARD_COLOURS_MAX]; /* slots of a colour that were taken once */
    uint32_t free_of[VINE__GUARD_COLOURS_MAX];     /* the first free one of each colour, or NONE */
    uint32_t colour_count;
    uint32_t next_colour; /* whose turn it is */
    uint32_t taken_count;
    uint32_t warm_count;
    uint32_t warm_max;
    uint32_t refused_colour;
    enum refusal refused;
    uint64_t mappings_max;
    struct slot slots[];
};

/* ---- the pool -------------------------------------------------------------------------------- */

static uint32_t count_of(const struct vine__heap_pool_options *options, uint64_t mappings_max)
{
    const uint32_t pools = options->pool_count != 0 ? options->pool_count : 1;
    const uint64_t carried = mappings_max / 2 / vine__guard_pages_mappings() / pools;

    return carried < options->count_max ? (uint32_t)carried : options->count_max;
}

int vine__heap_pool_create(const struct vine__heap_pool_options *options,
                           struct vine__heap_pool **ret_pool)
{
    const uint32_t page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
    const uint32_t heap_bytes = options->heap_bytes != 0 ? options->heap_bytes : HEAP_BYTES;
    const uint32_t colours = vine__guard_colour_count();
    const uint64_t mappings_max = vine__guard_pages_mappings_max();
    const uint32_t taken_max = count_of(options, mappings_max);

    if (heap_bytes < page_bytes || heap_bytes > VINE__HEAP_BYTES_MAX ||
        !vine__is_power_of_two_u64(heap_bytes) || taken_max == 0)
        return -EINVAL;

    /* Addresses cost nothing: as many more that a colour rarely runs out before all do. */
    const uint32_t slots = (taken_max + taken_max / 4 + 2 * colours - 1) / colours * colours;
    /* Where neighbours have the same colour, a page that nobody may touch is between them. */
    const size_t stride_bytes = (size_t)heap_bytes + (colours > 1 ? 0 : page_bytes);
    const size_t own_bytes = (size_t)vine__round_up_u64(
        sizeof(struct vine__heap_pool) + (uint64_t)slots * sizeof(struct slot), page_bytes);
    void *own, *start;
    int error = vine__guard_memory_map(own_bytes, &own);

    if (error != 0)
        return error;
    error = vine__guard_pages_reserve(stride_bytes * slots, &start);
    if (error != 0) {
        vine__guard_memory_unmap(own, own_bytes);
        return error;
    }

    struct vine__heap_pool *const pool = own;

    pool->own_bytes = own_bytes;
    pool->start = start;
    pool->reserved_bytes = stride_bytes * slots;
    pool->stride_bytes = stride_bytes;
    pool->page_bytes = page_bytes;
    pool->heap_bytes = heap_bytes;
    pool->count_asked = options->count_max;
    pool->taken_max = taken_max;
    pool->slot_count = slots;
    pool->colour_count = colours;
    pool->warm_max = options->warm_count != 0 ? options->warm_count : WARM_COUNT;
    pool->mappings_max = mappings_max;
    for (uint32_t colour = 0; colour < colours; colour++)
        pool->free_of[colour] = NONE;
    *ret_pool = pool;
    return 0;
}

void vine__heap_pool_destroy(struct vine__heap_pool *pool)
{
    if (pool == NULL)
        return;
    VINE_ASSERT(pool->taken_count == 0);
    VINE__HEAP_SHOW(pool->start, pool->reserved_bytes);
    vine__guard_pages_release(pool->start, pool->reserved_bytes);
    vine__guard_memory_unmap(pool, pool->own_bytes);
}

void vine__heap_pool_look(const struct vine__heap_pool *pool,
                          struct vine__heap_pool_figures *ret_figures)
{
    struct vine__heap_pool_figures figures = {
        .taken_count = pool->taken_count,
        .taken_max = pool->taken_max,
        .warm_count = pool->warm_count,
    };

    for (uint32_t n = 0; n < pool->slot_count; n++)
        if (pool->slots[n].is_warm)
            figures.kept_bytes += pool->slots[n].heap.region.size_bytes;
        else if (pool->slots[n].is_taken)
            figures.taken_bytes += pool->slots[n].heap.region.size_bytes;
    *ret_figures = figures;
}

void vine__heap_pool_explain(const struct vine__heap_pool *pool,
                             char ret_text[VINE__HEAP_WHY_BYTES])
{
    const bool is_short = pool->taken_max < pool->count_asked;

    ret_text[0] = '\0';
    if (pool->refused == REFUSED_COUNT && is_short)
        (void)snprintf(ret_text, VINE__HEAP_WHY_BYTES,
                       "%" PRIu32 " heaps are in use, and vm.max_map_count, which is %" PRIu64
                       ", carries no more: raise it (sysctl)",
                       pool->taken_max, pool->mappings_max);
    else if (pool->refused == REFUSED_COUNT)
        (void)snprintf(ret_text, VINE__HEAP_WHY_BYTES,
                       "%" PRIu32 " heaps are in use, and no more are allowed (--connections)",
                       pool->taken_max);
    else if (pool->refused == REFUSED_COLOUR)
        (void)snprintf(ret_text, VINE__HEAP_WHY_BYTES,
                       "all %" PRIu32 " heaps of colour %" PRIu32 " are in use",
                       pool->slot_count / pool->colour_count, pool->refused_colour);
    else if (pool->refused == REFUSED_KERNEL)
        (void)snprintf(ret_text, VINE__HEAP_WHY_BYTES,
                       "the kernel has no memory or no mapping left for a heap");
}

/* ---- one heap -------------------------------------------------------------------------------- */

static int prepare(struct vine__heap_pool *pool, uint32_t colour, uint32_t *ret_slot)
{
    const uint32_t number = pool->prepared_of[colour] * pool->colour_count + colour;
    struct slot *const slot = &pool->slots[number];
    struct vine__guard_region region = {
        .start = pool->start + number * pool->stride_bytes,
        .slot_bytes = pool->stride_bytes,
        .colour = colour,
    };
    const int error = vine__guard_pages_prepare(&region, number);

    if (error != 0)
        return error;
    pool->prepared_of[colour]++;
    slot->heap = (struct vine__heap){
        .region = region,
        .limit_bytes = pool->heap_bytes,
        .slot = number,
        .pool = pool,
    };
    slot->next = NONE;
    *ret_slot = number;
    return 0;
}

/* A free slot of that colour, or one that was never used. Returns 0, -EAGAIN or -ENOMEM. */
static int find(struct vine__heap_pool *pool, uint32_t colour, uint32_t *ret_slot)
{
    const uint32_t number = pool->free_of[colour];

    if (number != NONE) {
        pool->free_of[colour] = pool->slots[number].next;
        *ret_slot = number;
        return 0;
    }
    if (pool->prepared_of[colour] == pool->slot_count / pool->colour_count)
        return -EAGAIN;
    return prepare(pool, colour, ret_slot);
}

static int find_any(struct vine__heap_pool *pool, uint32_t *ret_slot)
{
    int error = -EAGAIN;

    for (uint32_t n = 0; n < pool->colour_count && error == -EAGAIN; n++) {
        const uint32_t colour = pool->next_colour;

        pool->next_colour = colour + 1 < pool->colour_count ? colour + 1 : 0;
        error = find(pool, colour, ret_slot);
    }
    return error;
}

/* Put it where it is found first. */
static void put(struct vine__heap_pool *pool, struct slot *slot)
{
    const uint32_t colour = slot->heap.region.colour;

    slot->is_taken = false;
    slot->next = pool->free_of[colour];
    pool->free_of[colour] = slot->heap.slot;
}

static int refuse(struct vine__heap_pool *pool, enum refusal why, uint32_t colour)
{
    pool->refused = why;
    pool->refused_colour = colour;
    return why == REFUSED_KERNEL ? -ENOMEM : -EAGAIN;
}

/* A page at least, open, and wiped. */
static int make_ready(struct vine__heap_pool *pool, struct slot *slot)
{
    struct vine__guard_region *const region = &slot->heap.region;
    int error = 0;

    if (region->size_bytes == 0)
        error = vine__guard_pages_grow(region, pool->page_bytes);
    if (error == 0)
        error = vine__guard_open(region);
    if (error != 0)
        return error;
    VINE__HEAP_SHOW(region->start, region->size_bytes);
    if (slot->is_dirty)
        memset(region->start, 0, region->size_bytes);
    slot->is_dirty = false;
    return 0;
}

int vine__heap_take(struct vine__heap_pool *pool, uint32_t colour, struct vine__heap **ret_heap)
{
    uint32_t number = NONE;
    int error;

    VINE_ASSERT(colour < pool->colour_count || colour == VINE__HEAP_ANY_COLOUR);
    if (pool->taken_count == pool->taken_max)
        return refuse(pool, REFUSED_COUNT, colour);
    error = colour == VINE__HEAP_ANY_COLOUR ? find_any(pool, &number) : find(pool, colour, &number);
    if (error != 0)
        return refuse(pool, error == -EAGAIN ? REFUSED_COLOUR : REFUSED_KERNEL, colour);

    struct slot *const slot = &pool->slots[number];

    VINE_ASSERT(!slot->is_taken);
    error = make_ready(pool, slot);
    if (error != 0) {
        put(pool, slot);
        return refuse(pool, REFUSED_KERNEL, colour);
    }
    pool->warm_count -= slot->is_warm ? 1 : 0;
    slot->is_warm = false;
    slot->is_taken = true;
    pool->taken_count++;
    *ret_heap = &slot->heap;
    return 0;
}

/* Give back its memory. */
static void cool(struct vine__heap_pool *pool, struct slot *slot)
{
    if (slot->heap.region.size_bytes != 0)
        vine__guard_pages_drop(&slot->heap.region);
    slot->is_dirty = false;
    if (slot->is_warm)
        pool->warm_count--;
    slot->is_warm = false;
}

void vine__heap_give(struct vine__heap *heap)
{
    struct vine__heap_pool *const pool = heap->pool;
    struct slot *const slot = &pool->slots[heap->slot];
    struct vine__guard_region *const region = &heap->region;
    const size_t kept_bytes = (size_t)KEPT_PAGES * pool->page_bytes;

    VINE_ASSERT(slot->is_taken && pool->taken_count > 0);
    VINE__HEAP_SHOW(region->start, region->size_bytes);
    if (region->size_bytes > kept_bytes && vine__guard_pages_shrink(region, kept_bytes) != 0)
        vine__guard_pages_drop(region);
    slot->is_warm = pool->warm_count < pool->warm_max;
    if (!slot->is_warm) {
        cool(pool, slot);
    } else {
        pool->warm_count++;
        /* A closed one is wiped when it is opened the next time. */
        slot->is_dirty = vine__guard_kind() == VINE__GUARD_MPROTECT && !region->is_open;
        if (!slot->is_dirty)
            memset(region->start, 0, region->size_bytes);
    }
    VINE__HEAP_HIDE(region->start, region->size_bytes);
    vine__guard_close(region);
    put(pool, slot);
    pool->taken_count--;
}

void vine__heap_pool_trim(struct vine__heap_pool *pool, uint32_t keep_count)
{
    for (uint32_t colour = 0; colour < pool->colour_count; colour++) {
        uint32_t kept = (keep_count + colour) / pool->colour_count;

        for (uint32_t n = pool->free_of[colour]; n != NONE; n = pool->slots[n].next)
            if (pool->slots[n].is_warm && kept > 0)
                kept--;
            else if (pool->slots[n].is_warm)
                cool(pool, &pool->slots[n]);
    }
}

int vine__heap_grow(struct vine__heap *heap, size_t size_bytes)
{
    const size_t page_bytes = heap->pool->page_bytes;
    const size_t wanted = (size_bytes + page_bytes - 1) / page_bytes * page_bytes;

    if (size_bytes > heap->limit_bytes || wanted > heap->limit_bytes)
        return -ENOSPC;
    if (wanted <= heap->region.size_bytes)
        return 0;

    return vine__guard_pages_grow(&heap->region, wanted);
}

struct vine__heap_head *vine__heap_init(struct vine__heap *heap, size_t head_bytes)
{
    const struct vine__guard_region *const region = &heap->region;

    VINE_ASSERT(head_bytes >= sizeof(struct vine__heap_head));
    if (head_bytes > region->size_bytes - 8 * GRAIN)
        return NULL;

    struct vine__heap_head *const head = (void *)region->start;

    vine__heap_begin(head, (uint32_t)head_bytes, (uint32_t)region->size_bytes, heap->limit_bytes);
    return head;
}
