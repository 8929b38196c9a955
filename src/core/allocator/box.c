/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes: what a token says is compared with what the allocator's entry for the block says. There is
 * no table beside it: generation, type and references lie in the entry, in the line that freeing
 * has to look at anyway.
 *
 * One counter gives generations to all boxes of a book, rather than one for each place: entries of
 * the table come and go, so a place's counter would have to be kept elsewhere to be of use.
 * Generation 0 is a block that is no box, or a token that names none.
 */
#include <vine/box.h>

#include "core/allocator/allocator_internal.h"
#include "core/allocator/marks.h"
#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

VINE_STATIC_ASSERT(sizeof(struct vine_token) == 16, "two tokens and 8 bytes fill a slot's body");
VINE_STATIC_ASSERT(offsetof(struct vine_token, length) == 4, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_token, generation) == 8, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_token, type) == 12, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_token, extent) == 14, "layout");

#define BOOK_MAGIC    0x626f7865u
#define EXTENTS_LIMIT 65536u
#define FREED         (1u << 31) /* vine_box_free was called, references are left */

/* Below that bit an entry's `references` has the box's mark, and below the mark their count. */
#define MARK_SHIFT 20u
#define COUNT_MASK ((1u << MARK_SHIFT) - 1)

VINE_STATIC_ASSERT(VINE__BOX_MARK_MAX << MARK_SHIFT < FREED, "a mark fits below the bit");

struct vine_box_book {
    uint32_t magic;
    uint32_t generation; /* of the last box */
    uint32_t extent_count;
    uint32_t extents_max;
    struct vine_box_book_stats stats;
    struct vine_box_extent extents[];
};

int vine_box_book_create(uint32_t extents_max, struct vine_box_book **ret_book)
{
    if (extents_max == 0 || extents_max > EXTENTS_LIMIT)
        return -EINVAL;
    struct vine_box_book *book =
        calloc(1, sizeof(*book) + extents_max * sizeof(struct vine_box_extent));
    if (book == NULL)
        return -ENOMEM;
    book->magic = BOOK_MAGIC;
    book->extents_max = extents_max;
    *ret_book = book;
    return 0;
}

void vine_box_book_destroy(struct vine_box_book *book)
{
    if (book == NULL)
        return;
    VINE_ASSERT(book->magic == BOOK_MAGIC);
    book->magic = 0;
    free(book);
}

int vine_box_book_add_extent(struct vine_box_book *book, const struct vine_box_extent *extent,
                             struct vine_extent_index *ret_index)
{
    VINE_ASSERT(book->magic == BOOK_MAGIC);
    const struct vine_allocator *allocator = extent->allocator;
    if (allocator == NULL || allocator->shared || allocator->strategy == VINE_ALLOCATOR_BUMP ||
        1u << allocator->granule_shift != VINE_TOKEN_UNIT_BYTES)
        return -EINVAL;
    const uint64_t heap_bytes = (uint64_t)allocator->unit_count * VINE_TOKEN_UNIT_BYTES;
    if (extent->base == NULL ||
        !vine__is_aligned_u64((uintptr_t)extent->base, VINE_TOKEN_UNIT_BYTES) ||
        !vine__is_aligned_u64(extent->heap_bytes, VINE_TOKEN_UNIT_BYTES) ||
        !vine__range_is_within_u64(extent->heap_bytes, heap_bytes, extent->size_bytes) ||
        extent->size_bytes / VINE_TOKEN_UNIT_BYTES > UINT32_MAX)
        return -EINVAL;
    if (book->extent_count == book->extents_max)
        return -ENOSPC;
    ret_index->value = (uint16_t)book->extent_count;
    book->extents[book->extent_count++] = *extent;
    return 0;
}

void vine_box_book_stats(const struct vine_box_book *book, struct vine_box_book_stats *ret_stats)
{
    VINE_ASSERT(book->magic == BOOK_MAGIC);
    *ret_stats = book->stats;
}

static int create_in(struct vine_box_book *book, uint32_t extent_index, struct vine_box_type type,
                     uint32_t length, uint32_t mark, struct vine_box *ret_box)
{
    const struct vine_box_extent *extent = &book->extents[extent_index];
    struct vine_allocator *allocator = extent->allocator;
    const uint32_t index = vine__allocator_take(allocator, length);
    if (index == 0)
        return -ENOMEM;
    if (++book->generation == 0)
        book->generation = 1;
    struct vine__block *block = vine__block_at(allocator, index);
    block->generation = book->generation;
    block->references = mark << MARK_SHIFT;
    block->type = type.value;
    const uint32_t heap_units = (uint32_t)(extent->heap_bytes / VINE_TOKEN_UNIT_BYTES);
    const uint32_t offset_units = heap_units + vine__block_offset_units(block);
    ret_box->memory =
        (unsigned char *)extent->base + (uint64_t)offset_units * VINE_TOKEN_UNIT_BYTES;
    ret_box->token = (struct vine_token){
        .offset_units = offset_units,
        .length = length,
        .generation = book->generation,
        .type = type.value,
        .extent = (uint16_t)extent_index,
    };
    book->stats.created++;
    return 0;
}

