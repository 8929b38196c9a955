/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/bridge/op_cache.h - pending operations by id, found again by their completions.
 *
 * Owns:     the operations' memory, in slabs that stay until the cache ends.
 * Threads:  one at a time takes, registers, retracts and abandons: the taker. One at a time
 *           completes, ends and abandons: the finder. Any thread gives back. These may be three
 *           different threads; no locks. Who locks around each call may call from any thread.
 * Blocking: never. Taking may allocate a slab, unless the cache was filled.
 * Trust:    an id came back through shared memory: late, duplicate, unknown and forged ones find
 *           nothing, and are counted here.
 * Limits:   VINE__OP_SLABS slabs of VINE__OPS_A_SLAB operations.
 *
 * An id is index (low half) and generation (high half). The generation is raised at each taking, so
 * that an id names one use of an operation and a stale one finds nothing, until 2^32 uses later.
 *
 * Each operation has one word: generation, kind and state. Whoever ends a use changes that word
 * from what it was seen to be, all of it at once, so that of two who try one succeeds, and neither
 * ends a later use. A succeeding change also proves that whatever was read of the operation since
 * the word was seen belongs to that use.
 *
 *   FREE      -> TAKEN       the taker, who then composes it
 *   TAKEN     -> PENDING     the taker registers it (release)
 *   TAKEN     -> FREE        the taker drops it
 *   PENDING   -> DONE        the finder: its completion came, or it ends without one
 *   PENDING   -> ABANDONED   either: nobody waits for it, and its completion may still come
 *   PENDING   -> FREE        the taker retracts it: it was not sent
 *   ABANDONED -> FREE        the finder: its completion came late, or none can come any more; the
 *                            taker: it was not sent
 *   DONE      -> FREE        its user gives it back (release, by the list of free ones)
 *
 * So a use that was sent is over only when its completion has come, or when none can.
 *
 * The memory order, all of it:
 *   O1  the taker: release of a word, PENDING      pairs with O2: the operation is composed
 *   O2  whoever ends it: acquire of that word      pairs with O1
 *   O3  who gives back: release onto free_shared   pairs with O4: what it did with it is over
 *   O4  the taker: acquire of free_shared          pairs with O3
 *   O5  the taker: release of the count            pairs with O6: the slab is there
 *   O6  the finder: acquire of the count           pairs with O5
 * The other changes of a word order nothing: who sees DONE, ABANDONED or FREE reads nothing else.
 */
#ifndef VINE_CORE_BRIDGE_OP_CACHE_H
#define VINE_CORE_BRIDGE_OP_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#include "utils/atomic.h"
#include "utils/hostile.h"

#define VINE__OPS_A_SLAB 64u
#define VINE__OP_SLABS   64u
#define VINE__OPS_MAX    (VINE__OPS_A_SLAB * VINE__OP_SLABS)
#define VINE__OP_NONE    UINT32_MAX

enum vine__op_state {
    VINE__OP_FREE = 0,
    VINE__OP_TAKEN = 1,
    VINE__OP_PENDING = 2,
    VINE__OP_ABANDONED = 3,
    VINE__OP_DONE = 4,
};

/* First in the user's struct. */
struct vine__op {
    uint64_t word; /* atomic: see vine__op_word */
    uint32_t index;
    uint32_t next_free;
};

/* Completions that found nothing. Written by the finder; anybody reads. */
struct vine__op_refusals {
    uint64_t late;       /* the first of an operation that was abandoned */
    uint64_t duplicate;  /* of an operation that has ended */
    uint64_t unknown;    /* of no operation of this cache */
    uint64_t forged;     /* of a use that there was not yet */
    uint64_t wrong_kind; /* of a pending operation of another kind, which goes on waiting */
};

struct vine__op_cache {
    /* Written at the start, or before the count that admits it. */
    size_t operation_bytes; /* of the user's struct */
    uint32_t count;         /* in all slabs; published with release */
    uint32_t count_max;
    unsigned char *slabs[VINE__OP_SLABS];
    uint32_t free_taker __attribute__((aligned(VINE_CACHE_LINE))); /* the taker's own list */
    /* Where others give back: a stack that the taker empties whole. */
    uint32_t free_shared __attribute__((aligned(VINE_CACHE_LINE)));
    struct vine__op_refusals refused __attribute__((aligned(VINE_CACHE_LINE)));
};

/* `operation_bytes` is a multiple of 64, `count_max` at most VINE__OPS_MAX. Cannot fail: slabs come
 * later. */
