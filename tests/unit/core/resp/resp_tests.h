/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/resp/resp_tests.h - bytes of a test, in memory of just their size.
 *
 * Owns:     a block of memory for each call of copy_of, which the caller frees.
 * Threads:  one.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_TESTS_RESP_TESTS_H
#define VINE_TESTS_RESP_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* A copy at the end of its memory, so that sanitizers see the first byte read beyond it. */
static inline char *copy_of(const char *bytes, size_t size)
{
    char *const copy = malloc(size > 0 ? size : 1);

    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

/* A number of a sequence that a seed determines (Marsaglia's xorshift). */
static inline uint64_t chance(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#endif
