/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/memory.c - what coroutines allocate.
 *
 * The heap's stack is shared by all coroutines of a micro-process, who do not end in order. So a
 * block that is freed below others is marked, and goes when it is on top.
 */

#include <vine/heap.h>

#include "core/state/state_internal.h"
#include "utils/assert.h"

struct vine__block {
    struct vine__block *below;    /* on the stack */
    struct vine__block *next;     /* of its owner */
    struct vine_coroutine *owner; /* NULL: it is free */
    uint32_t mark;                /* of the stack before it */
};

#define HEADER_BYTES 32U

VINE_STATIC_ASSERT(sizeof(struct vine__block) <= HEADER_BYTES, "a block's header has its place");
VINE_STATIC_ASSERT(VINE_HEAP_TEXT_BYTES >= VINE__HEAP_WHY_BYTES, "what a heap says has room");

VINE__INSIDE void *vine__alloc(struct vine_coroutine *that, size_t size_bytes)
{
    struct vine__inside *const inside = that->inside;
    const uint32_t mark = vine__heap_mark(&inside->heap);
    struct vine__block *const block =
        size_bytes <= VINE__HEAP_BYTES_MAX
            ? vine__heap_push(&inside->heap, size_bytes + HEADER_BYTES)
            : NULL;

    if (block == NULL) {
        vine__raise(that, -ENOMEM);
        return NULL;
    }
    *block = (struct vine__block){
        .below = inside->top_block, .next = that->blocks, .owner = that, .mark = mark};
    inside->top_block = block;
    that->blocks = block;
    return (unsigned char *)block + HEADER_BYTES;
}

/* Take what is free off the stack's top. */
VINE__INSIDE static void shrink(struct vine__inside *inside)
{
    while (inside->top_block != NULL && inside->top_block->owner == NULL) {
        const uint32_t mark = inside->top_block->mark;

        inside->top_block = inside->top_block->below;
        vine__heap_release(&inside->heap, mark);
    }
}

VINE__INSIDE void vine__free(struct vine_coroutine *that, void *pointer)
{
    if (pointer == NULL)
        return;

    struct vine__block *const block = (void *)((unsigned char *)pointer - HEADER_BYTES);
    struct vine__block **link = &that->blocks;

    while (*link != NULL && *link != block)
        link = &(*link)->next;
    if (*link == NULL)
        vine__misuse(that, "vine_free of what it has not from vine_alloc");
    *link = block->next;
    block->owner = NULL;
    shrink(that->inside);
}

VINE__INSIDE void vine__blocks_free(struct vine_coroutine *that)
{
    if (that->blocks == NULL)
        return;
    for (struct vine__block *block = that->blocks; block != NULL; block = block->next)
        block->owner = NULL;
    that->blocks = NULL;
    shrink(that->inside);
}

/* ---- what goes with a coroutine ------------------------------------------------------------- */

struct vine__owned {
    struct vine__owned *next, *previous;
};

VINE__INSIDE static void own(struct vine_coroutine *that, struct vine__owned *owned)
{
    owned->previous = NULL;
    owned->next = that->owned;
    if (owned->next != NULL)
        owned->next->previous = owned;
    that->owned = owned;
}

VINE__INSIDE static struct vine__owned *let_go(struct vine_coroutine *that, void *memory)
{
    struct vine__owned *const owned = (struct vine__owned *)memory - 1;

    if (owned->next != NULL)
        owned->next->previous = owned->previous;
    if (owned->previous != NULL)
        owned->previous->next = owned->next;
    else
        that->owned = owned->next;
    return owned;
}

VINE__INSIDE void *vine__own(struct vine_coroutine *that, size_t size_bytes)
{
    struct vine__owned *const owned =
        size_bytes <= VINE__HEAP_BYTES_MAX
            ? vine__heap_alloc(&that->inside->heap, sizeof(*owned) + size_bytes)
            : NULL;

    if (owned == NULL)
        return NULL;
    own(that, owned);
    return owned + 1;
}

VINE__INSIDE void vine__disown(struct vine_coroutine *that, void *memory)
{
    if (memory != NULL)
        vine__heap_free(&that->inside->heap, let_go(that, memory));
}

VINE__INSIDE void vine__pass(struct vine_coroutine *from, struct vine_coroutine *to, void *memory)
{
    own(to, let_go(from, memory));
}

VINE__INSIDE void vine__owned_free(struct vine_coroutine *that)
{
    while (that->owned != NULL)
        vine__disown(that, that->owned + 1);
}

/* ---- what stays ------------------------------------------------------------------------------ */

VINE__INSIDE void *vine__keep(struct vine_coroutine *that, size_t size_bytes)
{
    void *const memory = vine__heap_alloc(&that->inside->heap, size_bytes);

    if (memory == NULL)
        vine__raise(that, -ENOMEM);
    return memory;
}

VINE__INSIDE void vine__unkeep(struct vine_coroutine *that, void *pointer)
{
    vine__heap_free(&that->inside->heap, pointer);
}

VINE__INSIDE void vine__heap_text(struct vine_coroutine *that, char text[VINE_HEAP_TEXT_BYTES])
{
    vine__heap_explain(&that->inside->heap, text);
}
