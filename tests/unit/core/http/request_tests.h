/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_tests.h - reading a request as a whole, in two pieces at each place, and byte by byte,
 * with the same result.
 */
#ifndef VINE_TESTS_REQUEST_TESTS_H
#define VINE_TESTS_REQUEST_TESTS_H

#include "http_tests.h"

struct result {
    struct vine_http_request request;
    struct vine_http_field fields[FIELDS];
    int value;
};

static inline void begin(struct result *result)
{
    memset(result, 0x5a, sizeof(*result));
    vine_http_request_init(&result->request, result->fields, FIELDS, HEAD);
}

static inline void feed(struct result *result, const char *bytes, size_t size)
{
    char *const copy = exactly(bytes, size);

    result->value = vine_http_request_parse(&result->request, copy, size);
    result->request.head.bytes = bytes;
    free(copy);
}

static inline void assert_same(const struct result *a, const struct result *b)
{
    const struct vine_http_request *const one = &a->request, *const other = &b->request;

    assert_int_equal(a->value, b->value);
    if (a->value == 0)
        return;
    if (a->value < 0) {
        assert_same_refusal(&one->head.refusal, &other->head.refusal);
        return;
    }
    assert_same_head(&one->head, &other->head);
    assert_memory_equal((const char *)one + sizeof(one->head),
                        (const char *)other + sizeof(one->head), sizeof(*one) - sizeof(one->head));
}

/* A line of which the end has not come may be looked at when it comes: nothing else is put off. */
static inline void finish(struct result *pieces, const struct result *whole, const char *bytes,
                          size_t size)
{
    char *ended;

    if (pieces->value == 0 && whole->value < 0) {
        const size_t offset = (size_t)whole->request.head.refusal.offset;

        assert_null(memchr(bytes + offset, '\n', size - offset));
        ended = malloc(size + 1);
        assert_non_null(ended);
        memcpy(ended, bytes, size);
        ended[size] = '\n';
        feed(pieces, ended, size + 1);
        free(ended);
        pieces->request.head.bytes = bytes;
    }
    assert_same(pieces, whole);
}

/* The whole decides; each way of cutting it comes to that. */
static inline void parse(struct result *result, const char *bytes, size_t size)
{
    begin(result);
    feed(result, bytes, size);
    for (size_t cut = 0; cut <= size; cut++) {
        struct result pieces;

        begin(&pieces);
        feed(&pieces, bytes, cut);
        if (result->value > 0)
            assert_int_equal(pieces.value, cut < (size_t)result->value ? 0 : result->value);
        if (pieces.value == 0)
            feed(&pieces, bytes, size);
        finish(&pieces, result, bytes, size);
    }
    struct result slow;

    begin(&slow);
    for (size_t count = 0; count <= size; count++) {
        feed(&slow, bytes, count);
        if (slow.value != 0)
            break;
    }
    finish(&slow, result, bytes, size);
}

#endif
