/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_tests.h - what the tests of this folder share: messages in memory of exactly their size, so
 * that whoever reads behind them is caught by a sanitizer, and in pieces.
 */
#ifndef VINE_TESTS_HTTP_TESTS_H
#define VINE_TESTS_HTTP_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vine/error.h>
#include <vine/http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 16u
#define HEAD   1024u

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A literal that may have zeros in it. */
#define BYTES(literal) literal, sizeof(literal) - 1

static inline struct vine_http_slice slice_of(const char *text)
{
    return vine_http_slice(text);
}

/* A copy without anything behind it. */
static inline char *exactly(const char *bytes, size_t size)
{
    char *const copy = malloc(size > 0 ? size : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return copy;
}

static inline void assert_text(struct vine_http_slice slice, const char *expected)
{
    if (slice.size != strlen(expected) || memcmp(slice.text, expected, slice.size) != 0)
        fail_msg("'%.*s' instead of '%s'", (int)slice.size, slice.text, expected);
}

/* A generator with a seed (Marsaglia's xorshift64). */
static inline uint64_t chance(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline void assert_same_refusal(const struct vine_http_refusal *a,
                                       const struct vine_http_refusal *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->offset, b->offset);
    assert_string_equal(a->what, b->what);
}

static inline void assert_same_head(const struct vine_http_head *a, const struct vine_http_head *b)
{
    assert_int_equal(a->field_count, b->field_count);
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->repeated, b->repeated);
    assert_memory_equal(a->fields, b->fields, a->field_count * sizeof(a->fields[0]));
    for (unsigned id = 1; id < VINE_HTTP_FIELD_COUNT; id++)
        if (vine_http_has(a, id))
            assert_int_equal(a->first[id], b->first[id]);
}

#endif
