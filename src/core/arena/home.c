/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways home of blocks that are freed elsewhere. From an arena's thread: a ring for each pair,
 * written block by block and published by the batch, so that what crosses is a line for eight
 * blocks and one for the position. From other threads, and where a ring is full: a stack through
 * the blocks' own first words, which needs no memory and so never fails.
 */
#include "core/arena/arena_internal.h"

#include "arch/cpu/cpu.h"

#include <string.h>

#define MASK     (VINE__ARENA_RING_SLOTS - 1)
#define AHEAD    4    /* blocks whose lines are asked for before they are freed */
#define TURN_MAX 4096 /* blocks that a turn frees at most, from each of the two ways */

/* ---- away ------------------------------------------------------------------------------------ */

/* Push a block that anybody may free. Treiber's stack; it is emptied all at once, so that no place
 * of it is ever compared after it was taken and came back. */
static void push(struct vine__arena *home, void *block)
{
    void *top = vine__load_relaxed_pointer(&home->stack);

    VINE_ASSERT_SLOW(mi_usable_size(block) >= sizeof(top));
    do {
        memcpy(block, &top, sizeof(top));
        /* R5 pairs with H5: the link, and whatever else was written to the block. */
    } while (!vine__compare_exchange_acq_rel_pointer(&home->stack, &top, block));
}

static struct vine__arena_ring *ring_to(struct vine__arena_thread *thread, struct vine__arena *home)
{
    void **const place = &home->from[thread->place - 1];
    struct vine__arena_ring *ring = vine__load_relaxed_pointer(place); /* by us alone */

    if (VINE__UNLIKELY(ring == NULL)) {
        /* It stays for as long as the process lives, as the arena does. */
        ring = mi_heap_zalloc_aligned(thread->heap, sizeof(*ring), VINE_CACHE_LINE);
        /* R3 pairs with H3: the ring is zeroed. */
        if (ring != NULL)
            vine__store_release_pointer(place, ring);
    }
    return ring;
}

static void publish(struct vine__arena_thread *thread, struct vine__arena *home,
                    struct vine__arena_ring *ring)
{
    ring->sent = ring->written;
    /* R1 pairs with H1: the blocks, and what was written to them, before the position. */
    vine__store_release_u64(&ring->published, ring->written);
    /* R2 pairs with H2: who takes the bit finds the position. It is set again each time, since the
     * owner may have taken it after an older one. */
    (void)vine__fetch_or_acq_rel_u64(&home->ready, UINT64_C(1) << (thread->place - 1));
    thread->arena->unsent &= ~(UINT64_C(1) << (home->place - 1));
}

static bool write(struct vine__arena_ring *ring, void *block)
{
    if (VINE__UNLIKELY(ring->written - ring->taken_seen == VINE__ARENA_RING_SLOTS)) {
        /* S4 pairs with R4: the owner has read the places that are about to be written. */
        ring->taken_seen = vine__load_acquire_u64(&ring->taken);
        if (ring->written - ring->taken_seen == VINE__ARENA_RING_SLOTS)
            return false;
    }
    ring->blocks[ring->written++ & MASK] = block;
    return true;
}

void vine__arena_send(struct vine__arena_thread *thread, uint32_t place, void *block)
{
    struct vine__arena *const home = vine__arenas[place];

    /* Nobody is there to take it: mimalloc's own way, which is slower. Whoever leaves meanwhile
     * leaves the block to the next one; no order makes a difference to that. */
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&home->is_attached) == 0)) {
        mi_free(block);
        return;
    }
    if (thread->arena == NULL) {
        push(home, block);
        return;
    }
    vine__arena_count(&thread->arena->sent, 1);

    struct vine__arena_ring *const ring = ring_to(thread, home);

    if (VINE__UNLIKELY(ring == NULL || !write(ring, block))) {
        push(home, block);
        return;
    }
    if (ring->written - ring->sent >= VINE__ARENA_BATCH)
        publish(thread, home, ring);
    else
        thread->arena->unsent |= UINT64_C(1) << (place - 1);
}

