/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/heap/heap.h - the memory of micro-processes: one slot each, that never moves and grows by
 * pages up to what is allowed.
 *
 * Owns:     a pool owns one reservation of addresses, and what it knows of each slot.
 * Threads:  a pool is one core's; what is said of the inside is for who runs there.
 * Blocking: never; taking a heap, growing it and giving it back may be system calls.
 * Trust:    what lies in a heap may be written by its service at any moment. `struct vine__heap`
 *           and the pool are outside and are believed; the head, inside, is not: nothing outside
 *           follows it, and vine__heap_validate bears whatever it finds.
 * Limits:   slots of a page to VINE__HEAP_BYTES_MAX; as many as half of vm.max_map_count carries.
 *
 * A slot's pages beyond those that were grown cannot be touched, whatever guards the heap: an
 * overflow is trapped, and what has to be wiped between owners is known. Slots that are neighbours
 * have different colours, where there are several.
 */
#ifndef VINE_CORE_HEAP_HEAP_H
#define VINE_CORE_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#include "arch/guard/guard.h"

#define VINE__HEAP_BYTES_MAX  (UINT32_C(8) << 20)
#define VINE__HEAP_ANY_COLOUR UINT32_MAX
#define VINE__HEAP_WHY_BYTES  192U

struct vine__heap_pool;

/* What is known outside of a heap that somebody has. */
struct vine__heap {
    struct vine__guard_region region; /* first: the gate finds the heap by it */
    uint32_t limit_bytes;             /* to which it may grow */
    uint32_t slot;
    struct vine__heap_pool *pool;
};

/* Whether what begins at this address, which may be any, lies in what of a heap may be touched. */
static inline bool vine__heap_has(const struct vine__heap *heap, uintptr_t address,
                                  size_t size_bytes, size_t alignment_bytes)
{
    return vine__guard_region_has(&heap->region, address, size_bytes) &&
           (address - (uintptr_t)heap->region.start) % alignment_bytes == 0;
}

/* Where that is in the heap. */
static inline uint32_t vine__heap_place(const struct vine__heap *heap, uintptr_t address)
{
    return (uint32_t)(address - (uintptr_t)heap->region.start);
}

struct vine__heap_pool_options {
    uint32_t heap_bytes; /* the greatest size: a power of two, a page at least; 0: 64 KiB */
    uint32_t count_max;  /* heaps that are taken at once; fewer where mappings are short */
    uint32_t pool_count; /* of such pools in the process, which share its mappings; 0: 1 */
    uint32_t warm_count; /* given heaps that keep their memory; 0: 256. Beyond, it goes back */
};

/* Returns 0; -EINVAL impossible options; -ENOMEM no memory or addresses. */
VINE_MUST_CHECK int vine__heap_pool_create(const struct vine__heap_pool_options *options,
                                           struct vine__heap_pool **ret_pool);

/* All heaps have been given. NULL is allowed. */
void vine__heap_pool_destroy(struct vine__heap_pool *pool);

struct vine__heap_pool_figures {
    uint32_t taken_count;
    uint32_t taken_max;   /* how many may be */
    uint32_t warm_count;  /* given, and still with memory */
    uint64_t kept_bytes;  /* of these */
    uint64_t taken_bytes; /* of those that are taken */
};
void vine__heap_pool_look(const struct vine__heap_pool *pool,
                          struct vine__heap_pool_figures *ret_figures);

/*
 * Take a heap of this colour, or of the next one in turn. It is zero, of one page at least, and may
 * be larger if its last owner's was; under `mprotect` it is open. The last one given is the first
 * one taken.
 *
 * Returns 0;
 *         -EAGAIN   all that may be are taken, or all of that colour; vine__heap_pool_explain
 *         -ENOMEM   the kernel has no memory, or no mapping, left.
 */
VINE_MUST_CHECK int vine__heap_take(struct vine__heap_pool *pool, uint32_t colour,
                                    struct vine__heap **ret_heap);

