/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Bodies of HTTP/1.1. The first byte says how long the pieces are in which the rest comes, the
 * second how the body ends and whether trailers are kept: in pieces it comes to the same data,
 * trailers, end or refusal as in one.
 */
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/http.h>

#include "utils/assert.h"

#define FIELDS 8u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct reader {
    struct vine_http_body body;
    struct vine_http_field fields[FIELDS];
    uint64_t sum; /* of all data */
    size_t used;
    int result;
};

static void begin(struct reader *reader, unsigned how)
{
    static const uint8_t framings[] = {VINE_HTTP_CHUNKED, VINE_HTTP_CHUNKED, VINE_HTTP_LENGTH,
                                       VINE_HTTP_CLOSE};

    memset(reader, 0, sizeof(*reader));
    vine_http_body_init(&reader->body, framings[how & 3], how >> 3);
    if ((how & 4) != 0)
        vine_http_body_keep_trailers(&reader->body, reader->fields, FIELDS);
}

/* What is behind the used bytes, in memory of just that size. */
static void feed(struct reader *reader, const uint8_t *bytes, size_t size, bool ends)
{
    const size_t left = size - reader->used;
    char *const copy = malloc(left + 1);
    size_t at = 0;

    VINE_ASSERT(copy != NULL);
    memcpy(copy, bytes + reader->used, left);
    copy[left] = '\n';
    do {
        struct vine_http_slice data;
        size_t used;

        reader->result =
            vine_http_body_next(&reader->body, copy + at, left + ends - at, &used, &data);
        if (reader->result < 0)
            break;
        VINE_ASSERT(used <= left + ends - at);
        VINE_ASSERT((reader->result == VINE_HTTP_DATA) == (data.size > 0));
        for (size_t i = 0; i < data.size; i++)
            reader->sum = reader->sum * 31 + (unsigned char)data.text[i];
        at += used;
    } while (reader->result == VINE_HTTP_DATA);
    reader->used += at;
    free(copy);
}

static void assert_same(const struct reader *a, const struct reader *b)
{
    VINE_ASSERT(a->result == b->result);
    VINE_ASSERT(a->sum == b->sum);
    VINE_ASSERT(a->body.received == b->body.received);
    if (a->result < 0) {
        VINE_ASSERT(a->body.refusal.status == b->body.refusal.status);
        VINE_ASSERT(a->body.refusal.offset == b->body.refusal.offset);
        VINE_ASSERT(a->body.refusal.what == b->body.refusal.what);
        return;
    }
    VINE_ASSERT(a->used == b->used && a->body.offset == a->used);
    if (a->result == VINE_HTTP_END)
        VINE_ASSERT(memcmp(a->fields, b->fields, sizeof(a->fields)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static struct reader whole, pieces;

    if (size_bytes < 2)
        return 0;
    const size_t size = size_bytes - 2;
    const size_t step = (size_t)bytes[0] % 16 + 1;
    const unsigned how = bytes[1];

    bytes += 2;
    begin(&whole, how);
    feed(&whole, bytes, size, false);
    begin(&pieces, how);
    for (size_t come = 0; pieces.result == VINE_HTTP_MORE && come < size;) {
        come = size - come < step ? size : come + step;
        feed(&pieces, bytes, come, false);
    }
    /* A trailer in which something is wrong may be looked at when its line ends. */
    if (pieces.result == VINE_HTTP_MORE && whole.result < 0)
        feed(&pieces, bytes, size, true);
    if (size > 0)
        assert_same(&whole, &pieces);
    VINE_ASSERT((vine_http_body_closed(&whole.body) == 0) ==
                (whole.result == VINE_HTTP_END || (whole.result >= 0 && (how & 3) == 3)));
    return 0;
}
