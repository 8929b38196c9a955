/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Heads of responses, by the words of RFC 9112, each as a whole, in two pieces at each place, and
 * byte by byte.
 */
#include "http_tests.h"

struct result {
    struct vine_http_response response;
    struct vine_http_field fields[FIELDS];
    int value;
};

static void begin(struct result *result, enum vine_http_method method)
{
    memset(result, 0x5a, sizeof(*result));
    vine_http_response_init(&result->response, method, result->fields, FIELDS, HEAD);
}

static void feed(struct result *result, const char *bytes, size_t size)
{
    char *const copy = exactly(bytes, size);

    result->value = vine_http_response_parse(&result->response, copy, size);
    result->response.head.bytes = bytes;
    free(copy);
}

static void assert_same(const struct result *a, const struct result *b)
{
    const struct vine_http_response *const one = &a->response, *const other = &b->response;

    assert_int_equal(a->value, b->value);
    if (a->value < 0) {
        assert_same_refusal(&one->head.refusal, &other->head.refusal);
    } else if (a->value > 0) {
        assert_same_head(&one->head, &other->head);
        assert_memory_equal((const char *)one + sizeof(one->head),
                            (const char *)other + sizeof(one->head),
                            sizeof(*one) - sizeof(one->head));
    }
}

static void finish(struct result *pieces, const struct result *whole, const char *bytes,
                   size_t size)
{
    if (pieces->value == 0 && whole->value < 0) {
        char *const ended = malloc(size + 1);

        assert_non_null(ended);
        memcpy(ended, bytes, size);
        ended[size] = '\n';
        feed(pieces, ended, size + 1);
        free(ended);
    }
    assert_same(pieces, whole);
}

static void parse(struct result *result, enum vine_http_method method, const char *bytes,
                  size_t size)
{
    struct result pieces;

    begin(result, method);
    feed(result, bytes, size);
    for (size_t cut = 0; cut <= size; cut++) {
        begin(&pieces, method);
        feed(&pieces, bytes, cut);
        if (pieces.value == 0)
            feed(&pieces, bytes, size);
        finish(&pieces, result, bytes, size);
    }
    begin(&pieces, method);
    for (size_t count = 0; count <= size && pieces.value == 0x5a5a5a5a; count++) {
        feed(&pieces, bytes, count);
        pieces.value = pieces.value == 0 && count < size ? 0x5a5a5a5a : pieces.value;
    }
    finish(&pieces, result, bytes, size);
}

