/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Heads that are passed on, by the words of RFC 9110 7.6 and RFC 9112. */
#include "http_tests.h"

#include <errno.h>

#include <vine/http_proxy.h>

struct message {
    struct vine_http_request request;
    struct vine_http_response response;
    struct vine_http_field fields[FIELDS];
    struct vine_http_field answer_fields[FIELDS];
};

static void read_request(struct message *message, const char *text)
{
    vine_http_request_init(&message->request, message->fields, FIELDS, HEAD);
    assert_int_equal(vine_http_request_parse(&message->request, text, strlen(text)), strlen(text));
}

static void read_response(struct message *message, const char *text)
{
    vine_http_response_init(&message->response, message->request.method, message->answer_fields,
                            FIELDS, HEAD);
    assert_int_equal(vine_http_response_parse(&message->response, text, strlen(text)),
                     strlen(text));
}

static void assert_row(const char *section, const struct vine_http_writer *writer,
                       const char *expected)
{
    if (writer->size != strlen(expected) || memcmp(writer->bytes, expected, writer->size) != 0)
        fail_msg("%s: '%.*s' instead of '%s'", section, (int)writer->size, writer->bytes, expected);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void a_connect_and_a_name_that_is_none_are_not_passed_on(void **state)
{
    const struct vine_http_forward plain = {.size_bytes = sizeof(plain)};
    const struct vine_http_forward odd = {.size_bytes = sizeof(odd), .via = "a\r\nb"};
    const struct vine_http_slice host = {"a\r\nb: c", 7};
    const struct vine_http_forward odd_host = {.size_bytes = sizeof(odd_host), .host = &host};
    struct vine_http_writer writer;
    struct message message;
    char bytes[256];

    (void)state;
    read_request(&message, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_request(&writer, &message.request, &plain);
    assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
    read_request(&message, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_request(&writer, &message.request, &odd);
    assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_request(&writer, &message.request, &odd_host);
    assert_int_equal(vine_http_writer_result(&writer), -EINVAL);
}

struct row {
    const char *section;
    const char *text;
    const char *expected;
};

static const struct row requests[] = {
    {"9112 3.2.1", "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /a?b HTTP/1.1\r\nHost: a\r\nVia: 1.1 us\r\n"},
    {"9112 3.2.2 \"MUST generate a new Host field value based on the received request-target\"",
     "GET http://b:8/?c HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /?c HTTP/1.1\r\nHost: b:8\r\nVia: 1.1 us\r\n"},
    {"9112 3.2.1 an empty path is '/'", "GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /?c HTTP/1.1\r\nHost: b\r\nVia: 1.1 us\r\n"},
    {"9112 3.2.4 \"the last proxy ... MUST send a request-target of '*'\"",
     "OPTIONS http://b:8001 HTTP/1.1\r\nHost: a\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: b:8001\r\nVia: 1.1 us\r\n"},
    {"9112 3.2.4", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: a\r\nVia: 1.1 us\r\n"},
    {"7.6.1 what is always of one connection",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nKeep-Alive: 5\r\n"
     "Proxy-Connection: close\r\nTE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\n"
     "Proxy-Authorization: b\r\nAccept: c\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nAccept: c\r\nVia: 1.1 us\r\n"},
    {"7.6.1 what Connection names, of any case and in any line",
     "GET / HTTP/1.1\r\nX-One: 1\r\nConnection: x-one , foo\r\nHost: a\r\nX-Two: 2\r\n"
     "connection: X-TWO\r\nX-Three: 3\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nX-Three: 3\r\nVia: 1.1 us\r\n"},
    {"7.6.1 naming Host and lengths takes neither away",
     "PUT / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\nContent-Length: 5\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nVia: 1.1 us\r\n"},
    {"7.6.3 HTTP/1.0, and a Via that was there", "GET / HTTP/1.0\r\nVia: 1.0 fred\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: \r\nVia: 1.0 fred\r\nVia: 1.0 us\r\n"},
    {"9112 6.1 chunks", "PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: a\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nVia: 1.1 us\r\n"},
    {"white space and odd lengths are written anew",
     "PUT / HTTP/1.1\r\nHost:a\r\nX:\t y \t\r\nContent-Length:   007\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 7\r\nVia: 1.1 us\r\n"},
    {"7.6.2 Max-Forwards", "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n",
     "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 4\r\nVia: 1.1 us\r\n"},
    {"7.6.2 of other methods it stays", "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\nVia: 1.1 us\r\n"},
    {"10.1.1 an expectation",
     "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\nVia: 1.1 us\r\n"},
    {"10.1.1 none of HTTP/1.0",
     "PUT / HTTP/1.0\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nVia: 1.0 us\r\n"},
};

static void requests_are_passed_on_anew(void **state)
{
    const struct vine_http_forward forward = {.size_bytes = sizeof(forward), .via = "us"};

    (void)state;
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct vine_http_writer writer;
        struct message message, again;
        char bytes[512];

        read_request(&message, requests[i].text);
        vine_http_writer_init(&writer, bytes, sizeof(bytes));
        vine_http_forward_request(&writer, &message.request, &forward);
        assert_row(requests[i].section, &writer, requests[i].expected);
        vine_http_write_end(&writer);
        assert_int_equal(vine_http_writer_result(&writer), writer.size);
        /* What we write we understand. */
        vine_http_request_init(&again.request, again.fields, FIELDS, HEAD);
        assert_int_equal(vine_http_request_parse(&again.request, bytes, writer.size), writer.size);
        assert_int_equal(again.request.framing, message.request.framing);
    }
}

static void a_request_may_get_another_host_and_close(void **state)
{
    const struct vine_http_slice host = {"backend:8080", 12};
    const struct vine_http_forward forward = {
        .size_bytes = sizeof(forward), .host = &host, .closes = true, .answers_expect = true};
    struct vine_http_writer writer;
    struct message message;
    char bytes[256];

    (void)state;
    read_request(&message, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                           "Content-Length: 5\r\n\r\n");
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_request(&writer, &message.request, &forward);
    assert_text(
        (struct vine_http_slice){bytes, writer.size},
        "PUT / HTTP/1.1\r\nHost: backend:8080\r\nContent-Length: 5\r\nConnection: close\r\n");
}

static void a_trace_goes_as_far_as_it_says(void **state)
{
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", false},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 000\r\n\r\n", false},
        {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n", true},
        {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n", true},
        {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct message message;

        read_request(&message, rows[i].text);
        assert_int_equal(vine_http_may_forward(&message.request), rows[i].expected);
    }
}

/* ---- responses ------------------------------------------------------------------------------- */

#define ASKED      "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define ASKED_HEAD "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
#define ASKED_OLD  "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

static const struct {
    const char *section;
    const char *request;
    const char *text;
    const char *expected;
    struct vine_http_reply_plan plan;
} responses[] = {
    {"a length",
     ASKED,
     "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nServer: x\r\n\r\n",
     "HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 5\r\nVia: 1.1 us\r\n",
     {VINE_HTTP_LENGTH, false, true}},
    {"chunks",
     ASKED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 us\r\n",
     {VINE_HTTP_CHUNKED, false, true}},
    {"what ends with its connection becomes chunks",
     ASKED,
     "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.0 us\r\n",
     {VINE_HTTP_CHUNKED, false, true}},
    {"chunks are taken apart for HTTP/1.0",
     ASKED_OLD,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 200 OK\r\nVia: 1.1 us\r\nConnection: close\r\n",
     {VINE_HTTP_CLOSE, false, false}},
    {"a length to HTTP/1.0",
     ASKED_OLD,
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 us\r\nConnection: keep-alive\r\n",
     {VINE_HTTP_LENGTH, false, true}},
    {"HEAD keeps its length",
     ASKED_HEAD,
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 us\r\n",
     {VINE_HTTP_NO_BODY, true, true}},
    {"304",
     ASKED,
     "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
     "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nVia: 1.1 us\r\n",
     {VINE_HTTP_NO_BODY, true, true}},
    {"204 has no length",
     ASKED,
     "HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n",
     "HTTP/1.1 204 \r\nVia: 1.1 us\r\n",
     {VINE_HTTP_NO_BODY, true, true}},
    {"1xx",
     ASKED,
     "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
     "HTTP/1.1 103 Early Hints\r\nLink: a\r\nVia: 1.1 us\r\n",
     {VINE_HTTP_NO_BODY, true, true}},
    {"what is of one connection",
     ASKED,
     "HTTP/1.1 200 OK\r\nConnection: X\r\nX: 1\r\nUpgrade: h2c\r\nContent-Length: 0\r\n"
     "Set-Cookie: a\r\nSet-Cookie: b\r\nProxy-Authenticate: c\r\n\r\n",
     "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\nVia: 1.1 us\r\n",
     {VINE_HTTP_LENGTH, false, true}},
};

static void responses_are_passed_on_anew(void **state)
{
    const struct vine_http_forward forward = {.size_bytes = sizeof(forward), .via = "us"};

    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        struct vine_http_reply_plan plan;
        struct vine_http_writer writer;
        struct message message;
        char bytes[512];

        read_request(&message, responses[i].request);
        read_response(&message, responses[i].text);
        vine_http_writer_init(&writer, bytes, sizeof(bytes));
        vine_http_forward_response(&writer, &message.response, &message.request, &forward, &plan);
        assert_row(responses[i].section, &writer, responses[i].expected);
        assert_int_equal(plan.framing, responses[i].plan.framing);
        assert_int_equal(plan.omits_body, responses[i].plan.omits_body);
        assert_int_equal(plan.keeps_alive, responses[i].plan.keeps_alive);
    }
}

static void the_client_s_connection_may_be_closed(void **state)
{
    const struct vine_http_forward forward = {.size_bytes = sizeof(forward), .closes = true};
    struct vine_http_reply_plan plan;
    struct vine_http_writer writer;
    struct message message;
    char bytes[256];

    (void)state;
    read_request(&message, ASKED);
    read_response(&message, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_response(&writer, &message.response, &message.request, &forward, &plan);
    assert_text((struct vine_http_slice){bytes, writer.size},
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n");
    assert_false(plan.keeps_alive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_and_a_name_that_is_none_are_not_passed_on),
        cmocka_unit_test(requests_are_passed_on_anew),
        cmocka_unit_test(a_request_may_get_another_host_and_close),
        cmocka_unit_test(a_trace_goes_as_far_as_it_says),
        cmocka_unit_test(responses_are_passed_on_anew),
        cmocka_unit_test(the_client_s_connection_may_be_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
