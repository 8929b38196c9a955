/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * Requests as they come: whole, in pieces of any size, wrong in all ways, and larger than memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/server/request.h"

#define ROOM_BYTES 64
#define ALL        VINE_SERVER_PERMISSIONS_ALL

/* What a stream tells, as text: a word for each thing told. Pieces of one buffer are one. */
struct story {
    char text[2048];
    size_t size;
    bool is_in_buffer;
};

__attribute__((format(printf, 2, 3))) static void tell(struct story *story, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    story->size += (size_t)vsnprintf(story->text + story->size, sizeof(story->text) - story->size,
                                     format, arguments);
    va_end(arguments);
    assert_true(story->size < sizeof(story->text));
}

static void tell_done(struct story *story, const struct vine__request *request)
{
    tell(story, "[%s %" PRIu32, request->is_refused ? "over" : "done", request->number);
    for (uint32_t i = 0; i < request->parameter_count && !request->is_refused; i++)
        switch (request->command->parameters[i]) {
        case 's':
            tell(story, " '%.*s'", (int)request->parameters[i].size_bytes,
                 request->parameters[i].bytes);
            break;
        case 'i':
            tell(story, " %" PRId64, request->parameters[i].integer);
            break;
        default:
            break;
        }
    tell(story, "]");
}

static void tell_one(struct story *story, const struct vine__request *request,
                     enum vine__request_told told)
{
    if (told != VINE__REQUEST_PIECE && story->is_in_buffer) {
        tell(story, ">");
        story->is_in_buffer = false;
    }
    switch (told) {
    case VINE__REQUEST_MORE:
        break;
    case VINE__REQUEST_BUFFER:
        tell(story, "<%" PRIu64 ":", request->buffer_bytes);
        story->is_in_buffer = true;
        break;
    case VINE__REQUEST_PIECE:
        assert_true(request->piece_bytes > 0);
        tell(story, "%.*s", (int)request->piece_bytes, request->piece);
        break;
    case VINE__REQUEST_REFUSED:
        tell(story, "[refused %" PRIu32 ",%" PRIu32 " %d]", request->number, request->version,
             (int)request->error);
        break;
    case VINE__REQUEST_DONE:
        tell_done(story, request);
        break;
    case VINE__REQUEST_LOST:
        tell(story, "[lost %" PRIu32 "%s]", request->number,
             request->is_refused ? " after an answer" : "");
        break;
    }
}

/* Each piece lies in memory of its size, so that a checker sees whoever reads beyond it. */
static void read_in_pieces(const char *stream, size_t size, size_t piece, uint16_t permissions,
                           struct story *story)
{
    char room[ROOM_BYTES];
    struct vine__request request;
    bool is_lost = false;

    memset(story, 0, sizeof(*story));
    vine__request_init(&request, permissions, room, sizeof(room));
    for (size_t from = 0; from < size && !is_lost; from += piece) {
        const size_t now = size - from < piece ? size - from : piece;
        char *const bytes = malloc(now);
        enum vine__request_told told;
        size_t at = 0;

        assert_non_null(bytes);
        memcpy(bytes, stream + from, now);
        while (!is_lost &&
               (told = vine__request_read(&request, bytes + at, now - at)) != VINE__REQUEST_MORE) {
            at += request.consumed_bytes;
            assert_true(at <= now);
            tell_one(story, &request, told);
            is_lost = told == VINE__REQUEST_LOST;
        }
        assert_true(is_lost || at + request.consumed_bytes == now);
        free(bytes);
    }
}

/* It is the same story however the bytes come. */
static void expect_bytes(const char *stream, size_t size, uint16_t permissions, const char *text)
{
    struct story story;

    for (size_t piece = 1; piece <= size; piece++) {
        read_in_pieces(stream, size, piece, permissions, &story);
        assert_string_equal(story.text, text);
    }
}

static void expect(const char *stream, const char *text)
{
    expect_bytes(stream, strlen(stream), ALL, text);
}

static void requests_are_read(void **state)
{
    (void)state;
    expect("1,1\n", "[done 1]");
    expect("3,1\n5,0;1;2\n", "[done 3 '0;1;2']");
    expect("6,1\n0,\n", "[done 6 '']");
    expect("9,1\n4,abcd\n11,quiet=1\na,b\n", "[done 9 'abcd' 'quiet=1\na,b']");
    expect("13,1\n2,ab\n-5\n14,1\n2,ab\n", "[done 13 'ab' -5][done 14 'ab']");
    expect("123,1\n2,ab\n3,off\n0\n", "[done 123 'ab' 'off' 0]");
    expect("1,1\n2,1\n7,1\n", "[done 1][done 2][done 7]");
}

static void a_buffer_is_handed_on_as_it_comes(void **state)
{
    (void)state;
    expect("8,1\n2,ab\n10,0123456789\n1,1\n", "<10:0123456789>[done 8 'ab'][done 1]");
    expect("8,1\n2,ab\n0,\n1,1\n", "<0:>[done 8 'ab'][done 1]");
    expect("17,1\n2,ab\n6,1,1\n2,\n1,1\n", "<6:1,1\n2,>[done 17 'ab'][done 1]");
}

