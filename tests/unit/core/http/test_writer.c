/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Writing messages into bounded memory. */
#include "http_tests.h"

#include <errno.h>

#include <vine/http_writer.h>

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static const struct vine_http_request plain = {
    .method = VINE_HTTP_GET, .minor = 1, .keeps_alive = true};
static const struct vine_http_request closing = {.method = VINE_HTTP_GET, .minor = 1};
static const struct vine_http_request head = {
    .method = VINE_HTTP_HEAD, .minor = 1, .keeps_alive = true};
static const struct vine_http_request old = {.method = VINE_HTTP_GET};
static const struct vine_http_request old_kept = {.method = VINE_HTTP_GET, .keeps_alive = true};

static struct vine_http_slice written(const struct vine_http_writer *writer)
{
    return (struct vine_http_slice){writer->bytes, writer->size};
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_could_split_a_response_is_not_written(void **state)
{
    static const struct vine_http_slice values[] = {
        {"a\r\nSet-Cookie: b", 16}, {"a\nb", 3}, {"a\rb", 3}, {"a\0b", 3}, {"a\x7f", 2}};
    static const char *const names[] = {"", "a b", "a:", "a\r\nb", "\xc3\xa9"};
    char bytes[128];
    struct vine_http_writer writer;

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        vine_http_writer_init(&writer, bytes, sizeof(bytes));
        vine_http_write_field(&writer, "A", values[i]);
        assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
        vine_http_write_end(&writer);
        assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        vine_http_writer_init(&writer, bytes, sizeof(bytes));
        vine_http_write_text(&writer, names[i], "b");
        assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
    }
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_request_line(&writer, slice_of("GET"), slice_of("/ HTTP/1.1"));
    assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_request_line(&writer, slice_of("GET /"), slice_of("/"));
    assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_request_line(&writer, slice_of("GET"), slice_of(""));
    assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
}

static void nothing_is_written_beyond_the_room_that_there_is(void **state)
{
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &plain,
        .date = DATE,
        .content_type = "text/plain",
        .status = 200,
    };
    char bytes[256], *exact;
    struct vine_http_writer writer;
    int whole;

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    (void)vine_http_write_small(&writer, &reply, slice_of("hello"));
    whole = vine_http_writer_result(&writer);
    assert_true(whole > 0);
    for (size_t room = 0; room <= (size_t)whole; room++) {
        exact = malloc(room > 0 ? room : 1);
        assert_non_null(exact);
        vine_http_writer_init(&writer, exact, room);
        (void)vine_http_write_small(&writer, &reply, slice_of("hello"));
        assert_int_equal(vine_http_writer_result(&writer), room == (size_t)whole ? whole : -ENOSPC);
        free(exact);
    }
}

/* ---- replies --------------------------------------------------------------------------------- */

struct row {
    const char *section;
    const struct vine_http_request *request;
    uint16_t status;
    uint8_t framing;
    bool closes;
    const char *text;
    struct vine_http_reply_plan plan;
};

#define OK     "HTTP/1.1 200 OK\r\n"
#define LENGTH "Content-Length: 7\r\n"

