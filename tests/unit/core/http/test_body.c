/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Bodies, by the words of RFC 9112 6 to 8. Each is read as a whole, in two pieces at each place,
 * and byte by byte, with the same result.
 */
#include "http_tests.h"

#define ROOM 8192u

struct result {
    struct vine_http_body body;
    struct vine_http_field fields[FIELDS];
    char data[ROOM]; /* put together */
    size_t data_size;
    size_t used;
    int value;
};

static void begin(struct result *result, enum vine_http_framing framing, uint64_t length,
                  bool keeps)
{
    memset(result, 0x5a, sizeof(*result));
    vine_http_body_init(&result->body, framing, length);
    if (keeps)
        vine_http_body_keep_trailers(&result->body, result->fields, FIELDS);
    result->data_size = 0;
    result->used = 0;
    result->value = VINE_HTTP_MORE;
}

/* Give it what it has not used yet, in memory of just that size, until it wants more. */
static void feed(struct result *result, const char *bytes, size_t size)
{
    char *const copy = exactly(bytes + result->used, size - result->used);
    size_t at = 0;

    do {
        const size_t left = size - result->used;
        struct vine_http_slice data = {NULL, 0};
        size_t used = ~(size_t)0;

        result->value = vine_http_body_next(&result->body, copy + at, left, &used, &data);
        if (result->value < 0) {
            assert_int_equal(used, ~(size_t)0);
            break;
        }
        assert_true(used <= left);
        if (data.size > 0) {
            assert_int_equal(result->value, VINE_HTTP_DATA);
            assert_true(data.text >= copy + at && data.text + data.size == copy + at + used);
            assert_true(result->data_size + data.size <= ROOM);
            memcpy(result->data + result->data_size, data.text, data.size);
            result->data_size += data.size;
        }
        at += used;
        result->used += used;
    } while (result->value == VINE_HTTP_DATA);
    const char *const trailers = result->body.trailers.bytes;

    if (trailers >= copy && trailers <= copy + at)
        result->body.trailers.bytes = bytes + (size_t)(trailers - copy) + (result->used - at);
    free(copy);
}

static void assert_same(const struct result *a, const struct result *b)
{
    assert_int_equal(a->value, b->value);
    assert_int_equal(a->data_size, b->data_size);
    assert_memory_equal(a->data, b->data, a->data_size);
    assert_int_equal(a->body.received, b->body.received);
    if (a->value < 0) {
        assert_same_refusal(&a->body.refusal, &b->body.refusal);
        return;
    }
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->body.offset, a->used);
    assert_int_equal(b->body.offset, b->used);
    if (a->value == VINE_HTTP_END && a->body.trailers.fields != NULL)
        assert_same_head(&a->body.trailers, &b->body.trailers);
}

/* As for heads: trailers' lines may be looked at when they have ended. */
static void finish(struct result *pieces, const struct result *whole, const char *bytes,
                   size_t size)
{
    if (pieces->value == VINE_HTTP_MORE && whole->value < 0) {
        char *const ended = malloc(size + 1);

        assert_non_null(ended);
        memcpy(ended, bytes, size);
        ended[size] = '\n';
        feed(pieces, ended, size + 1);
        free(ended);
    }
    assert_same(pieces, whole);
}

static void read_body(struct result *result, enum vine_http_framing framing, uint64_t length,
                      bool keeps, const char *bytes, size_t size)
{
    static struct result pieces;

    begin(result, framing, length, keeps);
    feed(result, bytes, size);
    for (size_t cut = 0; cut <= size; cut++) {
        begin(&pieces, framing, length, keeps);
        feed(&pieces, bytes, cut);
        if (pieces.value == VINE_HTTP_MORE)
            feed(&pieces, bytes, size);
        finish(&pieces, result, bytes, size);
    }
    begin(&pieces, framing, length, keeps);
    for (size_t count = 0; count <= size && pieces.value == VINE_HTTP_MORE; count++)
        feed(&pieces, bytes, count);
    finish(&pieces, result, bytes, size);
}

/* ---- refusals -------------------------------------------------------------------------------- */

struct refused {
    const char *section;
    const char *bytes;
    size_t size;
    unsigned status;
    unsigned offset;
};

