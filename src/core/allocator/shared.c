/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books in shared memory: formatting, attaching, and the lock.
 *
 * Why a lock in the core: cooperating processes share one heap only here, by their own choice, and
 * the heap is one object. No pipe between parties that do not trust each other has it in its path.
 *
 * The lock names its holder by process id and start time, so that a dead one is told from a slow
 * one. Who finds a dead holder takes its place by one compare-and-swap; should it die as well
 * while repairing, the next one finds its name and repairs again.
 */
#include "core/allocator/allocator_internal.h"

#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"
#include "arch/peer/process.h"
#include "arch/wake/futex.h"
#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SPINS = 200,
    SLEEP_NS = 10 * 1000 * 1000, /* the backstop of each sleep; a dead holder wakes nobody */
};
#define LOCK_TIMEOUT_NS VINE_NS_PER_SECOND

/* Where the parts lie, in bytes from the header. */
struct parts {
    uint64_t table_offset;
    uint64_t extent_offset;
    uint64_t total_bytes;
};

static struct parts parts_of(uint32_t granule_bytes, uint32_t unit_count, uint32_t entries_max)
{
    const uint32_t table_bits = vine__allocator_table_bits_of(entries_max);
    struct parts parts;
    parts.table_offset = vine__round_up_u64(sizeof(struct vine__allocator_header),
                                            VINE__BUCKET_ENTRIES * sizeof(struct vine__block));
    parts.extent_offset = parts.table_offset + (sizeof(struct vine__block) << table_bits);
    parts.total_bytes = parts.extent_offset + (uint64_t)unit_count * granule_bytes;
    return parts;
}

/* The most granules whose books fit into `size` together with them. */
static uint32_t units_that_fit(const struct vine_allocator_options *options, uint64_t size)
{
    uint64_t low = 0;
    uint64_t high = vine__min_u64(size / options->granule_bytes, VINE_ALLOCATOR_GRANULES_MAX);
    while (low < high) {
        const uint32_t middle = (uint32_t)(low + (high - low + 1) / 2);
        const struct parts parts =
            parts_of(options->granule_bytes, middle, vine__allocator_entries_of(options, middle));
        if (parts.total_bytes <= size)
            low = middle;
        else
            high = middle - 1;
    }
    return (uint32_t)low;
}

static void handle_point_at(struct vine_allocator *allocator, void *memory,
                            const struct parts *parts)
{
    unsigned char *bytes = memory;
    allocator->shared = true;
    allocator->header = memory;
    /* The table is aligned to lines, as the memory is. */
    struct vine__block *table = (struct vine__block *)(void *)(bytes + parts->table_offset);
    vine__allocator_use_table(allocator, table,
                              vine__allocator_table_bits_of(allocator->entries_max));
    allocator->base = bytes + parts->extent_offset;
    allocator->books_bytes = parts->extent_offset;
}

int vine_allocator_format(void *memory, size_t size, const struct vine_allocator_options *options)
{
    struct vine_allocator_options checked;
    const int rc = vine__allocator_check_options(options, &checked);
    if (rc != 0)
        return rc;
    if (memory == NULL || !vine__is_aligned_u64((uintptr_t)memory, VINE_CACHE_LINE))
        return -EINVAL;
    uint32_t unit_count = (uint32_t)(checked.extent_bytes / checked.granule_bytes);
    if (checked.extent_bytes == 0)
        unit_count = units_that_fit(&checked, size);
    else if (unit_count == 0)
        return -EINVAL;
    if (unit_count == 0)
        return -ENOMEM;
    const uint32_t entries_max = vine__allocator_entries_of(&checked, unit_count);
    const struct parts parts = parts_of(checked.granule_bytes, unit_count, entries_max);
    if (parts.total_bytes > size)
        return -ENOMEM;

    struct vine__allocator_header *header = memory;
    /* Relaxed: for who looks too early. Nobody may use the memory that is formatted. */
    vine__store_relaxed_u32(&header->status, VINE__ALLOCATOR_INITIALIZING);
    memset((unsigned char *)memory + offsetof(struct vine__allocator_header, strategy), 0,
           sizeof(*header) - offsetof(struct vine__allocator_header, strategy));
    header->magic = VINE__ALLOCATOR_MAGIC;
    header->version = VINE__ALLOCATOR_VERSION;
    header->fingerprint = VINE__ALLOCATOR_FINGERPRINT;
    header->strategy = (uint32_t)checked.strategy;
    header->granule_bytes = checked.granule_bytes;
    header->unit_count = unit_count;
    header->total_bytes = parts.total_bytes;
    header->table_offset = parts.table_offset;
    header->extent_offset = parts.extent_offset;
    header->table_bits = vine__allocator_table_bits_of(entries_max);
    header->entries_max = entries_max;

    struct vine_allocator allocator = {0};
    vine__allocator_begin(&allocator, &checked, unit_count, entries_max);
    handle_point_at(&allocator, memory, &parts);
    if (checked.strategy != VINE_ALLOCATOR_BUMP)
        vine__blocks_clear(&allocator);
    /* F1 pairs with A1 in attach: all of the books before the word that says so. */
    vine__store_release_u32(&header->status, VINE__ALLOCATOR_READY);
    return 0;
}