static const struct row rows[] = {
    {"a length", &plain, 200, VINE_HTTP_LENGTH, false, OK LENGTH, {VINE_HTTP_LENGTH, false, true}},
    {"nothing",
     &plain,
     200,
     VINE_HTTP_NO_BODY,
     false,
     OK "Content-Length: 0\r\n",
     {VINE_HTTP_NO_BODY, false, true}},
    {"chunks",
     &plain,
     200,
     VINE_HTTP_CHUNKED,
     false,
     OK "Transfer-Encoding: chunked\r\n",
     {VINE_HTTP_CHUNKED, false, true}},
    {"until it closes",
     &plain,
     200,
     VINE_HTTP_CLOSE,
     false,
     OK "Connection: close\r\n",
     {VINE_HTTP_CLOSE, false, false}},
    {"9112 9.6 \"a server that does not support persistent connections MUST send close\"",
     &plain,
     200,
     VINE_HTTP_LENGTH,
     true,
     OK LENGTH "Connection: close\r\n",
     {VINE_HTTP_LENGTH, false, false}},
    {"9112 9.6 a request with close",
     &closing,
     200,
     VINE_HTTP_LENGTH,
     false,
     OK LENGTH "Connection: close\r\n",
     {VINE_HTTP_LENGTH, false, false}},
    {"of no request",
     NULL,
     400,
     VINE_HTTP_LENGTH,
     false,
     "HTTP/1.1 400 Bad Request\r\n" LENGTH "Connection: close\r\n",
     {VINE_HTTP_LENGTH, false, false}},
    {"9110 9.3.2 HEAD: the same fields, and no content",
     &head,
     200,
     VINE_HTTP_LENGTH,
     false,
     OK LENGTH,
     {VINE_HTTP_LENGTH, true, true}},
    {"9110 9.3.2 HEAD of chunks",
     &head,
     200,
     VINE_HTTP_CHUNKED,
     false,
     OK "Transfer-Encoding: chunked\r\n",
     {VINE_HTTP_CHUNKED, true, true}},
    {"9112 6.1 \"MUST NOT send ... Transfer-Encoding unless ... HTTP/1.1\"",
     &old_kept,
     200,
     VINE_HTTP_CHUNKED,
     false,
     OK "Connection: close\r\n",
     {VINE_HTTP_CLOSE, false, false}},
    {"9112 9.3 HTTP/1.0",
     &old,
     200,
     VINE_HTTP_LENGTH,
     false,
     OK LENGTH "Connection: close\r\n",
     {VINE_HTTP_LENGTH, false, false}},
    {"9112 9.3 keep-alive of HTTP/1.0",
     &old_kept,
     200,
     VINE_HTTP_LENGTH,
     false,
     OK LENGTH "Connection: keep-alive\r\n",
     {VINE_HTTP_LENGTH, false, true}},
    {"9110 8.6 \"MUST NOT send a Content-Length ... 1xx\"",
     &plain,
     102,
     VINE_HTTP_LENGTH,
     false,
     "HTTP/1.1 102 \r\n",
     {VINE_HTTP_LENGTH, true, true}},
    {"9110 8.6 \"... or 204\"",
     &plain,
     204,
     VINE_HTTP_NO_BODY,
     false,
     "HTTP/1.1 204 No Content\r\n",
     {VINE_HTTP_NO_BODY, true, true}},
    {"9110 15.4.5 304 without a length",
     &plain,
     304,
     VINE_HTTP_NO_BODY,
     false,
     "HTTP/1.1 304 Not Modified\r\n",
     {VINE_HTTP_NO_BODY, true, true}},
    {"9110 8.6 304 with the length that a 200 would have",
     &plain,
     304,
     VINE_HTTP_LENGTH,
     false,
     "HTTP/1.1 304 Not Modified\r\n" LENGTH,
     {VINE_HTTP_LENGTH, true, true}},
};

static void replies_say_how_they_end_and_whether_the_connection_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct vine_http_reply reply = {
            .size_bytes = sizeof(reply),
            .request = rows[i].request,
            .status = rows[i].status,
            .framing = rows[i].framing,
            .closes = rows[i].closes,
            .content_length = 7,
        };
        struct vine_http_reply_plan plan;
        struct vine_http_writer writer;
        char bytes[256];

        vine_http_writer_init(&writer, bytes, sizeof(bytes));
        vine_http_write_reply(&writer, &reply, &plan);
        assert_text(written(&writer), rows[i].text);
        if (plan.framing != rows[i].plan.framing || plan.omits_body != rows[i].plan.omits_body ||
            plan.keeps_alive != rows[i].plan.keeps_alive)
            fail_msg("%s: %u %d %d", rows[i].section, plan.framing, plan.omits_body,
                     plan.keeps_alive);
    }
}