static const struct refused refused[] = {
    {"9112 7.1 a chunk without a size", BYTES("\r\nabc\r\n"), 400, 0},
    {"9112 7.1 an extension without a size", BYTES(";a=b\r\nabc\r\n"), 400, 0},
    {"9112 7.1 a size with 0x in front", BYTES("0x3\r\nabc\r\n"), 400, 1},
    {"9112 7.1 a size with a sign", BYTES("+3\r\nabc\r\n"), 400, 0},
    {"9112 7.1 a negative size", BYTES("-3\r\nabc\r\n"), 400, 0},
    {"9112 7.1 a size that is no number", BYTES("g\r\n"), 400, 0},
    {"9112 7.1 a size with a point", BYTES("3.0\r\n"), 400, 1},
    {"9112 7.1 a size with an underscore", BYTES("1_0\r\n"), 400, 1},
    {"9112 7.1 white space in front of a size", BYTES(" 3\r\nabc\r\n"), 400, 0},
    {"9112 7.1 white space behind a size", BYTES("3 \r\nabc\r\n"), 400, 2},
    {"9112 7.1 white space within a size", BYTES("3 3\r\nabc\r\n"), 400, 2},
    {"9112 7.1 a zero behind a size", BYTES("3\0\r\nabc\r\n"), 400, 1},
    {"9112 7.1 VT behind a size", BYTES("3\x0b\r\nabc\r\n"), 400, 1},
    {"9112 7.1 LF behind a size", BYTES("3\nabc\r\n"), 400, 1},
    {"9112 7.1 CR behind a size", BYTES("3\rabc\r\n"), 400, 2},
    {"9112 7.1 two CRs behind a size", BYTES("3\r\r\nabc\r\n"), 400, 2},
    {"9112 7.1 \"recipients MUST anticipate potentially large hexadecimal numerals\"",
     BYTES("8000000000000000\r\n"), 400, 15},
    {"9112 7.1 a size that overflows", BYTES("10000000000000003\r\nabc\r\n"), 400, 16},
    {"9112 7.1 a size with too many zeros", BYTES("00000000000000003\r\nabc\r\n"), 400, 16},
    {"9112 7.1 data beyond the size", BYTES("3\r\nabcd\r\n0\r\n\r\n"), 400, 6},
    {"9112 7.1 data that is shorter than its size", BYTES("5\r\nabc\r\n0\r\n\r\n"), 400, 8},
    {"9112 7.1 LF behind data", BYTES("3\r\nabc\n0\r\n\r\n"), 400, 6},
    {"9112 7.1 CR behind data", BYTES("3\r\nabc\r0\r\n\r\n"), 400, 7},
    {"9112 7.1 nothing behind data", BYTES("3\r\nabc0\r\n\r\n"), 400, 6},
    {"9112 7.1.1 LF in an extension", BYTES("3;a\nabc\r\n0\r\n\r\n"), 400, 3},
    {"9112 7.1.1 CR in an extension", BYTES("3;a\rb\r\nabc\r\n"), 400, 4},
    {"9112 7.1.1 LF in a quoted string", BYTES("3;a=\"\n\"\r\nabc\r\n"), 400, 5},
    {"9112 7.1.1 a zero in an extension", BYTES("3;a\0\r\nabc\r\n"), 400, 3},
    {"9112 7.1 LF behind the last chunk", BYTES("0\n\r\n"), 400, 1},
    {"9112 7.1 LF at the end", BYTES("0\r\n\n"), 400, 3},
    {"9112 7.1 CR at the end", BYTES("0\r\n\rX"), 400, 3},
    {"9112 7.1.2 a trailer without a colon", BYTES("0\r\nGET / HTTP/1.1\r\n\r\n"), 400, 6},
    {"9112 7.1.2 a trailer with white space before its colon", BYTES("0\r\nA : b\r\n\r\n"), 400, 4},
    {"9112 7.1.2 a folded trailer", BYTES("0\r\nA: b\r\n c\r\n\r\n"), 400, 9},
    {"9112 7.1.2 LF in trailers", BYTES("0\r\nA: b\n\r\n"), 400, 7},
    {"9110 6.5.1 no trailer about framing", BYTES("0\r\nContent-Length: 5\r\n\r\n"), 400, 3},
    {"9110 6.5.1 no trailer about framing", BYTES("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     3},
    {"9110 6.5.1 no trailer about routing", BYTES("0\r\nA: b\r\nHost: c\r\n\r\n"), 400, 3},
};

static void broken_chunks_are_refused(void **state)
{
    static struct result result;

    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++)
        for (int keeps = 0; keeps < 2; keeps++) {
            const struct refused *const row = &refused[i];

            read_body(&result, VINE_HTTP_CHUNKED, 0, keeps, row->bytes, row->size);
            if (result.value != -VINE_EPROTOCOL || result.body.refusal.status != row->status ||
                result.body.refusal.offset != row->offset)
                fail_msg("%s: %d, %u at %u (%s)", row->section, result.value,
                         result.body.refusal.status, (unsigned)result.body.refusal.offset,
                         result.body.refusal.what);
        }
}

/* 9112 7.1.1: "A server ought to limit the total length of chunk extensions". */
static void extensions_have_a_bound_over_all_chunks(void **state)
{
    static struct result result;
    struct vine_http_slice data;
    size_t used, chunks = 0;
    int value;

    (void)state;
    begin(&result, VINE_HTTP_CHUNKED, 0, false);
    do {
        value = vine_http_body_next(&result.body, "1;abcdefg\r\nX\r\n", 12, &used, &data);
        if (value < 0)
            break;
        assert_int_equal(value, VINE_HTTP_DATA);
        value = vine_http_body_next(&result.body, "\r\n", 2, &used, &data);
        chunks++;
    } while (value == VINE_HTTP_MORE);
    assert_int_equal(value, -VINE_EPROTOCOL);
    assert_int_equal(result.body.refusal.status, 400);
    assert_int_equal(chunks, VINE_HTTP_EXTENSIONS_MAX / 7);
    assert_int_equal(vine_http_body_next(&result.body, "\r\n", 2, &used, &data), -VINE_EPROTOCOL);
}

static void trailers_have_a_bound(void **state)
{
    static char text[VINE_HTTP_TRAILERS_MAX + 64] = "0\r\nA: ";
    static struct result result;

    (void)state;
    memset(text + 6, 'b', sizeof(text) - 6);
    memcpy(text + 3 + VINE_HTTP_TRAILERS_MAX - 4, "\r\n\r\n", 4);
    begin(&result, VINE_HTTP_CHUNKED, 0, true);
    feed(&result, text, sizeof(text));
    assert_int_equal(result.value, VINE_HTTP_END);
    assert_int_equal(result.used, 3 + VINE_HTTP_TRAILERS_MAX);
    memset(text + 6, 'b', sizeof(text) - 6);
    for (size_t start = 0; start < 2; start++) {
        begin(&result, VINE_HTTP_CHUNKED, 0, true);
        feed(&result, text, start * 100);
        feed(&result, text, 3 + VINE_HTTP_TRAILERS_MAX - 1);
        assert_int_equal(result.value, VINE_HTTP_MORE);
        feed(&result, text, 3 + VINE_HTTP_TRAILERS_MAX);
        assert_int_equal(result.value, -VINE_EPROTOCOL);
        assert_int_equal(result.body.refusal.status, 431);
    }
}

static void more_trailers_than_are_kept_are_refused(void **state)
{
    struct vine_http_field field;
    struct vine_http_body body;
    struct vine_http_slice data;
    size_t used;

    (void)state;
    vine_http_body_init(&body, VINE_HTTP_CHUNKED, 0);
    vine_http_body_keep_trailers(&body, &field, 1);
    assert_int_equal(vine_http_body_next(&body, BYTES("0\r\nA: b\r\nC: d\r\n\r\n"), &used, &data),
                     -VINE_EPROTOCOL);
    assert_int_equal(body.refusal.status, 431);
    vine_http_body_init(&body, VINE_HTTP_CHUNKED, 0);
    assert_int_equal(vine_http_body_next(&body, BYTES("0\r\nA: b\r\nC: d\r\n\r\n"), &used, &data),
                     VINE_HTTP_END);
    assert_false(vine_http_has(&body.trailers, VINE_HTTP_FIELD_OTHER));
    assert_int_equal(body.trailers.field_count, 0);
}

/* 9112 8: "the recipient MUST consider the message to be incomplete". */
static void a_body_that_is_cut_short_is_told_of(void **state)
{
    static const char *const cut[] = {"",
                                      "3",
                                      "3\r",
                                      "3\r\n",
                                      "3\r\na",
                                      "3\r\nabc",
                                      "3\r\nabc\r",
                                      "3\r\nabc\r\n",
                                      "3\r\nabc\r\n0\r\n"};
    static struct result result;

    (void)state;
    for (size_t i = 0; i < COUNT(cut); i++) {
        begin(&result, VINE_HTTP_CHUNKED, 0, false);
        feed(&result, cut[i], strlen(cut[i]));
        assert_int_equal(result.value, VINE_HTTP_MORE);
        assert_int_equal(vine_http_body_closed(&result.body), -VINE_EPROTOCOL);
        assert_int_equal(result.body.refusal.offset, result.used);
        assert_int_equal(vine_http_body_closed(&result.body), -VINE_EPROTOCOL);
    }
    begin(&result, VINE_HTTP_LENGTH, 3, false);
    feed(&result, "ab", 2);
    assert_int_equal(vine_http_body_closed(&result.body), -VINE_EPROTOCOL);
}

/* ---- what is taken --------------------------------------------------------------------------- */

static void chunks_are_read(void **state)
{
    static const struct {
        const char *section;
        const char *text;
        const char *data;
        size_t behind; /* bytes of the next message */
    } rows[] = {
        {"9112 7.1", "4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n",
         "Wikipedia in \r\nchunks.", 0},
        {"9112 7.1 no data", "0\r\n\r\n", "", 0},
        {"9112 7.1 zeros", "0000000000000003\r\nabc\r\n0000\r\n\r\n", "abc", 0},
        {"9112 7.1 digits of both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
         "01234567890123456789", 0},
        {"9112 7.1.1 extensions are passed over", "3;a=b;c=\"d;\\\"\x80\"\r\nabc\r\n0;last\r\n\r\n",
         "abc", 0},
        {"9112 7.1.1 \"bad\" white space", "3 \t; a = b\r\nabc\r\n0\r\n\r\n", "abc", 0},
        {"9112 9.3.2 what follows stays", "1\r\nx\r\n0\r\n\r\nGET /", "x", 5},
        {"9112 7.1.2", "0\r\nExpires: x\r\nA:b\r\n\r\n0\r\n", "", 3},
    };
    static struct result result;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        read_body(&result, VINE_HTTP_CHUNKED, 0, false, rows[i].text, strlen(rows[i].text));
        if (result.value != VINE_HTTP_END)
            fail_msg("%s: %d (%s)", rows[i].section, result.value, result.body.refusal.what);
        assert_text((struct vine_http_slice){result.data, result.data_size}, rows[i].data);
        assert_int_equal(result.used, strlen(rows[i].text) - rows[i].behind);
        assert_int_equal(result.body.received, result.data_size);
        assert_int_equal(vine_http_body_closed(&result.body), 0);
    }
}