uint32_t vine__arena_flush_remote(void)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;
    uint32_t count = 0;

    if (thread->arena == NULL)
        return 0;
    for (uint64_t unsent = thread->arena->unsent; unsent != 0; unsent &= unsent - 1) {
        struct vine__arena *const home = vine__arenas[__builtin_ctzll(unsent) + 1];
        struct vine__arena_ring *const ring =
            vine__load_relaxed_pointer(&home->from[thread->place - 1]);

        count += (uint32_t)(ring->written - ring->sent);
        publish(thread, home, ring);
    }
    return count;
}

/* ---- home ------------------------------------------------------------------------------------ */

/* Free at most `count_max` blocks of a ring. Returns how many. */
static uint32_t take_ring(struct vine__arena_ring *ring, uint32_t count_max, bool *ret_is_empty)
{
    /* H1 pairs with R1: the blocks up to the position, and what was last written to them. */
    const uint64_t published = vine__load_acquire_u64(&ring->published);
    const uint64_t first = vine__load_relaxed_u64(&ring->taken);
    const uint64_t there = published - first;
    const uint32_t count = (uint32_t)(there < count_max ? there : count_max);

    for (uint32_t n = 0; n < count; n++) {
        if (n + AHEAD < count)
            vine__prefetch_to_write(ring->blocks[(first + n + AHEAD) & MASK]);
        mi_free(ring->blocks[(first + n) & MASK]);
    }
    /* R4 pairs with S4: the places were read. */
    vine__store_release_u64(&ring->taken, first + count);
    *ret_is_empty = count == there;
    return count;
}

static uint32_t take_rings(struct vine__arena *arena, uint32_t count_max)
{
    uint64_t ready = arena->unfinished;
    uint32_t count = 0;

    /* H2 pairs with R2: the positions that were published before the bits. */
    if (vine__load_relaxed_u64(&arena->ready) != 0)
        ready |= vine__exchange_acq_rel_u64(&arena->ready, 0);
    arena->unfinished = ready;
    for (; ready != 0 && count < count_max; ready &= ready - 1) {
        const int sender = __builtin_ctzll(ready);
        bool is_empty;
        /* H3 pairs with R3: the ring is zeroed. */
        struct vine__arena_ring *const ring = vine__load_acquire_pointer(&arena->from[sender]);

        count += take_ring(ring, count_max - count, &is_empty);
        if (is_empty)
            arena->unfinished &= ~(UINT64_C(1) << sender);
    }
    return count;
}

static uint32_t take_stack(struct vine__arena *arena, uint32_t count_max)
{
    uint32_t count = 0;

    if (arena->rest == NULL && vine__load_relaxed_pointer(&arena->stack) != NULL)
        /* H5 pairs with R5: each block's link, and what was last written to it. */
        arena->rest = vine__exchange_acq_rel_pointer(&arena->stack, NULL);
    for (; arena->rest != NULL && count < count_max; count++) {
        void *const block = arena->rest;

        memcpy(&arena->rest, block, sizeof(arena->rest));
        mi_free(block);
    }
    return count;
}

static uint32_t take(struct vine__arena *arena, uint32_t count_max)
{
    const uint32_t count = take_rings(arena, count_max) + take_stack(arena, count_max);

    if (count > 0) {
        vine__arena_count(&arena->received, count);
        vine__arena_count(&arena->frees, count);
    }
    return count;
}

uint32_t vine__arena_take_home(void)
{
    struct vine__arena *const arena = vine__arena_thread.arena;

    return arena != NULL ? take(arena, TURN_MAX) : 0;
}

/* Others send no more than the arena's blocks, each of which is home then, and allocates none of
 * them meanwhile: so this ends. */
void vine__arena_take_all(struct vine__arena *arena)
{
    while (take(arena, UINT32_MAX / 2) > 0)
        continue;
}
