/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bridge/op_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"

VINE_STATIC_ASSERT(sizeof(struct vine__op) == 16, "leaves 48 bytes of the user's first line");
VINE_STATIC_ASSERT(offsetof(struct vine__op_cache, free_taker) % VINE_CACHE_LINE == 0, "own line");
VINE_STATIC_ASSERT(offsetof(struct vine__op_cache, free_shared) % VINE_CACHE_LINE == 0, "own line");
VINE_STATIC_ASSERT(offsetof(struct vine__op_cache, refused) % VINE_CACHE_LINE == 0, "own line");

void vine__op_cache_init(struct vine__op_cache *cache, size_t operation_bytes, uint32_t count_max)
{
    VINE_ASSERT(operation_bytes >= sizeof(struct vine__op));
    VINE_ASSERT(operation_bytes % VINE_CACHE_LINE == 0);
    VINE_ASSERT(count_max <= VINE__OPS_MAX);
    memset(cache, 0, sizeof *cache);
    cache->operation_bytes = operation_bytes;
    cache->count_max = count_max;
    cache->free_taker = VINE__OP_NONE;
    cache->free_shared = VINE__OP_NONE;
}

void vine__op_cache_fini(struct vine__op_cache *cache)
{
    for (uint32_t i = 0; i < VINE__OP_SLABS; i++)
        free(cache->slabs[i]);
    memset(cache, 0, sizeof *cache);
}

/* One slab more, its operations on the taker's list. */
static int add_slab(struct vine__op_cache *cache)
{
    const uint32_t first = cache->count;
    const uint32_t left = cache->count_max - first;
    const uint32_t more = left < VINE__OPS_A_SLAB ? left : VINE__OPS_A_SLAB;
    const size_t bytes = more * cache->operation_bytes;

    if (more == 0)
        return -EAGAIN;

    unsigned char *slab = aligned_alloc(VINE_CACHE_LINE, bytes);

    if (slab == NULL)
        return -ENOMEM;
    memset(slab, 0, bytes);
    cache->slabs[first / VINE__OPS_A_SLAB] = slab;
    for (uint32_t i = more; i-- > 0;) {
        struct vine__op *operation = vine__op_at(cache, first + i);

        operation->index = first + i;
        operation->next_free = cache->free_taker;
        cache->free_taker = first + i;
    }
    /* O5 pairs with O6: the slab before the count that admits it. */
    vine__store_release_u32(&cache->count, first + more);
    return 0;
}

int vine__op_cache_fill(struct vine__op_cache *cache)
{
    int error = 0;

    while (!error && cache->count < cache->count_max)
        error = add_slab(cache);
    return error;
}

struct vine__op *vine__op_take_slow(struct vine__op_cache *cache)
{
    /* O4 pairs with O3: what was done with the operations is over. Taking the whole stack at once
     * leaves no room for an index that went away and came back (ABA). */
    cache->free_taker = vine__exchange_acq_rel_u32(&cache->free_shared, VINE__OP_NONE);
    if (cache->free_taker == VINE__OP_NONE && add_slab(cache) != 0)
        return NULL;
    return vine__op_take(cache);
}

bool vine__op_retract(struct vine__op_cache *cache, struct vine__op *operation, uint64_t word)
{
    uint64_t seen = word;

    /* Pairs with nothing: nobody goes by a free word, and what is pushed goes by O3. */
    if (vine__compare_exchange_acq_rel_u64(&operation->word, &seen,
                                           vine__op_word_as(word, VINE__OP_FREE))) {
        vine__op_push(cache, operation);
        return true;
    }
    /* Abandoned meanwhile: then it waits for a completion that does not come. */
    (void)vine__op_reclaim(cache, operation, vine__op_word_as(word, VINE__OP_ABANDONED));
    return false;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void count(uint64_t *counter)
{
    vine__store_relaxed_u64(counter, vine__load_relaxed_u64(counter) + 1);
}

uint64_t vine__op_cache_refused(const struct vine__op_cache *cache)
{
    const struct vine__op_refusals *refused = &cache->refused;

    return vine__load_relaxed_u64(&refused->late) + vine__load_relaxed_u64(&refused->duplicate) +
           vine__load_relaxed_u64(&refused->unknown) + vine__load_relaxed_u64(&refused->forged) +
           vine__load_relaxed_u64(&refused->wrong_kind);
}

/* Which count a completion belongs to that has found an operation, but not one to complete. */
static uint64_t *counter_for(struct vine__op_refusals *refused, uint64_t word, uint32_t generation,
                             uint8_t kind)
{
    const int32_t ahead = (int32_t)(generation - vine__op_word_generation(word));

    if (ahead != 0)
        return ahead > 0 ? &refused->forged : &refused->duplicate;
    switch (vine__op_word_state(word)) {
    case VINE__OP_PENDING:
        /* Of the same kind: it was not registered yet when the completion looked for it. */
        return vine__op_word_kind(word) == kind ? &refused->forged : &refused->wrong_kind;
    case VINE__OP_ABANDONED:
        return vine__op_word_kind(word) == kind ? &refused->late : &refused->wrong_kind;
    case VINE__OP_TAKEN:
        return &refused->forged;
    case VINE__OP_FREE:
        /* Generation 0 is of an operation that nobody has used yet. */
        return generation == 0 ? &refused->forged : &refused->duplicate;
    case VINE__OP_DONE:
        break;
    }
    return &refused->duplicate;
}

void vine__op_refuse(struct vine__op_cache *cache, uint64_t id, uint8_t kind)
{
    struct vine__op *operation = vine__op_find(cache, id);

    if (operation == NULL) {
        count(&cache->refused.unknown);
        return;
    }

    /* Relaxed: the word alone is judged, and changed only if it still is what it was. */
    const uint64_t word = vine__load_relaxed_u64(&operation->word);
    uint64_t *counter = counter_for(&cache->refused, word, (uint32_t)(id >> 32), kind);

    count(counter);
    if (counter == &cache->refused.late)
        (void)vine__op_reclaim(cache, operation, word);
}