static void trailers_are_kept_apart(void **state)
{
    static const char text[] = "1\r\nx\r\n0\r\nETag: \"a\"\r\nX-Sum: 5\r\n\r\n";
    static struct result result;
    struct vine_http_slice value = {NULL, 0};

    (void)state;
    read_body(&result, VINE_HTTP_CHUNKED, 0, true, text, sizeof(text) - 1);
    assert_int_equal(result.value, VINE_HTTP_END);
    assert_int_equal(result.body.trailers.field_count, 2);
    assert_true(vine_http_value(&result.body.trailers, VINE_HTTP_FIELD_ETAG, &value));
    assert_text(value, "\"a\"");
    assert_non_null(vine_http_find(&result.body.trailers, "x-sum", NULL));
}

static void a_length_is_kept_to(void **state)
{
    static struct result result;

    (void)state;
    read_body(&result, VINE_HTTP_LENGTH, 3, false, "abcGET", 6);
    assert_int_equal(result.value, VINE_HTTP_END);
    assert_int_equal(result.used, 3);
    assert_text((struct vine_http_slice){result.data, result.data_size}, "abc");
    read_body(&result, VINE_HTTP_LENGTH, 0, false, "GET", 3);
    assert_int_equal(result.value, VINE_HTTP_END);
    assert_int_equal(result.used, 0);
    read_body(&result, VINE_HTTP_NO_BODY, 77, false, "GET", 3);
    assert_int_equal(result.value, VINE_HTTP_END);
    assert_int_equal(result.used, 0);
}