/* Give it back; it is wiped. Nobody runs in it, and the kernel has no I/O in it. */
void vine__heap_give(struct vine__heap *heap);

/* Give back the memory of heaps that nobody has, but for the last `keep_count` given. */
void vine__heap_pool_trim(struct vine__heap_pool *pool, uint32_t keep_count);

/* Why the pool gave none the last time, as a sentence. */
void vine__heap_pool_explain(const struct vine__heap_pool *pool,
                             char ret_text[VINE__HEAP_WHY_BYTES]);

/* Grow a heap to so many bytes, at least; before vine__heap_init, which then takes them in. Returns
 * 0; -ENOSPC: more than it may have; or -ENOMEM. */
VINE_MUST_CHECK int vine__heap_grow(struct vine__heap *heap, size_t size_bytes);

/* ---- inside ---------------------------------------------------------------------------------- */

#define VINE__HEAP_CLASSES 20U

/* At the slot's start; whoever has more to keep there begins with it. All places are offsets from
 * it in bytes. Written inside alone. */
struct vine__heap_head {
    uint32_t magic;
    uint32_t head_bytes;               /* of this and what follows it: the first block is there */
    uint32_t size_bytes;               /* of the heap, as it was last told */
    uint32_t limit_bytes;              /* the same */
    uint32_t segment;                  /* the block in which the stack grows now */
    uint32_t top;                      /* where it ends */
    uint32_t free_classes;             /* which of these have any, a bit each */
    uint32_t free[VINE__HEAP_CLASSES]; /* free blocks of 2^(4+i) bytes and more; 0: none */
    uint32_t refused_bytes;            /* what was asked for last when there was none */
    uint32_t refused_pages;            /* and how many pages that would have taken */
};

/* Make an empty heap's head, with `head_bytes` for it and what its owner keeps behind it, who has
 * to see to the rest of these. Outside, and open; before anything runs in it. Returns the head;
 * NULL: the heap, as large as it is now, is too small for it. */
struct vine__heap_head *vine__heap_init(struct vine__heap *heap, size_t head_bytes);

/*
 * Memory that goes in the order opposite to that in which it came: `push`, and `release` of all
 * that was pushed since `mark`. And memory that stays until it is freed. All of it at a multiple
 * of 16 bytes. Inside; outside only while nothing has run in the heap yet, which does not grow
 * then.
 *
 * Return NULL when there is no more: vine__heap_explain says what there would have to be.
 */
void *vine__heap_push(struct vine__heap_head *head, size_t size_bytes); /* it is zero */
void *vine__heap_push_raw(struct vine__heap_head *head, size_t size_bytes);
uint32_t vine__heap_mark(const struct vine__heap_head *head);
void vine__heap_release(struct vine__heap_head *head, uint32_t mark);

void *vine__heap_alloc(struct vine__heap_head *head, size_t size_bytes); /* it is zero */
void *vine__heap_alloc_raw(struct vine__heap_head *head, size_t size_bytes);
void vine__heap_free(struct vine__heap_head *head, void *memory); /* NULL is allowed */

/* "heap of N pages: M bytes more would need K pages, and L are allowed", of the last time that
 * there was no more; "" if there was always enough. Inside or outside. */
void vine__heap_explain(const struct vine__heap_head *head, char ret_text[VINE__HEAP_WHY_BYTES]);

/*
 * Blocks lie one behind the other from the head to the heap's end and know each other's sizes; no
 * two free ones are neighbours; each free one is in the list of its class, and in no other; the
 * stack's segments are blocks of it, from the current one to the first, which lies behind the head.
 * Of a heap of `size_bytes`, whatever is in it. Returns 0 or -VINE_ECORRUPT.
 */
VINE_MUST_CHECK int vine__heap_validate(const struct vine__heap_head *head, size_t size_bytes);

#endif
