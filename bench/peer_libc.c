/* SPDX-License-Identifier: Apache-2.0 */
/* The C library under the trace of bench_allocator. */
#include "allocator_trace.h"

#include <stdlib.h>

static int open_nothing(void)
{
    return 0;
}

static uint64_t alloc(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    return memory == NULL ? UINT64_MAX : (uint64_t)(uintptr_t)memory;
}

static void give(uint64_t handle, size_t index)
{
    (void)index;
    free((void *)(uintptr_t)handle);
}

static unsigned char *memory_of(uint64_t handle)
{
    return (unsigned char *)(uintptr_t)handle;
}

int main(void)
{
    static const struct trace_allocator allocator = {"libc", open_nothing, alloc,
                                                     give,   memory_of,    NULL};
    return trace_serve(&allocator);
}