static void a_body_may_end_with_its_connection(void **state)
{
    static struct result result;

    (void)state;
    read_body(&result, VINE_HTTP_CLOSE, 0, false, "abc\r\n", 5);
    assert_int_equal(result.value, VINE_HTTP_MORE);
    assert_text((struct vine_http_slice){result.data, result.data_size}, "abc\r\n");
    assert_int_equal(vine_http_body_closed(&result.body), 0);
    feed(&result, "abc\r\n", 5);
    assert_int_equal(result.value, VINE_HTTP_END);
}

static void data_may_be_moved_without_being_looked_at(void **state)
{
    struct vine_http_body body;
    struct vine_http_slice data;
    size_t used;

    (void)state;
    vine_http_body_init(&body, VINE_HTTP_LENGTH, UINT64_C(1) << 40);
    assert_int_equal(vine_http_body_direct(&body), UINT64_C(1) << 40);
    vine_http_body_moved(&body, (UINT64_C(1) << 40) - 1);
    assert_int_equal(vine_http_body_next(&body, "xy", 2, &used, &data), VINE_HTTP_DATA);
    assert_int_equal(used, 1);
    assert_int_equal(vine_http_body_direct(&body), 0);
    vine_http_body_init(&body, VINE_HTTP_CHUNKED, 0);
    assert_int_equal(vine_http_body_direct(&body), 0);
    assert_int_equal(vine_http_body_next(&body, "10\r\n", 4, &used, &data), VINE_HTTP_MORE);
    assert_int_equal(vine_http_body_direct(&body), 16);
    vine_http_body_moved(&body, 16);
    assert_int_equal(vine_http_body_direct(&body), 0);
    assert_int_equal(vine_http_body_next(&body, "\r\n0\r\n\r\n", 7, &used, &data), VINE_HTTP_END);
    assert_int_equal(used, 7);
    assert_int_equal(body.received, 16);
    vine_http_body_init(&body, VINE_HTTP_CLOSE, 0);
    assert_int_equal(vine_http_body_direct(&body), UINT64_MAX);
}

