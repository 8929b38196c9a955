/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books of an allocator. The first byte chooses:
 *   even  a trace over private books: pairs of bytes are operations, whose answers are compared
 *         with a model, and the books are validated at the end;
 *   odd   shared books in the input's own words: formatted, then overwritten with 8-byte patches
 *         (u16 place in words, u8 what is added to it, u8 unused, u32 value), attached and used.
 *         The memory is just as large as it says, so that a sanitizer sees the first byte beyond.
 */
#include <vine/allocator.h>
#include <vine/error.h>

#include "core/allocator/allocator_internal.h"
#include "utils/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

enum {
    UNITS = 512,
    BLOCKS = 64,
    MEMORY_BYTES = 64 << 10,
};

struct model {
    struct vine_allocator *allocator;
    uint64_t offsets[BLOCKS];
    uint64_t sizes[BLOCKS]; /* granted; 0: not living */
    uint8_t used[UNITS];
};

static void mark(struct model *model, uint64_t offset, uint64_t bytes, uint8_t before)
{
    VINE_ASSERT(offset % 64 == 0 && bytes % 64 == 0 && (offset + bytes) / 64 <= UNITS);
    for (uint64_t unit = offset / 64; unit < (offset + bytes) / 64; unit++) {
        VINE_ASSERT(model->used[unit] == before);
        model->used[unit] = !before;
    }
}

static void step(struct model *model, uint8_t operation, uint8_t value)
{
    struct vine_allocator *allocator = model->allocator;
    const uint32_t k = operation % BLOCKS;
    uint64_t granted = 0;

    if (model->sizes[k] == 0) {
        const uint64_t size_bytes = 1 + ((uint64_t)value << operation / BLOCKS * 2);
        const int rc = vine_allocator_alloc(allocator, size_bytes, &model->offsets[k]);
        VINE_ASSERT(rc == 0 || rc == -ENOMEM);
        if (rc == 0) {
            VINE_ASSERT(vine_allocator_size_of(allocator, model->offsets[k], &granted) == 0);
            VINE_ASSERT(granted >= size_bytes);
            mark(model, model->offsets[k], granted, 0);
            model->sizes[k] = granted;
        }
    } else if (value >= 192) {
        const uint64_t size_bytes = 1 + model->sizes[k] * (value - 192) / 64;
        VINE_ASSERT(vine_allocator_shrink(allocator, model->offsets[k], size_bytes) == 0);
        VINE_ASSERT(vine_allocator_size_of(allocator, model->offsets[k], &granted) == 0);
        mark(model, model->offsets[k] + granted, model->sizes[k] - granted, 1);
        model->sizes[k] = granted;
    } else {
        VINE_ASSERT(vine_allocator_free(allocator, model->offsets[k]) == 0);
        VINE_ASSERT(vine_allocator_free(allocator, model->offsets[k]) == -VINE_ETOKEN);
        mark(model, model->offsets[k], model->sizes[k], 1);
        model->sizes[k] = 0;
    }
}

static void run_trace(const uint8_t *bytes, size_t size_bytes, uint8_t choice)
{
    const struct vine_allocator_options options = {
        .size_bytes = sizeof(options),
        .strategy = (choice & 2) != 0 ? VINE_ALLOCATOR_TLSF : VINE_ALLOCATOR_GENERAL,
        .extent_bytes = UNITS * 64,
        .blocks_max = (choice & 4) != 0 ? 40 : 0,
    };
    struct model model = {0};
    if (vine_allocator_create(&options, &model.allocator) != 0)
        return;
    for (size_t i = 0; i + 1 < size_bytes; i += 2)
        step(&model, bytes[i], bytes[i + 1]);
    VINE_ASSERT(vine_allocator_validate(model.allocator) == 0);
    vine_allocator_destroy(model.allocator);
}

static void use_shared(struct vine_allocator *allocator)
{
    uint64_t offsets[8];
    const uint64_t extent_bytes = (uint64_t)allocator->unit_count << allocator->granule_shift;
    int rc = 0;
    uint32_t count = 0;
    for (; count < 8 && rc == 0; count++) {
        rc = vine_allocator_alloc(allocator, 1 + 200 * count, &offsets[count]);
        if (rc == 0)
            VINE_ASSERT(offsets[count] + 200 * count < extent_bytes);
    }
    for (uint32_t i = 0; i + 1 < count; i++)
        (void)!vine_allocator_free(allocator, offsets[i]);
    struct vine_allocator_stats stats;
    (void)!vine_allocator_stats(allocator, &stats);
    (void)!vine_allocator_validate(allocator);
}

static void run_shared(const uint8_t *bytes, size_t size_bytes, uint8_t choice)
{
    struct vine_allocator_options options = {
        .size_bytes = sizeof(options),
        .strategy = (enum vine_allocator_strategy)(choice >> 1) % 3,
        .blocks_max = 60,
    };
    unsigned char *memory = aligned_alloc(64, MEMORY_BYTES);
    VINE_ASSERT(memory != NULL);
    memset(memory, 0, MEMORY_BYTES);
    struct vine_allocator *allocator = NULL;
    int rc = vine_allocator_format(memory, MEMORY_BYTES, &options);
    VINE_ASSERT(rc == 0);
    rc = vine_allocator_attach(memory, MEMORY_BYTES, &allocator);
    VINE_ASSERT(rc == 0);
    use_shared(allocator); /* so that there is something to damage */
    const bool before = (choice & 128) != 0;
    if (before)
        vine_allocator_destroy(allocator);
    for (size_t i = 0; i + 8 <= size_bytes; i += 8) {
        uint16_t place;
        memcpy(&place, bytes + i, 2);
        const size_t at = ((size_t)place + bytes[i + 2]) * 4 % MEMORY_BYTES;
        memcpy(memory + at, bytes + i + 4, 4);
    }
    if (before)
        rc = vine_allocator_attach(memory, MEMORY_BYTES, &allocator);
    if (rc == 0) {
        use_shared(allocator);
        vine_allocator_destroy(allocator);
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes == 0)
        return 0;
    if ((bytes[0] & 1) == 0)
        run_trace(bytes + 1, size_bytes - 1, bytes[0]);
    else
        run_shared(bytes + 1, size_bytes - 1, bytes[0]);
    return 0;
}