static void broken_responses_are_refused(void **state)
{
    static const struct {
        const char *section;
        const char *bytes;
        size_t size;
        unsigned offset;
    } rows[] = {
        {"9112 4 another protocol", BYTES("ICY 200 OK\r\n\r\n"), 0},
        {"9112 4 another major version", BYTES("HTTP/2.0 200 OK\r\n\r\n"), 5},
        {"9112 4 a version in small letters", BYTES("http/1.1 200 OK\r\n\r\n"), 0},
        {"9112 4 a status of two digits", BYTES("HTTP/1.1 20 OK\r\n\r\n"), 11},
        {"9112 4 a status of four digits", BYTES("HTTP/1.1 2000 OK\r\n\r\n"), 12},
        {"9110 15 a status below 100", BYTES("HTTP/1.1 099 OK\r\n\r\n"), 9},
        {"9112 4 two spaces", BYTES("HTTP/1.1  200 OK\r\n\r\n"), 9},
        {"9112 4 no status", BYTES("HTTP/1.1\r\n\r\n"), 8},
        {"9112 4 a negative status", BYTES("HTTP/1.1 -20 OK\r\n\r\n"), 9},
        {"9112 2.2 an empty line in front", BYTES("\r\nHTTP/1.1 200 OK\r\n\r\n"), 0},
        {"9112 4 a zero in a reason", BYTES("HTTP/1.1 200 O\0K\r\n\r\n"), 14},
        {"9112 2.2 CR in a reason", BYTES("HTTP/1.1 200 O\rK\r\n\r\n"), 14},
        {"9112 2.2 LF behind a reason", BYTES("HTTP/1.1 200 OK\n\r\n"), 15},
        {"9112 2.2 LF behind a status", BYTES("HTTP/1.1 200\n\r\n"), 12},
        {"9112 5.2 obs-fold", BYTES("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), 23},
        {"9112 5.1 white space before a colon", BYTES("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), 18},
        {"9112 6.3 an invalid length", BYTES("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), 33},
        {"9112 6.3 two lengths",
         BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 36},
        {"9112 6.3 both of them",
         BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 36},
        {"9112 6.1 \"client ... MUST treat the message as if the framing is faulty\"",
         BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), 17},
        {"9112 6.1 chunked twice",
         BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"), 36},
        {"a coding that we cannot take off",
         BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 36},
        {"an invalid length, even of 304", BYTES("HTTP/1.1 304 \r\nContent-Length: -1\r\n\r\n"),
         31},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct result result;

        parse(&result, VINE_HTTP_GET, rows[i].bytes, rows[i].size);
        if (result.value != -VINE_EPROTOCOL || result.response.head.refusal.status != 502 ||
            result.response.head.refusal.offset != rows[i].offset)
            fail_msg("%s: %d, %u at %u (%s)", rows[i].section, result.value,
                     result.response.head.refusal.status,
                     (unsigned)result.response.head.refusal.offset,
                     result.response.head.refusal.what);
    }
}

struct taken {
    const char *section;
    const char *text;
    uint8_t method;
    uint8_t framing;
    uint16_t status;
    bool keeps_alive;
    const char *reason;
};

#define GET    VINE_HTTP_GET
#define NONE   VINE_HTTP_NO_BODY
#define SIZED  VINE_HTTP_LENGTH
#define CHUNKS VINE_HTTP_CHUNKED
#define CLOSED VINE_HTTP_CLOSE
#define LENGTH "Content-Length: 5\r\n"
#define CODING "Transfer-Encoding: chunked\r\n"

/* By the numbers of RFC 9112 6.3. */
static const struct taken taken[] = {
    {"6.3 1 HEAD", "HTTP/1.1 200 OK\r\n" LENGTH "\r\n", VINE_HTTP_HEAD, NONE, 200, true, "OK"},
    {"6.3 1 HEAD with chunks", "HTTP/1.1 200 OK\r\n" CODING "\r\n", VINE_HTTP_HEAD, NONE, 200, true,
     "OK"},
    {"6.3 1 204", "HTTP/1.1 204 No Content\r\n" LENGTH "\r\n", GET, NONE, 204, true, "No Content"},
    {"6.3 1 304", "HTTP/1.1 304 Not Modified\r\n" LENGTH "\r\n", GET, NONE, 304, true,
     "Not Modified"},
    {"6.3 1 1xx", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", GET, NONE, 103, true,
     "Early Hints"},
    {"6.3 2 CONNECT", "HTTP/1.1 200 OK\r\n" LENGTH "\r\n", VINE_HTTP_CONNECT, NONE, 200, false,
     "OK"},
    {"6.3 2 CONNECT that failed", "HTTP/1.1 403 No\r\n" LENGTH "\r\n", VINE_HTTP_CONNECT, SIZED,
     403, true, "No"},
    {"6.3 4 chunked", "HTTP/1.1 200 OK\r\n" CODING "\r\n", GET, CHUNKS, 200, true, "OK"},
    {"6.3 4 others alone: until it closes", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
     GET, CLOSED, 200, false, "OK"},
    {"6.3 6 a length", "HTTP/1.1 200 OK\r\n" LENGTH "\r\n", GET, SIZED, 200, true, "OK"},
    {"6.3 8 nothing: until it closes", "HTTP/1.1 200 OK\r\n\r\n", GET, CLOSED, 200, false, "OK"},
    {"9.3 close", "HTTP/1.1 200 OK\r\n" LENGTH "Connection: close\r\n\r\n", GET, SIZED, 200, false,
     "OK"},
    {"9.3 HTTP/1.0", "HTTP/1.0 200 OK\r\n" LENGTH "\r\n", GET, SIZED, 200, false, "OK"},
    {"9.3 HTTP/1.0 with keep-alive", "HTTP/1.0 200 OK\r\n" LENGTH "Connection: keep-alive\r\n\r\n",
     GET, SIZED, 200, true, "OK"},
    {"4 an empty reason", "HTTP/1.1 200 \r\n" LENGTH "\r\n", GET, SIZED, 200, true, ""},
    {"4 no space either", "HTTP/1.1 200\r\n" LENGTH "\r\n", GET, SIZED, 200, true, ""},
    {"4 a reason of other languages", "HTTP/1.1 200 \xc3\xa9 \t\r\n" LENGTH "\r\n", GET, SIZED, 200,
     true, "\xc3\xa9 \t"},
    {"a status of no known class", "HTTP/1.1 799 Odd\r\n" LENGTH "\r\n", GET, SIZED, 799, true,
     "Odd"},
    {"101", "HTTP/1.1 101 Go\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", GET, NONE, 101, false,
     "Go"},
};

static void responses_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++) {
        const struct vine_http_response *response;
        struct result result;

        parse(&result, taken[i].method, taken[i].text, strlen(taken[i].text));
        response = &result.response;
        if (result.value != (int)strlen(taken[i].text))
            fail_msg("%s: %d", taken[i].section, result.value);
        assert_int_equal(response->status, taken[i].status);
        assert_int_equal(response->framing, taken[i].framing);
        assert_int_equal(response->keeps_alive, taken[i].keeps_alive);
        assert_int_equal(response->is_interim, response->status < 200 && response->status != 101);
        assert_int_equal(response->is_tunnel,
                         response->status == 101 ||
                             (taken[i].method == VINE_HTTP_CONNECT && response->status == 200));
        assert_text(vine_http_text(&response->head, response->reason), taken[i].reason);
        if (response->framing == SIZED)
            assert_int_equal(response->content_length, 5);
    }
}

static void a_head_beyond_its_bound_is_refused(void **state)
{
    char text[HEAD + 8] = "HTTP/1.1 200 ";
    struct result result;

    (void)state;
    memset(text + 13, 'x', sizeof(text) - 13);
    parse(&result, GET, text, HEAD - 1);
    assert_int_equal(result.value, 0);
    parse(&result, GET, text, HEAD);
    assert_int_equal(result.value, -VINE_EPROTOCOL);
    assert_int_equal(result.response.head.refusal.status, 502);
}

static void mutated_responses_are_read_the_same_way_however_they_come(void **state)
{
    static const char start[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x\r\n\r\n";
    static const char odd[] = "\r\n\t :;,\0\x0b\x7f\x80\xff%#?/09azAZ\"";
    uint64_t seed = 0xda3e39cb94b95bdb;

    (void)state;
    for (int run = 0; run < 2000; run++) {
        char text[sizeof(start)];
        struct result result;

        memcpy(text, start, sizeof(start));
        for (int i = 0; i < 2; i++)
            text[chance(&seed) % (sizeof(start) - 1)] = odd[chance(&seed) % (sizeof(odd) - 1)];
        parse(&result, GET, text, sizeof(start) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_responses_are_refused),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(a_head_beyond_its_bound_is_refused),
        cmocka_unit_test(mutated_responses_are_read_the_same_way_however_they_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