/* ---- chance ---------------------------------------------------------------------------------- */

static void mutated_chunks_are_read_the_same_way_however_they_come(void **state)
{
    static const char start[] =
        "4;a=b\r\nWiki\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\n";
    static const char odd[] = "\r\n\t :;,\0\x0b\x7f\x80\xff%#?/09afAFxg\"";
    static struct result result;
    uint64_t seed = 0x853c49e6748fea9b;

    (void)state;
    for (int run = 0; run < 2000; run++) {
        char text[sizeof(start) + 8];
        size_t size = sizeof(start) - 1;

        memcpy(text, start, size);
        for (uint64_t i = chance(&seed) % 3 + 1; i > 0; i--) {
            const size_t at = chance(&seed) % size;

            if (chance(&seed) % 3 == 0) {
                memmove(text + at, text + at + 1, --size - at);
            } else if (chance(&seed) % 2 == 0) {
                memmove(text + at + 1, text + at, size++ - at);
            } else {
                text[at] = odd[chance(&seed) % (sizeof(odd) - 1)];
            }
        }
        read_body(&result, VINE_HTTP_CHUNKED, 0, run % 2 == 0, text, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(extensions_have_a_bound_over_all_chunks),
        cmocka_unit_test(trailers_have_a_bound),
        cmocka_unit_test(more_trailers_than_are_kept_are_refused),
        cmocka_unit_test(a_body_that_is_cut_short_is_told_of),
        cmocka_unit_test(chunks_are_read),
        cmocka_unit_test(trailers_are_kept_apart),
        cmocka_unit_test(a_length_is_kept_to),
        cmocka_unit_test(a_body_may_end_with_its_connection),
        cmocka_unit_test(data_may_be_moved_without_being_looked_at),
        cmocka_unit_test(mutated_chunks_are_read_the_same_way_however_they_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
