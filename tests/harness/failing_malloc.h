/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/harness/failing_malloc.h - allocations that fail on request, also under a sanitizer.
 *
 * Owns:     in a build with a sanitizer, malloc and its kin: they count as the arena's do, and what
 *           is not to fail goes to the sanitizer. In others malloc is the arena's, and counts.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   include it in one file of a program.
 */
#ifndef VINE_TESTS_HARNESS_FAILING_MALLOC_H
#define VINE_TESTS_HARNESS_FAILING_MALLOC_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/arena/arena_internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

/* By these names sanitizers offer theirs to who stands before them. */
void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size);
void *__interceptor_realloc(void *block, size_t size);
int __interceptor_posix_memalign(void **ret_block, size_t alignment, size_t size);
void *__interceptor_aligned_alloc(size_t alignment, size_t size);

/* They are called before the sanitizer is ready, so that it must not look at what they do. */
#define FAILING_MALLOC                                                                             \
    __attribute__((visibility("default"), no_sanitize("address", "thread", "undefined")))

/* From where to where this program lies, as the linker says. */
extern const char __executable_start, etext;

/* What this program asks for counts, with the libraries that are within it; the sanitizer asks too,
 * and gives up if it is refused. Relaxed: who arms it waits for nobody. */
#define FAILING_MALLOC_FAILS_NOW                                                                   \
    ((vine__arena_thread.fail_left != 0 ||                                                         \
      __atomic_load_n(&vine__arena_fail_armed, __ATOMIC_RELAXED) != 0) &&                          \
     (const char *)__builtin_return_address(0) >= &__executable_start &&                           \
     (const char *)__builtin_return_address(0) < &etext && vine__arena_fails_now())

/* It would not know any more what the dynamic linker keeps for itself. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:ld-linux\n";
}

/* Nor that liburing gives memory back, which another thread may get: its calls go past libc. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
    return "race:arch/poll/uring\nrace:liburing\n";
}

FAILING_MALLOC void *malloc(size_t size)
{
    return FAILING_MALLOC_FAILS_NOW ? NULL : __interceptor_malloc(size);
}

FAILING_MALLOC void *calloc(size_t count, size_t size)
{
    return FAILING_MALLOC_FAILS_NOW ? NULL : __interceptor_calloc(count, size);
}

FAILING_MALLOC void *realloc(void *block, size_t size)
{
    return FAILING_MALLOC_FAILS_NOW ? NULL : __interceptor_realloc(block, size);
}

FAILING_MALLOC int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    return FAILING_MALLOC_FAILS_NOW ? ENOMEM
                                    : __interceptor_posix_memalign(ret_block, alignment, size);
}

FAILING_MALLOC void *aligned_alloc(size_t alignment, size_t size)
{
    return FAILING_MALLOC_FAILS_NOW ? NULL : __interceptor_aligned_alloc(alignment, size);
}

#endif

#endif
