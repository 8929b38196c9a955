/* SPDX-License-Identifier: Apache-2.0 */
/* What an arena holds, for people: sums that are always there, and a walk over its pages. */
#include "core/arena/arena_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define LINE_MAX_BYTES 160
/* mimalloc has 74 sizes of small and middle blocks; the rest is one line. */
#define SIZES_MAX 96

/* Blocks of one size, or of all that found no line of their own. */
struct of_size {
    uint64_t block_bytes;
    uint64_t pages;
    uint64_t blocks;
    uint64_t used_bytes;
    uint64_t held_bytes;
};

struct sizes {
    uint32_t count;
    struct of_size of[SIZES_MAX];
};

static bool add_used(const mi_heap_t *heap, const mi_heap_area_t *area, void *block,
                     size_t block_size, void *context)
{
    uint64_t *const used_bytes = context;

    (void)heap;
    (void)block;
    (void)block_size;
    *used_bytes += (uint64_t)area->used * area->full_block_size;
    return true;
}

void vine__arena_measure(void)
{
    struct vine__arena *const arena = vine__arena_thread.arena;
    uint64_t used_bytes = 0;

    if (arena == NULL)
        return;
    (void)mi_heap_visit_blocks(arena->heap, false, add_used, &used_bytes);
    vine__store_relaxed_u64(&arena->used_bytes, used_bytes);
    if (used_bytes > vine__load_relaxed_u64(&arena->peak_bytes))
        vine__store_relaxed_u64(&arena->peak_bytes, used_bytes);
    vine__store_relaxed_u64(&arena->touched_bytes, vine__reservation_touched(&arena->reservation));
}

void vine__arena_get_stats(const struct vine__arena *arena, struct vine__arena_stats *ret_stats)
{
    VINE_ASSERT(arena->magic == VINE__ARENA_MAGIC);
    *ret_stats = (struct vine__arena_stats){
        .reserved_bytes = arena->reservation.size_bytes,
        .allocations = vine__load_relaxed_u64(&arena->allocations),
        .frees = vine__load_relaxed_u64(&arena->frees),
        .remote_frees_sent = vine__load_relaxed_u64(&arena->sent),
        .remote_frees_received = vine__load_relaxed_u64(&arena->received),
        .failures = vine__load_relaxed_u64(&arena->failures),
        .used_bytes = vine__load_relaxed_u64(&arena->used_bytes),
        .peak_bytes = vine__load_relaxed_u64(&arena->peak_bytes),
        .touched_bytes = vine__load_relaxed_u64(&arena->touched_bytes),
    };
}

static struct of_size *find_size(struct sizes *sizes, uint64_t block_bytes)
{
    for (uint32_t n = 0; n < sizes->count; n++)
        if (sizes->of[n].block_bytes == block_bytes)
            return &sizes->of[n];
    if (sizes->count == SIZES_MAX)
        return &sizes->of[SIZES_MAX - 1];
    sizes->of[sizes->count].block_bytes = sizes->count == SIZES_MAX - 1 ? 0 : block_bytes;
    return &sizes->of[sizes->count++];
}

static bool add_size(const mi_heap_t *heap, const mi_heap_area_t *area, void *block,
                     size_t block_size, void *context)
{
    struct of_size *const one = find_size(context, area->full_block_size);

    (void)heap;
    (void)block;
    (void)block_size;
    one->pages++;
    one->blocks += area->used;
    one->used_bytes += (uint64_t)area->used * area->full_block_size;
    one->held_bytes += area->reserved;
    return true;
}

static void dump_sizes(struct vine__arena *arena, vine__arena_line_fn line, void *context)
{
    char text[LINE_MAX_BYTES];
    char name[32];
    struct sizes sizes = {0};

    (void)mi_heap_visit_blocks(arena->heap, false, add_size, &sizes);
    line(context, "     block bytes      blocks      used bytes      held bytes     pages");
    for (uint32_t n = 0; n < sizes.count; n++) {
        const struct of_size *const one = &sizes.of[n];

        if (one->block_bytes == 0)
            (void)snprintf(name, sizeof(name), "others");
        else
            (void)snprintf(name, sizeof(name), "%" PRIu64, one->block_bytes);
        (void)snprintf(text, sizeof(text), "%16s%12" PRIu64 "%16" PRIu64 "%16" PRIu64 "%10" PRIu64,
                       name, one->blocks, one->used_bytes, one->held_bytes, one->pages);
        line(context, text);
    }
}

void vine__arena_dump(struct vine__arena *arena, vine__arena_line_fn line, void *context)
{
    char text[LINE_MAX_BYTES];
    struct vine__arena_stats stats;
    const bool is_owner = arena == vine__arena_thread.arena;

    if (is_owner)
        vine__arena_measure();
    vine__arena_get_stats(arena, &stats);
    (void)snprintf(text, sizeof(text),
                   "arena %" PRIu32 ": reserved %" PRIu64 " bytes, used %" PRIu64
                   ", most used %" PRIu64 ", touched %" PRIu64,
                   arena->place, stats.reserved_bytes, stats.used_bytes, stats.peak_bytes,
                   stats.touched_bytes);
    line(context, text);
    (void)snprintf(text, sizeof(text),
                   "arena %" PRIu32 ": allocations %" PRIu64 ", frees %" PRIu64
                   ", failures %" PRIu64,
                   arena->place, stats.allocations, stats.frees, stats.failures);
    line(context, text);
    (void)snprintf(text, sizeof(text),
                   "arena %" PRIu32 ": others' blocks sent home %" PRIu64
                   ", own that came %" PRIu64,
                   arena->place, stats.remote_frees_sent, stats.remote_frees_received);
    line(context, text);
    if (is_owner)
        dump_sizes(arena, line, context);
}
