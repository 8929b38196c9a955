/* SPDX-License-Identifier: Apache-2.0 */
/* In a build with a sanitizer malloc is the sanitizer's, and arenas serve those who ask for them by
 * name. */
#include "core/arena/arena_internal.h"

#include <malloc.h>
#include <stdlib.h>

/* Blocks of other threads are the sanitizer's too: it sees who frees them twice, and what orders
 * two uses of one. */
void *vine__foreign_alloc(size_t alignment, size_t count, size_t size)
{
    void *block = NULL;

    if (alignment > 1)
        return posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment,
                              size) == 0
                   ? block
                   : NULL;
    return count != SIZE_MAX ? calloc(count, size) : malloc(size);
}

void vine__foreign_free(void *block)
{
    free(block);
}

size_t vine__foreign_usable(const void *block)
{
    return malloc_usable_size((void *)(uintptr_t)block);
}

bool vine__arena_has_malloc(void)
{
    return false;
}