int vine_box_create(struct vine_box_book *book, struct vine_box_type type, uint32_t length,
                    struct vine_box *ret_box)
{
    return vine__box_create_marked(book, type, length, 0, ret_box);
}

int vine__box_create_marked(struct vine_box_book *book, struct vine_box_type type, uint32_t length,
                            uint32_t mark, struct vine_box *ret_box)
{
    VINE_ASSERT(mark <= VINE__BOX_MARK_MAX);
    VINE_ASSERT(book->magic == BOOK_MAGIC);
    if (length == 0)
        return -EINVAL;
    /* What a new extent was made for finds it empty: what went before fits again where it did. */
    for (uint32_t extent = 0; extent < book->extent_count; extent++) {
        if (create_in(book, extent, type, length, mark, ret_box) == 0)
            return 0;
    }
    return -ENOMEM;
}

int vine_box_create_slice(struct vine_box_book *book, struct vine_box_type type,
                          uint32_t element_bytes, uint32_t count, struct vine_box *ret_box)
{
    const uint64_t length = (uint64_t)element_bytes * count;
    if (length > UINT32_MAX)
        return -EINVAL;
    return vine_box_create(book, type, (uint32_t)length, ret_box);
}

/* The block that a token names, freed or not: its index, and the extent it lies in. 0 for none. */
static uint32_t find(const struct vine_box_book *book, const struct vine_token *token,
                     const struct vine_box_extent **ret_extent)
{
    VINE_ASSERT(book->magic == BOOK_MAGIC);
    if (token->extent >= book->extent_count || token->generation == 0)
        return 0;
    const struct vine_box_extent *extent = &book->extents[token->extent];
    const uint64_t offset = (uint64_t)token->offset_units * VINE_TOKEN_UNIT_BYTES;
    if (offset < extent->heap_bytes)
        return 0;
    struct vine_allocator *allocator = extent->allocator;
    const uint32_t index = vine__block_find_live(allocator, offset - extent->heap_bytes);
    if (index == 0)
        return 0;
    const struct vine__block *block = vine__block_at(allocator, index);
    const uint64_t length =
        (uint64_t)vine__block_units(block) * VINE_TOKEN_UNIT_BYTES - block->slack_bytes;
    if (block->generation != token->generation || block->type != token->type ||
        length != token->length)
        return 0;
    *ret_extent = extent;
    return index;
}

/* The same, but not freed; a token that names none is counted. */
static struct vine__block *find_living(struct vine_box_book *book, const struct vine_token *token,
                                       const struct vine_box_extent **ret_extent)
{
    const uint32_t index = find(book, token, ret_extent);
    if (index != 0) {
        struct vine__block *block = vine__block_at((*ret_extent)->allocator, index);
        if ((block->references & FREED) == 0)
            return block;
    }
    book->stats.refused++;
    return NULL;
}

static int check_expected(const struct vine_token *token, const struct vine_box_expect *expect)
{
    if (expect == NULL)
        return 0;
    const uint32_t element_bytes = expect->element_bytes == 0 ? 1 : expect->element_bytes;
    const uint32_t count = token->length / element_bytes;
    if (token->type != expect->type.value || token->length % element_bytes != 0 ||
        count < expect->count_min || (expect->count_max != 0 && count > expect->count_max))
        return -VINE_EARGUMENT;
    return 0;
}

int vine_box_resolve(struct vine_box_book *book, const struct vine_token *token,
                     const struct vine_box_expect *expect, void **ret_memory)
{
    const struct vine_box_extent *extent;
    if (find_living(book, token, &extent) == NULL)
        return -VINE_ETOKEN;
    const int rc = check_expected(token, expect);
    if (rc == 0)
        *ret_memory =
            (unsigned char *)extent->base + (uint64_t)token->offset_units * VINE_TOKEN_UNIT_BYTES;
    return rc;
}