static void what_has_not_come_is_waited_for(void **state)
{
    (void)state;
    expect("1,1", "");
    expect("3,1\n", "");
    expect("3,1\n5,0;1", "");
    expect("3,1\n5,0;1;2", "");
    expect("8,1\n2,ab\n4294967296,half", "<4294967296:half");
    expect("8,1\n2,ab\n3,abc", "<3:abc");
}

static void what_is_bad_within_whole_lines_leaves_the_connection(void **state)
{
    (void)state;
    expect("13,1\n2,ab\nsoon\n1,1\n", "[refused 13,1 6][over 13][done 1]");
    expect("13,1\n2,ab\n\n1,1\n", "[refused 13,1 6][over 13][done 1]");
    expect("13,1\n2,ab\n+5\n1,1\n", "[refused 13,1 6][over 13][done 1]");
    expect("13,1\n2,ab\n-0\n1,1\n", "[refused 13,1 6][over 13][done 1]");
    expect("13,1\n2,ab\n05\n1,1\n", "[refused 13,1 6][over 13][done 1]");
    expect("13,1\n2,ab\n1.5\n1,1\n", "[refused 13,1 6][over 13][done 1]");
    expect("13,1\n2,ab\n9223372036854775808\n1,1\n", "[refused 13,1 6][over 13][done 1]");
}

static void what_is_unknown_leaves_the_connection(void **state)
{
    (void)state;
    expect("0,1\n1,1\n", "[refused 0,1 2][over 0][done 1]");
    expect("22,1\n1,1\n", "[refused 22,1 2][over 22][done 1]");
    expect("99,1\n98,3\n1,1\n", "[refused 99,1 2][over 99][refused 98,3 2][over 98][done 1]");
    expect("1,2\n1,0\n1,1\n", "[refused 1,2 3][over 1][refused 1,0 3][over 1][done 1]");
    expect("65535,65535\n1,1\n", "[refused 65535,65535 2][over 65535][done 1]");
    expect("101,1\n110,1\n1,1\n", "[refused 101,1 2][over 101][refused 110,1 2][over 110][done 1]");
}