/* Check the header, word by word, each read once. */
static int check_header(const void *memory, size_t size, struct vine_allocator_options *ret_options,
                        uint32_t *ret_unit_count, struct parts *ret_parts)
{
    const struct vine__allocator_header *shared = memory;
    struct vine__allocator_header header;

    if (size < sizeof(header))
        return -VINE_ETRUNCATED;
    /* A1 (acquire) pairs with F1 (release): once we see READY, what was written before is there. */
    const uint32_t status = vine__load_acquire_u32(&shared->status);
    memcpy(&header, memory, offsetof(struct vine__allocator_header, owner));
    if (header.magic != VINE__ALLOCATOR_MAGIC)
        return -VINE_EMAGIC;
    if (header.version != VINE__ALLOCATOR_VERSION)
        return -VINE_EVERSION;
    if (header.fingerprint != VINE__ALLOCATOR_FINGERPRINT)
        return -VINE_EFINGERPRINT;
    if (status == VINE__ALLOCATOR_INITIALIZING)
        return -VINE_EINITIALIZING;
    const uint32_t entries_max = vine__load_relaxed_u32(&shared->entries_max);
    const bool is_bump = header.strategy == VINE_ALLOCATOR_BUMP;
    if (status != VINE__ALLOCATOR_READY || header.strategy > VINE_ALLOCATOR_BUMP ||
        (header.granule_bytes != 16 && header.granule_bytes != 64) || header.unit_count == 0 ||
        header.unit_count > VINE_ALLOCATOR_GRANULES_MAX || entries_max > header.unit_count ||
        is_bump != (entries_max == 0) ||
        vine__load_relaxed_u32(&shared->table_bits) != vine__allocator_table_bits_of(entries_max))
        return -VINE_ECORRUPT;

    const struct parts parts = parts_of(header.granule_bytes, header.unit_count, entries_max);
    if (parts.table_offset != header.table_offset || parts.extent_offset != header.extent_offset ||
        parts.total_bytes != header.total_bytes)
        return -VINE_ECORRUPT;
    if (parts.total_bytes > size)
        return -VINE_ETRUNCATED;
    *ret_options = (struct vine_allocator_options){
        .size_bytes = sizeof(*ret_options),
        .strategy = (enum vine_allocator_strategy)header.strategy,
        .granule_bytes = header.granule_bytes,
        .blocks_max = entries_max,
    };
    *ret_unit_count = header.unit_count;
    *ret_parts = parts;
    return 0;
}