int vine_box_shrink(struct vine_box_book *book, struct vine_token *token, uint32_t length)
{
    const struct vine_box_extent *extent;
    if (find_living(book, token, &extent) == NULL)
        return -VINE_ETOKEN;
    if (length == 0 || length > token->length)
        return -EINVAL;
    const uint64_t offset =
        (uint64_t)token->offset_units * VINE_TOKEN_UNIT_BYTES - extent->heap_bytes;
    const int rc = vine_allocator_shrink(extent->allocator, offset, length);
    if (rc == 0)
        token->length = length;
    return rc;
}

int vine_box_retype(struct vine_box_book *book, struct vine_token *token, struct vine_box_type type)
{
    const struct vine_box_extent *extent;
    struct vine__block *block = find_living(book, token, &extent);

    if (block == NULL)
        return -VINE_ETOKEN;
    block->type = type.value;
    token->type = type.value;
    return 0;
}

int vine_box_ref(struct vine_box_book *book, const struct vine_token *token)
{
    const struct vine_box_extent *extent;
    struct vine__block *block = find_living(book, token, &extent);
    if (block == NULL)
        return -VINE_ETOKEN;
    if ((block->references & COUNT_MASK) == COUNT_MASK)
        return -EAGAIN;
    block->references++;
    return 0;
}

int vine_box_unref(struct vine_box_book *book, const struct vine_token *token)
{
    const struct vine_box_extent *extent;
    const uint32_t index = find(book, token, &extent);
    if (index == 0)
        return -VINE_ETOKEN;
    struct vine__block *block = vine__block_at(extent->allocator, index);
    if ((block->references & COUNT_MASK) == 0)
        return -VINE_ETOKEN;
    block->references--;
    if ((block->references & FREED) != 0 && (block->references & COUNT_MASK) == 0) {
        book->stats.deferred--;
        vine__allocator_give(extent->allocator, index);
    }
    return 0;
}

int vine_box_free(struct vine_box_book *book, const struct vine_token *token)
{
    const struct vine_box_extent *extent;
    struct vine__block *block = find_living(book, token, &extent);
    if (block == NULL)
        return -VINE_ETOKEN;
    book->stats.freed++;
    if ((block->references & COUNT_MASK) != 0) {
        block->references |= FREED;
        book->stats.deferred++;
        return 0;
    }
    vine__allocator_give(extent->allocator, (uint32_t)(block - extent->allocator->table));
    return 0;
}

bool vine__box_is_living(const struct vine_box_book *book, const struct vine_token *token)
{
    const struct vine_box_extent *extent;
    const uint32_t index = find(book, token, &extent);

    return index != 0 && (vine__block_at(extent->allocator, index)->references & FREED) == 0;
}

bool vine__boxes_walk(const struct vine_box_book *book, struct vine__box_walk *walk,
                      uint32_t entries_max, vine__box_seen_fn seen, void *context)
{
    for (uint32_t left = entries_max; walk->extent < book->extent_count; walk->extent++) {
        const struct vine_allocator *allocator = book->extents[walk->extent].allocator;

        for (; walk->entry <= allocator->table_mask; walk->entry++) {
            const struct vine__block *block = &allocator->table[walk->entry];

            if (left-- == 0)
                return true;
            if (block->key == 0 || vine__block_state(block) != VINE__BLOCK_LIVE ||
                block->generation == 0 || walk->entry == 0)
                continue;
            seen(context, &(struct vine__box_seen){
                              .generation = block->generation,
                              .bytes = (uint64_t)vine__block_units(block) * VINE_TOKEN_UNIT_BYTES -
                                       block->slack_bytes,
                              .type = block->type,
                              .mark = (uint16_t)((block->references & ~FREED) >> MARK_SHIFT),
                          });
        }
        walk->entry = 0;
    }
    return false;
}

void vine_token_read(const void *shared, struct vine_token *ret_token)
{
    const uint32_t *words = shared;
    uint32_t copy[4];
    for (uint32_t i = 0; i < 4; i++)
        copy[i] = vine__load_relaxed_u32(&words[i]);
    memcpy(ret_token, copy, sizeof(*ret_token));
}

int vine_token_check(const struct vine_token *token, const uint64_t *extent_bytes,
                     uint32_t extent_count, const struct vine_box_expect *expect)
{
    if (token->extent >= extent_count || token->length == 0 || token->generation == 0)
        return -VINE_ETOKEN;
    const uint64_t offset = (uint64_t)token->offset_units * VINE_TOKEN_UNIT_BYTES;
    if (!vine__range_is_within_u64(offset, token->length, extent_bytes[token->extent]))
        return -VINE_ETOKEN;
    return check_expected(token, expect);
}