static void what_is_no_request_is_refused_and_the_connection_goes_on(void **state)
{
    (void)state;
    expect("hello\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("1\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("1, 1\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("1,1\r\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("01,1\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("-1,1\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("1,1,1\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("65536,1\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("1,65536\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect(",\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect("1,\n1,1\n", "[refused 0,0 1][over 0][done 1]");
    expect_bytes("1,1\0\n1,1\n", 9, ALL, "[refused 0,0 1][over 0][done 1]");
}

/* They could be taken for requests, and do something. */
static void parameters_of_what_is_unknown_lose_the_connection(void **state)
{
    (void)state;
    expect("60,1\n5,hello\n14,1\n2,ab\n", "[refused 60,1 2][over 60][lost 0]");
    expect("8,2\n2,ab\n14,1\n2,ab\n", "[refused 8,2 3][over 8][lost 0]");
    expect("60,1\n7\n14,1\n2,ab\n", "[refused 60,1 2][over 60][lost 0]");
    expect("60,1\n100000,1\n14,1\n2,ab\n", "[refused 60,1 2][over 60][lost 0]");
    expect("garbage\nand more\n14,1\n2,ab\n", "[refused 0,0 1][over 0][lost 0]");
}

static void framing_is_lost_where_lengths_are_wrong(void **state)
{
    (void)state;
    expect("3,1\n4,0;1;2\n1,1\n", "[lost 3]");
    expect("3,1\nfive,0\n", "[lost 3]");
    expect("3,1\n,0\n", "[lost 3]");
    expect("3,1\n-1,0\n", "[lost 3]");
    expect("3,1\n05,0;1;2\n", "[lost 3]");
    expect("3,1\n5\n0;1;2,", "[lost 3]");
    expect("3,1\n9223372036854775808,0\n", "[lost 3]");
    expect("3,1\n99999999999999999999999999,0\n", "[lost 3]");
    expect("8,1\n2,ab\n3,abcd\n1,1\n", "<3:abc>[lost 8]");
    expect("13,1\n2,ab\n1111111111111111111111111\n", "[lost 13]");
    expect("a line that is longer than any request's first one is\n1,1\n", "[lost 0]");
}

static void what_is_lost_stays_lost(void **state)
{
    char room[ROOM_BYTES];
    struct vine__request request;

    (void)state;
    vine__request_init(&request, ALL, room, sizeof(room));
    assert_int_equal(vine__request_read(&request, "3,1\nx,", 6), VINE__REQUEST_LOST);
    assert_int_equal(vine__request_read(&request, "1,1\n", 4), VINE__REQUEST_LOST);
    assert_int_equal(request.consumed_bytes, 4);
    assert_int_equal(request.number, 3);
    assert_int_equal(request.error, VINE_SERVER_E_MALFORMED);
}

static void strings_share_a_room_and_what_is_longer_is_refused_at_once(void **state)
{
    char stream[512];

    (void)state;
    (void)snprintf(stream, sizeof(stream), "9,1\n2,ab\n62,%062d\n1,1\n", 7);
    expect_bytes(stream, strlen(stream), ALL,
                 "[done 9 'ab' '00000000000000000000000000000000000000000000000000000000000007']"
                 "[done 1]");
    (void)snprintf(stream, sizeof(stream), "9,1\n2,ab\n63,%063d\n1,1\n", 7);
    expect_bytes(stream, strlen(stream), ALL, "[refused 9,1 7][over 9][done 1]");
    expect("6,1\n4294967296,", "[refused 6,1 7]");
    expect("6,1\n999999999999999999,zip", "[refused 6,1 7]");
    expect("23,1\n70,", "[refused 23,1 7]");
}

static void what_is_denied_is_told_before_it_has_come(void **state)
{
    (void)state;
    expect_bytes("8,1\n", 4, 2, "[refused 8,1 4]");
    expect_bytes("8,1\n2,ab\n5,14,1\n\n1,1\n", 21, 1, "[refused 8,1 4][over 8][done 1]");
    expect_bytes("13,1\n2,ab\nx\n10,1\n", 17, 0, "[refused 13,1 4][over 13][done 10]");
    expect_bytes("3,1\n900,x", 9, 0, "[refused 3,1 4]");
    expect_bytes("3,1\n3,abcd\n", 11, 0, "[refused 3,1 4][lost 3 after an answer]");
}

/* A caller that knows better, as soon as a buffer begins or in the middle of it. */
static void what_a_caller_refuses_goes_by_unseen(void **state)
{
    static const char stream[] = "8,1\n2,ab\n10,0123456789\n1,1\n";

    (void)state;
    for (int when = VINE__REQUEST_BUFFER; when <= VINE__REQUEST_PIECE; when++) {
        char room[ROOM_BYTES];
        struct vine__request request;
        enum vine__request_told told = VINE__REQUEST_MORE;
        size_t at = 0;

        vine__request_init(&request, ALL, room, sizeof(room));
        while (told != (enum vine__request_told)when) {
            told = vine__request_read(&request, stream + at, 16 - at);
            at += request.consumed_bytes;
        }
        vine__request_refuse(&request);
        told = vine__request_read(&request, stream + at, sizeof(stream) - 1 - at);
        at += request.consumed_bytes;
        assert_int_equal(told, VINE__REQUEST_DONE);
        assert_true(request.is_refused);
        assert_int_equal(request.number, 8);
        told = vine__request_read(&request, stream + at, sizeof(stream) - 1 - at);
        assert_int_equal(told, VINE__REQUEST_DONE);
        assert_false(request.is_refused);
        assert_int_equal(request.number, 1);
    }
}

/* 5 GiB go through a room of 64 bytes. */
static void a_buffer_may_be_larger_than_memory(void **state)
{
    static const char head[] = "18,1\n2,ab\n5368709120,";
    static char block[1 << 20];
    char room[ROOM_BYTES];
    struct vine__request request;
    uint64_t seen = 0;

    (void)state;
    vine__request_init(&request, ALL, room, sizeof(room));
    assert_int_equal(vine__request_read(&request, head, sizeof(head) - 1), VINE__REQUEST_BUFFER);
    assert_int_equal(request.buffer_bytes, UINT64_C(5368709120));
    for (int i = 0; i < 5120; i++) {
        assert_int_equal(vine__request_read(&request, block, sizeof(block)), VINE__REQUEST_PIECE);
        assert_ptr_equal(request.piece, block);
        seen += request.piece_bytes;
    }
    assert_int_equal(seen, UINT64_C(5368709120));
    assert_int_equal(vine__request_read(&request, "\n", 1), VINE__REQUEST_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(a_buffer_is_handed_on_as_it_comes),
        cmocka_unit_test(what_has_not_come_is_waited_for),
        cmocka_unit_test(what_is_bad_within_whole_lines_leaves_the_connection),
        cmocka_unit_test(what_is_unknown_leaves_the_connection),
        cmocka_unit_test(what_is_no_request_is_refused_and_the_connection_goes_on),
        cmocka_unit_test(parameters_of_what_is_unknown_lose_the_connection),
        cmocka_unit_test(framing_is_lost_where_lengths_are_wrong),
        cmocka_unit_test(what_is_lost_stays_lost),
        cmocka_unit_test(strings_share_a_room_and_what_is_longer_is_refused_at_once),
        cmocka_unit_test(what_is_denied_is_told_before_it_has_come),
        cmocka_unit_test(what_a_caller_refuses_goes_by_unseen),
        cmocka_unit_test(a_buffer_may_be_larger_than_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
