/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc and its kin of a program that is linked with libvine-runtime, in the place of libc's and
 * of those that mimalloc's own library brings. docs/decisions/0020 says why all of them are here:
 * what is missing would be taken from there, past the batches. Not in builds with a sanitizer,
 * which needs its own (malloc_kept.c).
 */
#include "core/arena/blocks_inline.h"

#include <vine/base.h>

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

/* libc's headers declare some with attributes of their own, and all with default visibility; here
 * it is said, because the build hides what says nothing, and libraries have to find these. */
#define SHOWN VINE_API

SHOWN void *malloc(size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    return vine__block_alloc(thread, thread->malloc_heap, 1, SIZE_MAX, size);
}

SHOWN void free(void *block)
{
    vine__block_free(&vine__arena_thread, block);
}

SHOWN void *calloc(size_t count, size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    /* SIZE_MAX means another thing to the function, and no block has so many parts. */
    if (VINE__UNLIKELY(count == SIZE_MAX)) {
        errno = ENOMEM;
        return NULL;
    }
    return vine__block_alloc(thread, thread->malloc_heap, 1, count, size);
}

SHOWN void *realloc(void *block, size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    return vine__block_realloc(thread, thread->malloc_heap, block, size);
}

SHOWN void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

static bool is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static void *aligned(size_t alignment, size_t size)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;

    if (alignment <= 1)
        return vine__block_alloc(thread, thread->malloc_heap, 1, SIZE_MAX, size);
    return vine__block_alloc(thread, thread->malloc_heap, alignment, SIZE_MAX, size);
}

SHOWN int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;

    const int kept = errno; /* POSIX has it return its error, and leave errno */
    void *const block = aligned(alignment, size);

    errno = kept;
    if (block == NULL)
        return ENOMEM;
    *ret_block = block;
    return 0;
}

SHOWN void *memalign(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return aligned(alignment, size);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

SHOWN void *valloc(size_t size)
{
    return aligned((size_t)sysconf(_SC_PAGESIZE), size);
}

SHOWN void *pvalloc(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (size > SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return aligned(page, (size + page - 1) & ~(page - 1));
}

SHOWN size_t malloc_usable_size(void *block)
{
    return vine__block_usable(block);
}

/* Other threads have heaps of mimalloc's, which comes with us in any case: so whatever of its
 * library some part of the program finds in the place of ours, a block of either is freed by
 * both. */
void *vine__foreign_alloc(size_t alignment, size_t count, size_t size)
{
    if (alignment > 1)
        return mi_malloc_aligned(size, alignment);
    return count != SIZE_MAX ? mi_calloc(count, size) : mi_malloc(size);
}

void vine__foreign_free(void *block)
{
    mi_free(block);
}

size_t vine__foreign_usable(const void *block)
{
    return mi_usable_size(block);
}

/* Another definition is found first where this one lies in a library that was loaded by a program
 * with a malloc of its own. */
bool vine__arena_has_malloc(void)
{
    return dlsym(RTLD_DEFAULT, "malloc") == (void *)malloc &&
           dlsym(RTLD_DEFAULT, "free") == (void *)free;
}
