/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/arena/arena_internal.h - what the files of the arena share: an arena, a thread's view, and
 * the ways home.
 *
 * Pairs of this folder:
 *   R1  a ring's `published`, by its sender      H1  the same, by the owner: the blocks before it
 *   R2  the bit of `ready`, by the sender        H2  `ready` taken, by the owner: R1 before it
 *   R3  a ring in `from`, by its sender          H3  the same, by the owner: the ring is zeroed
 *   R4  a ring's `taken`, by the owner           S4  the same, by the sender: its places were read
 *   R5  a block on the stack, by any thread      H5  the stack taken, by the owner: its link
 *   R6  `is_attached` cleared, by who detaches   A6  the same set, by who attaches: all it did
 */
#ifndef VINE_CORE_ARENA_ARENA_INTERNAL_H
#define VINE_CORE_ARENA_ARENA_INTERNAL_H

#include "core/arena/arena.h"

#include "arch/reservation/reservation.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#include <vine/base.h>

#include <mimalloc.h>

#define VINE__ARENA_MAGIC 0x616e6572U /* "rena" */

/* Each arena begins at such an address, and no other memory lies in the same part: so the upper
 * bits of an address say whose it is. User addresses have 47 bits on x86-64, 48 on aarch64, unless
 * asked for otherwise. */
#define VINE__ARENA_PART_BITS  30
#define VINE__ARENA_PART_BYTES (UINT64_C(1) << VINE__ARENA_PART_BITS)
#define VINE__ARENA_PARTS      (UINT64_C(1) << (48 - VINE__ARENA_PART_BITS))

/* Blocks go home in batches of so many. A ring holds some batches; what finds it full takes the
 * stack. */
#define VINE__ARENA_BATCH      64
#define VINE__ARENA_RING_SLOTS 1024

/* The way home of one arena's blocks from the core of one other. The sender writes blocks at
 * `written` and publishes them by the batch. written - taken <= VINE__ARENA_RING_SLOTS. */
struct vine__arena_ring {
    uint64_t written;                                             /* the sender's own */
    uint64_t sent;                                                /* what it published last */
    uint64_t taken_seen;                                          /* what it last read of `taken` */
    uint64_t published __attribute__((aligned(VINE_CACHE_LINE))); /* the sender writes it */
    uint64_t taken __attribute__((aligned(VINE_CACHE_LINE)));     /* the owner writes it */
    void *blocks[VINE__ARENA_RING_SLOTS] __attribute__((aligned(VINE_CACHE_LINE)));
};

struct vine__arena {
    uint32_t magic;
    uint32_t place;       /* from 1; 0 is no arena's */
    uint32_t is_attached; /* a thread has it: then its blocks go home */
    bool is_destroyed;    /* waits for one of its kind to be created */
    int mimalloc_id;
    int node;
    struct vine__reservation_piece pieces[VINE__ARENA_PIECES_MAX];
    uint32_t piece_count;
    bool huge_pages;
    bool lock;
    bool exclusive;
    bool abort_on_exhaustion;
    vine__arena_exhausted_fn exhausted;
    void *exhausted_context;
    struct vine__reservation reservation;
    mi_heap_t *heap;      /* of the thread that is attached, or was last */
    uint64_t heap_number; /* that thread's; 0: there was none */

    /* By the sender's place - 1, who sets it once; others only read. */
    void *from[VINE__ARENAS_MAX];

    /* Written by the owner alone. */
    uint64_t allocations __attribute__((aligned(VINE_CACHE_LINE)));
    uint64_t frees;
    uint64_t sent;
    uint64_t received;
    uint64_t failures;
    uint64_t used_bytes; /* when it was last counted */
    uint64_t peak_bytes;
    uint64_t touched_bytes;
    uint64_t unsent;     /* a bit for each arena whose blocks wait in a batch, by place - 1 */
    uint64_t unfinished; /* a bit for each ring with more than a turn's worth */
    void *rest;          /* of the stack, taken and not freed yet */

    /* Written by others: what is there to take home. */
    uint64_t ready
        __attribute__((aligned(VINE_CACHE_LINE))); /* a bit for each ring, by place - 1 */
    void *stack; /* blocks of threads without an arena, and of full rings; linked by first words */
};

VINE_STATIC_ASSERT(VINE__ARENAS_MAX <= 64, "rings are told by the bits of one word");
VINE_STATIC_ASSERT(offsetof(struct vine__arena, ready) % VINE_CACHE_LINE == 0,
                   "what others write keeps away from what the owner does");
VINE_STATIC_ASSERT((VINE__ARENA_RING_SLOTS & (VINE__ARENA_RING_SLOTS - 1)) == 0, "a mask");

/* What each thread knows of itself. In memory that every thread has from its start, since malloc is
 * called before anything else. */
struct vine__arena_thread {
    struct vine__arena *arena; /* NULL: none */
    mi_heap_t *heap;           /* the arena's, and NULL without one */
    mi_heap_t *malloc_heap;    /* the same, or NULL if malloc has its own */
    uint64_t fail_left;        /* allocations until one has to fail; 0: none has to */
    uint64_t number;           /* from 1, one for each thread ever; 0: never attached */
    uint32_t place;            /* the arena's; 0: none */
    bool is_telling;           /* that the arena is full: no second time from within */
    bool is_spared;            /* allocates what has to be had: none fails because a test asks */
};

extern _Thread_local struct vine__arena_thread vine__arena_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Whose an address is, by its upper bits: an arena's place, or 0. Written as an arena is created,
 * and never changed. */
extern uint8_t vine__arena_places[VINE__ARENA_PARTS] __attribute__((visibility("hidden")));
extern struct vine__arena *vine__arenas[VINE__ARENAS_MAX + 1] __attribute__((visibility("hidden")));

/* Not 0: vine__arena_fail_nth_of_all waits for its allocation. */
extern uint32_t vine__arena_fail_armed __attribute__((visibility("hidden")));

VINE__ALWAYS_INLINE uint32_t vine__arena_place_of(const void *address)
{
    const uint64_t part = (uint64_t)(uintptr_t)address >> VINE__ARENA_PART_BITS;

    return VINE__LIKELY(part < VINE__ARENA_PARTS) ? vine__arena_places[part] : 0;
}

/* One more of what only the owner writes and anybody reads. */
VINE__ALWAYS_INLINE void vine__arena_count(uint64_t *count, uint64_t more)
{
    vine__store_relaxed_u64(count, vine__load_relaxed_u64(count) + more);
}

/* fail.c: whether this allocation is the one to fail. */
bool vine__arena_fails_now(void);

/* home.c: free a block of another's arena, `place`; all that lies there for an arena. */
void vine__arena_send(struct vine__arena_thread *thread, uint32_t place, void *block);
void vine__arena_take_all(struct vine__arena *arena);

/* blocks.c: an allocation of this thread has found no room in `heap`, as in vine__block_alloc.
 * First, whether something came home, so that it is worth another try; then it is counted and told,
 * and the answer is NULL. */
bool vine__arena_found_more(struct vine__arena_thread *thread, mi_heap_t *heap);
void *vine__arena_give_up(struct vine__arena_thread *thread, mi_heap_t *heap, size_t size);

/* malloc_*.c: whether malloc of this program is ours. */
bool vine__arena_has_malloc(void);

/* malloc_*.c: blocks of no arena; as vine__block_raw, free and malloc_usable_size. */
void *vine__foreign_alloc(size_t alignment, size_t count, size_t size);
void vine__foreign_free(void *block);
size_t vine__foreign_usable(const void *block);

#endif
