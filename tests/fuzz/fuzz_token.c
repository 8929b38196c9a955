/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens. The input is a row of operations on a book of boxes: make one, or take any token, as it
 * was made or with words of the input in it, and check, resolve, refer to, shrink or free with it.
 * A model knows which tokens live: nothing else may be accepted, and nothing that lives refused.
 */
#include <vine/box.h>
#include <vine/error.h>

#include "utils/assert.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

enum {
    EXTENT_BYTES = 32 << 10,
    HEAP_BYTES = 512,
    EXTENTS = 2,
    BOXES = 32,
};

static const uint64_t extent_bytes[EXTENTS] = {EXTENT_BYTES, EXTENT_BYTES};

struct entry {
    struct vine_box box;
    uint32_t references;
    bool living; /* not freed */
};

struct run {
    struct vine_box_book *book;
    struct vine_allocator *allocators[EXTENTS];
    unsigned char *memory[EXTENTS];
    struct entry entries[BOXES];
};

static struct entry *find(struct run *run, const struct vine_token *token)
{
    for (uint32_t i = 0; i < BOXES; i++) {
        struct entry *entry = &run->entries[i];
        if ((entry->living || entry->references != 0) &&
            memcmp(&entry->box.token, token, sizeof(*token)) == 0)
            return entry;
    }
    return NULL;
}

static void make(struct run *run, uint32_t slot, uint32_t length, uint16_t type)
{
    struct entry *entry = &run->entries[slot];
    if (entry->living || entry->references != 0)
        return;
    entry->living =
        vine_box_create(run->book, (struct vine_box_type){type}, length, &entry->box) == 0;
    if (!entry->living)
        return;
    /* Sanitizers and the next make() see boxes that lie outside or in one another. */
    memset(entry->box.memory, (int)slot, length);
    VINE_ASSERT(vine_token_check(&entry->box.token, extent_bytes, EXTENTS, NULL) == 0);
    for (uint32_t i = 0; i < BOXES; i++) {
        const struct entry *other = &run->entries[i];
        if (other->living && other->box.token.length != 0)
            VINE_ASSERT(*(unsigned char *)other->box.memory == i);
    }
}

static void check_only(const struct vine_token *token)
{
    const struct vine_box_expect expect = {
        .type = {token->type}, .element_bytes = token->generation % 7, .count_max = 100};
    const int rc = vine_token_check(token, extent_bytes, EXTENTS, NULL);
    if (rc == 0) {
        VINE_ASSERT(token->extent < EXTENTS && token->length != 0);
        VINE_ASSERT((uint64_t)token->offset_units * 64 + token->length <= EXTENT_BYTES);
    }
    if (vine_token_check(token, extent_bytes, EXTENTS, &expect) == 0)
        VINE_ASSERT(rc == 0);
    VINE_ASSERT(vine_token_check(token, extent_bytes, 0, NULL) == -VINE_ETOKEN);
}

static void use(struct run *run, struct vine_token token, uint8_t operation, uint32_t argument)
{
    struct entry *entry = find(run, &token);
    const bool living = entry != NULL && entry->living;
    void *memory = NULL;
    int rc;

    switch (operation % 6) {
    case 0:
        check_only(&token);
        return;
    case 1:
        rc = vine_box_resolve(run->book, &token, NULL, &memory);
        if (living)
            VINE_ASSERT(memory == entry->box.memory);
        break;
    case 2:
        rc = vine_box_ref(run->book, &token);
        if (rc == 0 && living)
            entry->references++;
        break;
    case 3:
        rc = vine_box_unref(run->book, &token);
        VINE_ASSERT((rc == 0) == (entry != NULL && entry->references != 0));
        if (rc == 0)
            entry->references--;
        return;
    case 4:
        if (token.length == 0)
            return;
        rc = vine_box_shrink(run->book, &token, 1 + argument % token.length);
        if (rc == 0 && living)
            entry->box.token = token;
        break;
    default:
        rc = vine_box_free(run->book, &token);
        if (rc == 0 && living)
            entry->living = false;
        break;
    }
    VINE_ASSERT(rc == (living ? 0 : -VINE_ETOKEN));
}

static void play(struct run *run, const uint8_t *bytes, size_t size_bytes)
{
    for (size_t at = 0; at + 4 <= size_bytes;) {
        const uint8_t operation = bytes[at];
        const uint32_t slot = bytes[at + 1] % BOXES;
        const uint32_t argument = bytes[at + 2] | (uint32_t)bytes[at + 3] << 8;
        at += 4;
        if (operation < 96) {
            make(run, slot, argument, operation);
            continue;
        }
        struct vine_token token = run->entries[slot].box.token;
        if (operation >= 224 && at + sizeof(token) <= size_bytes) {
            /* Some of its four words are the input's. */
            for (uint32_t word = 0; word < 4; word++) {
                if ((argument >> word & 1) != 0)
                    memcpy((unsigned char *)&token + 4 * word, bytes + at + 4 * word, 4);
            }
            at += sizeof(token);
        }
        use(run, token, operation, argument);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct run run;
    memset(&run, 0, sizeof(run));
    int rc = vine_box_book_create(EXTENTS, &run.book);
    VINE_ASSERT(rc == 0);
    for (uint32_t i = 0; i < EXTENTS; i++) {
        const struct vine_allocator_options options = {
            .size_bytes = sizeof(options),
            .strategy = i == 0 ? VINE_ALLOCATOR_GENERAL : VINE_ALLOCATOR_TLSF,
            .extent_bytes = EXTENT_BYTES - HEAP_BYTES,
        };
        rc = vine_allocator_create(&options, &run.allocators[i]);
        VINE_ASSERT(rc == 0);
        run.memory[i] = aligned_alloc(64, EXTENT_BYTES);
        VINE_ASSERT(run.memory[i] != NULL);
        const struct vine_box_extent extent = {
            .base = run.memory[i],
            .size_bytes = EXTENT_BYTES,
            .heap_bytes = HEAP_BYTES,
            .allocator = run.allocators[i],
        };
        struct vine_extent_index index;
        rc = vine_box_book_add_extent(run.book, &extent, &index);
        VINE_ASSERT(rc == 0 && index.value == i);
    }
    play(&run, bytes, size_bytes);
    vine_box_book_destroy(run.book);
    for (uint32_t i = 0; i < EXTENTS; i++) {
        VINE_ASSERT(vine_allocator_validate(run.allocators[i]) == 0);
        vine_allocator_destroy(run.allocators[i]);
        free(run.memory[i]);
    }
    return 0;
}
