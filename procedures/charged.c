/* SPDX-License-Identifier: Apache-2.0 */
#include "charged.h"

#include <stdlib.h>

#include "utils/assert.h"

/* In front of each block; keeps malloc's alignment. */
struct charged_block {
    _Alignas(max_align_t) size_t size; /* with this header */
};

void *vine__charged_allocate(void *context, size_t size)
{
    struct vine__charged *charged = context;
    struct charged_block *block;
    size_t total;

    VINE_ASSERT(charged->call);
    if (__builtin_add_overflow(size, sizeof(*block), &total) || total > INT64_MAX)
        return NULL;
    if (vine_call_charge(charged->call, (int64_t)total) < 0) {
        charged->refused = true;
        return NULL;
    }
    block = malloc(total);
    if (!block) {
        (void)!vine_call_charge(charged->call, -(int64_t)total);
        return NULL;
    }
    block->size = total;
    return block + 1;
}

void vine__charged_free(void *context, void *memory)
{
    struct vine__charged *charged = context;
    struct charged_block *block;

    if (!memory)
        return;
    block = (struct charged_block *)memory - 1;
    if (charged->call)
        (void)!vine_call_charge(charged->call, -(int64_t)block->size);
    free(block);
}