void vine__op_cache_init(struct vine__op_cache *cache, size_t operation_bytes, uint32_t count_max);
void vine__op_cache_fini(struct vine__op_cache *cache);

/* All slabs now, so that taking never allocates. The taker. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__op_cache_fill(struct vine__op_cache *cache);

/* All that was refused. Any thread. */
uint64_t vine__op_cache_refused(const struct vine__op_cache *cache);

VINE__ALWAYS_INLINE uint64_t vine__op_word(uint32_t generation, uint8_t kind,
                                           enum vine__op_state state)
{
    return (uint64_t)generation << 32 | (uint32_t)kind << 8 | (uint32_t)state;
}

VINE__ALWAYS_INLINE enum vine__op_state vine__op_word_state(uint64_t word)
{
    return (enum vine__op_state)(word & 0xff);
}

VINE__ALWAYS_INLINE uint32_t vine__op_word_generation(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

VINE__ALWAYS_INLINE uint8_t vine__op_word_kind(uint64_t word)
{
    return (uint8_t)(word >> 8);
}

/* The same use of the same kind, in another state. */
VINE__ALWAYS_INLINE uint64_t vine__op_word_as(uint64_t word, enum vine__op_state state)
{
    return (word & ~0xffULL) | (uint64_t)state;
}

VINE__ALWAYS_INLINE struct vine__op *vine__op_at(const struct vine__op_cache *cache, uint32_t index)
{
    return (struct vine__op *)(void *)(cache->slabs[index / VINE__OPS_A_SLAB] +
                                       (index % VINE__OPS_A_SLAB) * cache->operation_bytes);
}

/* Its present use's. Who holds the operation, or whose use it is. */
VINE__ALWAYS_INLINE uint64_t vine__op_id(const struct vine__op *operation)
{
    return (vine__load_relaxed_u64(&operation->word) & ~0xffffffffULL) | operation->index;
}

/* Slow half of taking. */
struct vine__op *vine__op_take_slow(struct vine__op_cache *cache);

/* A free operation under a new id, to be composed; NULL if all are in use. The taker. */
VINE__ALWAYS_INLINE struct vine__op *vine__op_take(struct vine__op_cache *cache)
{
    if (VINE__UNLIKELY(cache->free_taker == VINE__OP_NONE))
        return vine__op_take_slow(cache);

    struct vine__op *operation = vine__op_at(cache, cache->free_taker);
    const uint32_t generation = vine__op_word_generation(vine__load_relaxed_u64(&operation->word));

    cache->free_taker = operation->next_free;
    /* Atomic for the finder, who may be sent after it by an id that was guessed. */
    vine__store_relaxed_u64(&operation->word, vine__op_word(generation + 1, 0, VINE__OP_TAKEN));
    return operation;
}

/* From now on its completion finds it: the operation was composed before. Returns its word. The
 * taker. */
VINE__ALWAYS_INLINE uint64_t vine__op_register(struct vine__op *operation, uint8_t kind)
{
    const uint32_t generation = vine__op_word_generation(vine__load_relaxed_u64(&operation->word));
    const uint64_t word = vine__op_word(generation, kind, VINE__OP_PENDING);

    /* O1 pairs with O2. */
    vine__store_release_u64(&operation->word, word);
    return word;
}

/* What `complete` found nothing for: count it, by what it was; give back what came late. */
void vine__op_refuse(struct vine__op_cache *cache, uint64_t id, uint8_t kind);

VINE__ALWAYS_INLINE struct vine__op *vine__op_find(const struct vine__op_cache *cache, uint64_t id)
{
    const uint32_t index = (uint32_t)id;

    /* O6 pairs with O5. */
    return VINE__HOSTILE(index >= vine__load_acquire_u32(&cache->count))
               ? NULL
               : vine__op_at(cache, index);
}

/* The pending operation that a completion names, now done, or NULL. The finder. */
VINE__ALWAYS_INLINE struct vine__op *vine__op_complete(struct vine__op_cache *cache, uint64_t id,
                                                       uint8_t kind)
{
    struct vine__op *operation = vine__op_find(cache, id);
    uint64_t expected = vine__op_word((uint32_t)(id >> 32), kind, VINE__OP_PENDING);

    /* O2 pairs with O1. */
    if (VINE__LIKELY(operation != NULL &&
                     vine__compare_exchange_acq_rel_u64(&operation->word, &expected,
                                                        vine__op_word_as(expected, VINE__OP_DONE))))
        return operation;
    vine__op_refuse(cache, id, kind);
    return NULL;
}

/* The same where nobody abandons or retracts what is pending: cheaper by the exchange. */
VINE__ALWAYS_INLINE struct vine__op *vine__op_complete_alone(struct vine__op_cache *cache,
                                                             uint64_t id, uint8_t kind)
{
    const uint64_t expected = vine__op_word((uint32_t)(id >> 32), kind, VINE__OP_PENDING);
    struct vine__op *operation = vine__op_find(cache, id);

    /* O2 pairs with O1. */
    if (VINE__HOSTILE(operation == NULL) ||
        VINE__HOSTILE(vine__load_acquire_u64(&operation->word) != expected)) {
        vine__op_refuse(cache, id, kind);
        return NULL;
    }
    vine__store_relaxed_u64(&operation->word, vine__op_word_as(expected, VINE__OP_DONE));
    return operation;
}

/* End what is pending without a completion; none can come any more. True: it is done. The finder.
 * `word` is what the operation's was. */
VINE__ALWAYS_INLINE bool vine__op_end(struct vine__op *operation, uint64_t word)
{
    /* O2 pairs with O1. */
    return vine__op_word_state(word) == VINE__OP_PENDING &&
           vine__compare_exchange_acq_rel_u64(&operation->word, &word,
                                              vine__op_word_as(word, VINE__OP_DONE));
}

/* Nobody waits for it any more; it is kept until its completion. False: it has ended, or ends now.
 * Either the taker or the finder. `word` is what the operation's was. */
VINE__ALWAYS_INLINE bool vine__op_abandon(struct vine__op *operation, uint64_t word)
{
    /* O2 pairs with O1. */
    return vine__op_word_state(word) == VINE__OP_PENDING &&
           vine__compare_exchange_acq_rel_u64(&operation->word, &word,
                                              vine__op_word_as(word, VINE__OP_ABANDONED));
}

/* Onto the list of free ones. Any thread; the operation is free already, and nobody else's. */
VINE__ALWAYS_INLINE void vine__op_push(struct vine__op_cache *cache, struct vine__op *operation)
{
    const uint32_t index = operation->index;
    uint32_t head = vine__load_relaxed_u32(&cache->free_shared);

    /* O3 pairs with O4. */
    do
        vine__store_relaxed_u32(&operation->next_free, head);
    while (!vine__compare_exchange_acq_rel_u32(&cache->free_shared, &head, index));
}

/* Give back what is done, or taken. Any thread. */
VINE__ALWAYS_INLINE void vine__op_give(struct vine__op_cache *cache, struct vine__op *operation)
{
    const uint64_t word = vine__load_relaxed_u64(&operation->word);

    vine__store_relaxed_u64(&operation->word, vine__op_word_as(word, VINE__OP_FREE));
    vine__op_push(cache, operation);
}

/* The same by the taker: nobody else has to know, so that it needs no exchange. */
VINE__ALWAYS_INLINE void vine__op_give_own(struct vine__op_cache *cache, struct vine__op *operation)
{
    const uint64_t word = vine__load_relaxed_u64(&operation->word);

    vine__store_relaxed_u64(&operation->word, vine__op_word_as(word, VINE__OP_FREE));
    operation->next_free = cache->free_taker;
    cache->free_taker = operation->index;
}

/* Give back what was abandoned: its completion has come, or none can come. False: it was given back
 * by another. Either the taker or the finder. `word` is what the operation's was. */
VINE__ALWAYS_INLINE bool vine__op_reclaim(struct vine__op_cache *cache, struct vine__op *operation,
                                          uint64_t word)
{
    /* Pairs with nothing: of two who reclaim one succeeds, and pushes, O3. */
    if (vine__op_word_state(word) != VINE__OP_ABANDONED ||
        !vine__compare_exchange_acq_rel_u64(&operation->word, &word,
                                            vine__op_word_as(word, VINE__OP_FREE)))
        return false;
    vine__op_push(cache, operation);
    return true;
}

/* Take back the registration of what was not sent, and give it back. False: it has ended meanwhile
 * (a completion was guessed, its time was over, the peer was lost), and is or will be given back
 * all the same. `word` is what its registration made it. The taker. */
VINE_MUST_CHECK bool vine__op_retract(struct vine__op_cache *cache, struct vine__op *operation,
                                      uint64_t word);

#endif
