/* SPDX-License-Identifier: Apache-2.0 */
/* Our strategies under the trace of bench_allocator, by their names. */
#include "allocator_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vine/box.h>

#define EXTENT_BYTES (UINT64_C(2) << 30)

static struct vine_allocator *allocator;
static struct vine_box_book *book;
static unsigned char *extent;
static struct vine_token tokens[TRACE_BLOCKS + 1];
static uint32_t token_free[TRACE_BLOCKS + 1];
static uint32_t token_free_count;

static int open_strategy(enum vine_allocator_strategy strategy, uint32_t granule_bytes)
{
    const struct vine_allocator_options options = {
        .size_bytes = sizeof(options),
        .strategy = strategy,
        .granule_bytes = granule_bytes,
        .extent_bytes = EXTENT_BYTES,
        .blocks_max = strategy == VINE_ALLOCATOR_TLSF ? 160000 : 0,
    };
    extent = mmap(NULL, EXTENT_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return extent == MAP_FAILED ? 1 : vine_allocator_create(&options, &allocator);
}

static int open_general(void)
{
    return open_strategy(VINE_ALLOCATOR_GENERAL, 64);
}

static int open_general_16(void)
{
    return open_strategy(VINE_ALLOCATOR_GENERAL, 16);
}

static int open_tlsf(void)
{
    return open_strategy(VINE_ALLOCATOR_TLSF, 64);
}

static uint64_t alloc(size_t size_bytes)
{
    uint64_t offset;
    return vine_allocator_alloc(allocator, size_bytes, &offset) == 0 ? offset : UINT64_MAX;
}

static void give(uint64_t handle, size_t index)
{
    (void)index;
    if (vine_allocator_free(allocator, handle) != 0)
        abort();
}

static unsigned char *memory_of(uint64_t handle)
{
    return extent + handle;
}

static int open_boxes(void)
{
    struct vine_extent_index index;
    if (open_general() != 0 || vine_box_book_create(1, &book) != 0)
        return 1;
    const struct vine_box_extent box_extent = {
        .base = extent, .size_bytes = EXTENT_BYTES, .allocator = allocator};
    for (uint32_t i = 0; i <= TRACE_BLOCKS; i++)
        token_free[token_free_count++] = i;
    return vine_box_book_add_extent(book, &box_extent, &index);
}

static uint64_t alloc_box(size_t size_bytes)
{
    struct vine_box box;
    if (vine_box_create(book, (struct vine_box_type){1}, (uint32_t)size_bytes, &box) != 0)
        return UINT64_MAX;
    const uint32_t place = token_free[--token_free_count];
    tokens[place] = box.token;
    return place;
}

static void give_box(uint64_t handle, size_t index)
{
    (void)index;
    if (vine_box_free(book, &tokens[handle]) != 0)
        abort();
    token_free[token_free_count++] = (uint32_t)handle;
}

static unsigned char *memory_of_box(uint64_t handle)
{
    return extent + (uint64_t)tokens[handle].offset_units * VINE_TOKEN_UNIT_BYTES;
}

static uint32_t steps(void)
{
    return vine_allocator_steps_seen(allocator);
}

static const struct trace_allocator ours[] = {
    {"general", open_general, alloc, give, memory_of, NULL},
    {"general, granules of 16", open_general_16, alloc, give, memory_of, NULL},
    {"tlsf", open_tlsf, alloc, give, memory_of, steps},
    {"boxes over general", open_boxes, alloc_box, give_box, memory_of_box, NULL},
};

int main(int argument_count, char **arguments)
{
    for (size_t n = 0; argument_count == 2 && n < sizeof(ours) / sizeof(ours[0]); n++)
        if (strcmp(ours[n].name, arguments[1]) == 0)
            return trace_serve(&ours[n]);
    (void)fprintf(stderr, "one of our strategies: run by bench_allocator\n");
    return 2;
}