static void a_small_answer_is_written_as_a_whole(void **state)
{
    struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &plain,
        .date = DATE,
        .content_type = "text/plain",
        .status = 200,
    };
    struct vine_http_writer writer;
    char bytes[256];

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    assert_true(vine_http_write_small(&writer, &reply, slice_of("hello")));
    assert_text(written(&writer), "HTTP/1.1 200 OK\r\nDate: " DATE
                                  "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    reply.request = &head;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    assert_true(vine_http_write_small(&writer, &reply, slice_of("hello")));
    assert_text(written(&writer), "HTTP/1.1 200 OK\r\nDate: " DATE
                                  "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
}

static void errors_are_a_sentence_and_close_what_was_not_understood(void **state)
{
    struct vine_http_writer writer;
    char bytes[512], sentence[400];

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    assert_false(vine_http_write_error(&writer, NULL, 400, "a zero byte", NULL));
    assert_text(written(&writer),
                "HTTP/1.1 400 Bad Request\r\n"
                "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 29\r\n"
                "Connection: close\r\n\r\n400 Bad Request: a zero byte\n");
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    assert_true(vine_http_write_error(&writer, &plain, 404, NULL, DATE));
    assert_text(written(&writer), "HTTP/1.1 404 Not Found\r\nDate: " DATE
                                  "\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                  "Content-Length: 14\r\n\r\n404 Not Found\n");
    memset(sentence, 'x', sizeof(sentence) - 1);
    sentence[sizeof(sentence) - 1] = '\0';
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    (void)vine_http_write_error(&writer, &plain, 431, sentence, DATE);
    assert_true(vine_http_writer_result(&writer) > 0);
    assert_int_equal(bytes[writer.size - 1], '\n');
}

static void a_ready_answer_changes_in_its_date_alone(void **state)
{
    char memory[256], out[256];
    struct vine_http_ready ready;

    (void)state;
    assert_int_equal(vine_http_ready_init(&ready, memory, 20, 200, "text/plain", slice_of("hello")),
                     -ENOSPC);
    assert_int_equal(
        vine_http_ready_init(&ready, memory, sizeof(memory), 200, "a\r\nb", slice_of("hello")),
        -EINVAL);
    assert_int_equal(
        vine_http_ready_init(&ready, memory, sizeof(memory), 200, "text/plain", slice_of("hello")),
        0);
    const size_t size = vine_http_ready_write(&ready, DATE, out);

    assert_text((struct vine_http_slice){out, size},
                "HTTP/1.1 200 OK\r\nDate: " DATE
                "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(vine_http_ready_fits(&plain));
    assert_false(vine_http_ready_fits(&head));
    assert_false(vine_http_ready_fits(&closing));
    assert_false(vine_http_ready_fits(&old_kept));
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void lines_are_written(void **state)
{
    struct vine_http_writer writer;
    char bytes[256];

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_request_line(&writer, slice_of("GET"), slice_of("/a?b"));
    vine_http_write_number(&writer, "A", 0);
    vine_http_write_number(&writer, "B", UINT64_MAX);
    vine_http_write_text(&writer, "C", "");
    vine_http_write_field(&writer, "D", (struct vine_http_slice){"\xc3\xa9\t", 3});
    vine_http_write_status(&writer, 299);
    vine_http_write_end(&writer);
    vine_http_write_bytes(&writer, NULL, 0);
    assert_text(written(&writer), "GET /a?b HTTP/1.1\r\nA: 0\r\nB: 18446744073709551615\r\nC: \r\n"
                                  "D: \xc3\xa9\t\r\nHTTP/1.1 299 \r\n\r\n");
    assert_int_equal(vine_http_writer_result(&writer), writer.size);
}

static void chunks_are_framed(void **state)
{
    static const struct {
        uint64_t size;
        const char *text;
    } sizes[] = {{1, "1\r\n"},        {15, "f\r\n"},        {16, "10\r\n"},
                 {65535, "ffff\r\n"}, {65536, "10000\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char text[VINE_HTTP_CHUNK_HEAD_MAX];
        const size_t size = vine_http_chunk_head(sizes[i].size, text);

        assert_text((struct vine_http_slice){text, size}, sizes[i].text);
    }
}

static void what_is_written_in_chunks_is_read_back(void **state)
{
    struct vine_http_writer writer;
    struct vine_http_body body;
    struct vine_http_slice data;
    char bytes[256], size[VINE_HTTP_CHUNK_HEAD_MAX];
    size_t used;

    (void)state;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_bytes(&writer, size, vine_http_chunk_head(20, size));
    vine_http_write_bytes(&writer, "01234567890123456789", 20);
    vine_http_write_bytes(&writer, VINE_HTTP_CHUNK_END, 2);
    vine_http_write_bytes(&writer, VINE_HTTP_LAST_CHUNK, 3);
    vine_http_write_text(&writer, "X-Sum", "5");
    vine_http_write_end(&writer);
    vine_http_body_init(&body, VINE_HTTP_CHUNKED, 0);
    assert_int_equal(vine_http_body_next(&body, bytes, writer.size, &used, &data), VINE_HTTP_DATA);
    assert_text(data, "01234567890123456789");
    assert_int_equal(vine_http_body_next(&body, bytes + used, writer.size - used, &used, &data),
                     VINE_HTTP_END);
}

/* ---- dates ----------------------------------------------------------------------------------- */

static void dates_are_written(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } dates[] = {
        {784111777, DATE}, /* RFC 9110 5.6.7 */
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-62167219200, "Sat, 01 Jan 0000 00:00:00 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };
    struct vine_http_date date = {.seconds = 0};

    (void)state;
    for (size_t i = 0; i < COUNT(dates); i++) {
        char text[VINE_HTTP_DATE_BYTES + 1];

        vine_http_date_write(dates[i].seconds, text);
        assert_string_equal(text, dates[i].text);
    }
    assert_string_equal(vine_http_date_refresh(&date, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(vine_http_date_refresh(&date, 784111777), DATE);
    assert_string_equal(vine_http_date_refresh(&date, 784111777), DATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_split_a_response_is_not_written),
        cmocka_unit_test(nothing_is_written_beyond_the_room_that_there_is),
        cmocka_unit_test(replies_say_how_they_end_and_whether_the_connection_stays),
        cmocka_unit_test(a_small_answer_is_written_as_a_whole),
        cmocka_unit_test(errors_are_a_sentence_and_close_what_was_not_understood),
        cmocka_unit_test(a_ready_answer_changes_in_its_date_alone),
        cmocka_unit_test(lines_are_written),
        cmocka_unit_test(chunks_are_framed),
        cmocka_unit_test(what_is_written_in_chunks_is_read_back),
        cmocka_unit_test(dates_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