int vine_allocator_attach(void *memory, size_t size, struct vine_allocator **ret_allocator)
{
    struct vine_allocator_options options;
    struct parts parts;
    uint32_t unit_count;
    uint64_t start_ticks;

    if (memory == NULL || !vine__is_aligned_u64((uintptr_t)memory, VINE_CACHE_LINE))
        return -EINVAL;
    int rc = check_header(memory, size, &options, &unit_count, &parts);
    if (rc != 0)
        return rc;
    const pid_t pid = getpid();
    rc = vine__process_start_time(pid, &start_ticks);
    if (rc != 0)
        return rc;
    struct vine_allocator *allocator = calloc(1, sizeof(*allocator));
    if (allocator == NULL)
        return -ENOMEM;
    vine__allocator_begin(allocator, &options, unit_count, (uint32_t)options.blocks_max);
    handle_point_at(allocator, memory, &parts);
    allocator->owner = start_ticks << 32 | (uint32_t)pid;

    rc = vine__allocator_lock(allocator);
    if (rc == 0) {
        rc = vine__allocator_check_books(allocator);
        vine__allocator_unlock(allocator);
    }
    if (rc != 0) {
        vine_allocator_destroy(allocator);
        return rc;
    }
    *ret_allocator = allocator;
    return 0;
}

static bool owner_is_dead(uint64_t owner)
{
    uint64_t start_ticks;
    const uint32_t pid = (uint32_t)owner;
    if (pid == 0 || pid > INT_MAX)
        return true;
    const int rc = vine__process_start_time((pid_t)pid, &start_ticks);
    if (rc == -ESRCH)
        return true;
    return rc == 0 && (uint32_t)start_ticks != (uint32_t)(owner >> 32);
}

/* 0: ours; 1: ours after a holder that died; -EBUSY. */
static int owner_take(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    uint64_t seen = 0;

    for (uint32_t spin = 0; spin < SPINS; spin++) {
        seen = 0;
        /* L1 (acquire) pairs with U1 (release): what the last holder wrote, before we read. */
        if (vine__compare_exchange_acq_rel_u64(&header->owner, &seen, allocator->owner))
            return 0;
        vine__cpu_relax();
    }
    const uint64_t begin_ns = vine__clock_now_ns();
    for (;;) {
        /* L3 (acquire) pairs with U3: read before the look below. */
        const uint32_t sequence = vine__load_acquire_u32(&header->wake_sequence);
        /* L2 pairs with U2: either the holder that lets go sees the sleeper, or we see that it let
         * go. A lost race costs one backstop. */
        vine__exchange_acq_rel_u32(&header->sleeper, 1);
        vine__fence_full();
        seen = 0;
        if (vine__compare_exchange_acq_rel_u64(&header->owner, &seen, allocator->owner))
            return 0;
        /* L1 pairs with U1; a dead holder's stores are seen by whoever hears of its death. */
        if (owner_is_dead(seen) &&
            vine__compare_exchange_acq_rel_u64(&header->owner, &seen, allocator->owner))
            return 1;
        if (vine__clock_now_ns() - begin_ns > LOCK_TIMEOUT_NS)
            return -EBUSY;
        /* Why it returned does not matter: we look again. */
        (void)!vine__futex_wait(&header->wake_sequence, sequence, SLEEP_NS);
    }
}

int vine__allocator_lock(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    int rc = owner_take(allocator);
    if (rc < 0)
        return rc;
    /* Relaxed, as the stores: L1 orders it after what the last holder did. */
    if (vine__load_relaxed_u32(&header->status) != VINE__ALLOCATOR_READY) {
        vine__allocator_unlock(allocator);
        return -VINE_ECORRUPT;
    }
    if (rc == 1 && allocator->strategy != VINE_ALLOCATOR_BUMP) {
        rc = vine__blocks_rebuild(allocator);
        if (rc != 0) {
            vine__store_relaxed_u32(&header->status, VINE__ALLOCATOR_CORRUPTED);
            vine__allocator_unlock(allocator);
            return rc;
        }
        header->repairs++;
    }
    return 0;
}

void vine__allocator_unlock(struct vine_allocator *allocator)
{
    struct vine__allocator_header *header = allocator->header;
    /* U1 (release) pairs with L1 (acquire). */
    vine__exchange_acq_rel_u64(&header->owner, 0);
    vine__fence_full(); /* U2 pairs with L2 */
    if (vine__load_relaxed_u32(&header->sleeper) != 0) {
        vine__exchange_acq_rel_u32(&header->sleeper, 0);
        vine__fetch_add_acq_rel_u32(&header->wake_sequence, 1); /* U3 pairs with L3 */
        vine__futex_wake(&header->wake_sequence, INT_MAX);
    }
}
