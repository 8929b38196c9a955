/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Heads of requests, by the words of RFC 9112 and 9110. Every message of every table is read as a
 * whole, in two pieces at each place, and byte by byte, with the same result.
 */
#include "request_tests.h"

/* ---- refusals -------------------------------------------------------------------------------- */

struct refused {
    const char *section;
    const char *bytes;
    size_t size;
    unsigned status;
    unsigned offset;
};

#define H "Host: a\r\n"

static const struct refused refused[] = {
    /* "A server that receives a request-target longer than any URI it wishes to parse" and "longer
     * than any of the methods" are below, where there is room for them. */
    {"9112 2.2 a bare CR is invalid", BYTES("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400, 15},
    {"9112 2.2 bare LF at the request line's end", BYTES("GET / HTTP/1.1\n" H "\r\n"), 400, 14},
    {"9112 2.2 bare LF at a field's end", BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400, 23},
    {"9112 2.2 bare LF for the empty line", BYTES("GET / HTTP/1.1\r\n" H "\n"), 400, 25},
    {"9112 2.2 bare CR within a field", BYTES("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"), 400, 23},
    {"9112 2.2 bare CR for the empty line", BYTES("GET / HTTP/1.1\r\n" H "\rX\r\n\r\n"), 400, 25},
    {"9112 2.2 white space between start line and first field",
     BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400, 16},
    {"9112 2.2 more than one empty line in front", BYTES("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
     400, 2},
    {"9112 2.2 LF in front", BYTES("\nGET / HTTP/1.1\r\n" H "\r\n"), 400, 0},
    {"9112 2.2 CR in front", BYTES("\rGET / HTTP/1.1\r\n" H "\r\n"), 400, 0},
    {"9112 3 white space in front", BYTES(" GET / HTTP/1.1\r\n" H "\r\n"), 400, 0},
    {"9112 3 two spaces behind the method", BYTES("GET  / HTTP/1.1\r\n" H "\r\n"), 400, 4},
    {"9112 3 two spaces behind the target", BYTES("GET /  HTTP/1.1\r\n" H "\r\n"), 400, 6},
    {"9112 3 a tab for a space", BYTES("GET\t/ HTTP/1.1\r\n" H "\r\n"), 400, 3},
    {"9112 3 VT for a space", BYTES("GET /\x0bHTTP/1.1\r\n" H "\r\n"), 400, 5},
    {"9112 3 a space behind the version", BYTES("GET / HTTP/1.1 \r\n" H "\r\n"), 400, 14},
    {"9112 3 no target", BYTES("GET HTTP/1.1\r\n" H "\r\n"), 400, 12},
    {"9112 3 no version, as in HTTP/0.9", BYTES("GET /\r\n\r\n"), 400, 5},
    {"9112 3 no method", BYTES("/ HTTP/1.1\r\n" H "\r\n"), 400, 0},
    {"9110 9.1 a method is a token", BYTES("GE(T / HTTP/1.1\r\n" H "\r\n"), 400, 2},
    {"9110 5.6.2 bytes above 0x7f are in no token", BYTES("G\xc9T / HTTP/1.1\r\n" H "\r\n"), 400,
     1},
    {"no HTTP at all: TLS", BYTES("\x16\x03\x01\x02\x00\x01"), 400, 0},
    {"9112 3.2 white space in a target", BYTES("GET /a b HTTP/1.1\r\n" H "\r\n"), 400, 7},
    {"9112 3.2 zero in a target", BYTES("GET /a\0b HTTP/1.1\r\n" H "\r\n"), 400, 6},
    {"9112 3.2 control character in a target", BYTES("GET /a\x7f HTTP/1.1\r\n" H "\r\n"), 400, 6},
    {"9112 3.2 bytes above 0x7f in a target", BYTES("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"), 400, 5},
    {"9110 4.2.5 no fragment in a target", BYTES("GET /a#b HTTP/1.1\r\n" H "\r\n"), 400, 6},
    {"9112 3.2.1 a path without a slash", BYTES("GET a HTTP/1.1\r\n" H "\r\n"), 400, 4},
    {"9112 3.2.1 a query alone", BYTES("GET ?a HTTP/1.1\r\n" H "\r\n"), 400, 4},
    {"9112 3.2.2 another scheme", BYTES("GET ftp://a/ HTTP/1.1\r\n" H "\r\n"), 400, 4},
    {"9110 4.2.1 an empty host", BYTES("GET http:///a HTTP/1.1\r\n" H "\r\n"), 400, 11},
    {"9110 4.2.1 an empty host with a port", BYTES("GET http://:80/ HTTP/1.1\r\n" H "\r\n"), 400,
     11},
    {"9110 4.2.4 user information", BYTES("GET http://u@a/ HTTP/1.1\r\n" H "\r\n"), 400, 11},
    {"9112 3.2.3 CONNECT without a port", BYTES("CONNECT a HTTP/1.1\r\n" H "\r\n"), 400, 8},
    {"9112 3.2.3 CONNECT with an empty port", BYTES("CONNECT a: HTTP/1.1\r\n" H "\r\n"), 400, 8},
    {"9112 3.2.3 CONNECT without a host", BYTES("CONNECT :80 HTTP/1.1\r\n" H "\r\n"), 400, 8},
    {"9112 3.2.3 CONNECT to a path", BYTES("CONNECT /a HTTP/1.1\r\n" H "\r\n"), 400, 8},
    {"9112 3.2.3 CONNECT to no port", BYTES("CONNECT a:65536 HTTP/1.1\r\n" H "\r\n"), 400, 8},
    {"9112 3.2.3 the form of CONNECT alone", BYTES("GET a:80 HTTP/1.1\r\n" H "\r\n"), 400, 4},
    {"9112 3.2.4 the form of OPTIONS alone", BYTES("GET * HTTP/1.1\r\n" H "\r\n"), 400, 4},
    {"9112 3.2.4 '*' and more", BYTES("OPTIONS *a HTTP/1.1\r\n" H "\r\n"), 400, 8},
    {"9112 2.3 a version in small letters", BYTES("GET / http/1.1\r\n" H "\r\n"), 400, 6},
    {"9112 2.3 a version with two digits", BYTES("GET / HTTP/1.10\r\n" H "\r\n"), 400, 14},
    {"9112 2.3 a version without a dot", BYTES("GET / HTTP/11\r\n" H "\r\n"), 400, 12},
    {"9112 2.3 a version without a number", BYTES("GET / HTTP/\r\n" H "\r\n"), 400, 11},
    {"9110 2.5 another major version", BYTES("GET / HTTP/2.0\r\n" H "\r\n"), 505, 11},
    {"9110 2.5 a former major version", BYTES("GET / HTTP/0.9\r\n" H "\r\n"), 505, 11},
    {"9113 3.4 HTTP/2 with prior knowledge", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, 11},
    {"9112 3.2 no Host", BYTES("GET / HTTP/1.1\r\n\r\n"), 400, 18},
    {"9112 3.2 no Host though the target has one", BYTES("GET http://a/ HTTP/1.1\r\n\r\n"), 400,
     26},
    {"9112 3.2 two Hosts", BYTES("GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n"), 400, 25},
    {"9112 3.2 two Hosts that are the same", BYTES("GET / HTTP/1.1\r\n" H H "\r\n"), 400, 25},
    {"9112 3.2 two Hosts in HTTP/1.0", BYTES("GET / HTTP/1.0\r\n" H H "\r\n"), 400, 25},
    {"9112 3.2 an invalid Host", BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400, 22},
    {"9112 3.2 a Host with a path", BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400, 22},
    {"9112 3.2 a Host with user information", BYTES("GET / HTTP/1.1\r\nHost: u@b\r\n\r\n"), 400,
     22},
    {"9112 3.2 a Host with a wrong port", BYTES("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), 400, 22},
    {"9112 3.2 a Host with a port too high", BYTES("GET / HTTP/1.1\r\nHost: a:70000\r\n\r\n"), 400,
     22},
    {"9112 3.2 a Host with two ports", BYTES("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"), 400, 22},
    {"3986 3.2.2 a wrong escape in a Host", BYTES("GET / HTTP/1.1\r\nHost: a%4\r\n\r\n"), 400, 22},
    {"3986 3.2.2 an open bracket in a Host", BYTES("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400,
     22},
    {"3986 3.2.2 empty brackets in a Host", BYTES("GET / HTTP/1.1\r\nHost: []\r\n\r\n"), 400, 22},
    {"3986 3.2.2 more behind brackets in a Host", BYTES("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"),
     400, 22},
    {"9112 5.1 white space before the colon", BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400, 20},
    {"9112 5.1 a tab before the colon", BYTES("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"), 400, 20},
    {"9110 5.1 a name is a token", BYTES("GET / HTTP/1.1\r\n" H "a(b: c\r\n\r\n"), 400, 26},
    {"9110 5.1 a field without a name", BYTES("GET / HTTP/1.1\r\n" H ": c\r\n\r\n"), 400, 25},
    {"9110 5.1 a zero in a name", BYTES("GET / HTTP/1.1\r\n" H "a\0b: c\r\n\r\n"), 400, 26},
    {"9110 5.1 0x80 in a name", BYTES("GET / HTTP/1.1\r\n" H "a\x80: c\r\n\r\n"), 400, 26},
    {"9112 5 a field without a colon", BYTES("GET / HTTP/1.1\r\n" H "abc\r\n\r\n"), 400, 28},
    {"9112 5.2 obs-fold", BYTES("GET / HTTP/1.1\r\n" H "a: b\r\n c\r\n\r\n"), 400, 31},
    {"9112 5.2 obs-fold with a tab", BYTES("GET / HTTP/1.1\r\n" H "a: b\r\n\tc\r\n\r\n"), 400, 31},
    {"9110 5.5 a zero in a value", BYTES("GET / HTTP/1.1\r\n" H "a: b\0c\r\n\r\n"), 400, 29},
    {"9110 5.5 a control character in a value",
     BYTES("GET / HTTP/1.1\r\n" H "a: b\x01"
           "c\r\n\r\n"),
     400, 29},
    {"9110 5.5 DEL in a value", BYTES("GET / HTTP/1.1\r\n" H "a: b\x7f\r\n\r\n"), 400, 29},
    {"9112 6.3 a length that is empty", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"),
     400, 40},
    {"9112 6.3 a negative length", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n"), 400,
     41},
    {"9112 6.3 a length with a sign", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n"),
     400, 41},
    {"9112 6.3 a hexadecimal length", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n"),
     400, 41},
    {"9112 6.3 a broken length", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\n"), 400,
     41},
    {"9112 6.3 a length with a point", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 1.0\r\n\r\n"),
     400, 41},
    {"9110 8.6 a length beyond 2^63",
     BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n"), 400, 41},
    {"9110 8.6 a length that overflows",
     BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n"), 400, 41},
    {"9112 6.3 a list of lengths", BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n"),
     400, 41},
    {"9112 6.3 different lengths",
     BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400, 44},
    {"9112 6.3 a length twice",
     BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\ncontent-length: 1\r\n\r\n"), 400, 44},
    {"9112 6.1 both of them",
     BYTES("PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     44},
    {"9112 6.1 both of them, the other way",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"), 400,
     25},
    {"9112 6.1 Transfer-Encoding in HTTP/1.0",
     BYTES("PUT / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), 400, 25},
    {"9112 6.1 a coding that is not known",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501, 44},
    {"9112 6.1 a coding that is not known, in a line of its own",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
     501, 44},
    {"9112 6.3 chunked is not the last",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400, 44},
    {"9112 6.3 chunked is not there",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"), 400, 44},
    {"9112 6.1 chunked twice",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400, 44},
    {"9112 6.1 an empty Transfer-Encoding",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n"), 400, 43},
    {"9112 7 chunked has no parameters",
     BYTES("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n"), 400, 44},
    {"9110 10.1.1 another expectation", BYTES("PUT / HTTP/1.1\r\n" H "Expect: cake\r\n\r\n"), 417,
     33},
};

static void what_the_standards_forbid_is_refused_with_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        const struct refused *const row = &refused[i];
        struct result result;

        parse(&result, row->bytes, row->size);
        if (result.value != -VINE_EPROTOCOL || result.request.head.refusal.status != row->status ||
            result.request.head.refusal.offset != row->offset)
            fail_msg("%s: %d, %u at %u (%s)", row->section, result.value,
                     result.request.head.refusal.status,
                     (unsigned)result.request.head.refusal.offset,
                     result.request.head.refusal.what);
        assert_true(strlen(result.request.head.refusal.what) > 5);
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void lines_and_heads_beyond_their_bounds_are_refused(void **state)
{
    static char text[4 * HEAD];
    struct result result;

    (void)state;
    /* 9112 3: "a server that receives a method longer than any that it implements SHOULD respond
     * with a 501". */
    memset(text, 'A', sizeof(text));
    parse(&result, text, 200);
    assert_int_equal(result.request.head.refusal.status, 501);
    assert_int_equal(result.request.head.refusal.offset, 32);
    /* 9112 3: "a request-target longer than any URI it wishes to parse MUST respond with a 414". */
    memcpy(text, "GET /", 5);
    parse(&result, text, HEAD - 1);
    assert_int_equal(result.value, 0);
    parse(&result, text, HEAD);
    assert_int_equal(result.request.head.refusal.status, 414);
    parse(&result, text, sizeof(text));
    assert_int_equal(result.request.head.refusal.status, 414);
    /* 9110 5.4: "a server that receives a request header field line, field value, or set of fields
     * larger than it wishes to process MUST respond with an appropriate 4xx". */
    memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
    parse(&result, text, HEAD - 1);
    assert_int_equal(result.value, 0);
    parse(&result, text, HEAD + 1);
    assert_int_equal(result.request.head.refusal.status, 431);
    memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n", 25);
    memset(text + 25, 'n', 500);
    parse(&result, text, 500);
    assert_int_equal(result.request.head.refusal.status, 431);
    assert_int_equal(result.request.head.refusal.offset, 25 + 255);
}

static void a_head_of_just_the_bound_is_taken_and_one_byte_more_is_not(void **state)
{
    char text[HEAD + 1];
    struct result result;

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        const size_t size = HEAD + more;

        memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
        memset(text + 28, 'v', size - 28);
        memcpy(text + size - 4, "\r\n\r\n", 4);
        parse(&result, text, size);
        assert_int_equal(result.value, more == 0 ? (int)HEAD : -VINE_EPROTOCOL);
    }
    assert_int_equal(result.request.head.refusal.status, 431);
}

static void a_name_of_255_bytes_is_taken(void **state)
{
    char text[400];
    struct result result;

    (void)state;
    memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n", 25);
    memset(text + 25, 'n', 255);
    memcpy(text + 25 + 255, ":v\r\n\r\n", 6);
    parse(&result, text, 25 + 255 + 6);
    assert_int_equal(result.value, 25 + 255 + 6);
    assert_int_equal(result.fields[1].name_size, 255);
    assert_text(vine_http_field_value(&result.request.head, &result.fields[1]), "v");
}

static void more_fields_than_there_is_room_for_are_refused(void **state)
{
    char text[HEAD] = "GET / HTTP/1.1\r\nHost: a\r\n";
    struct result result;
    size_t size = 25;

    (void)state;
    for (size_t i = 1; i < FIELDS; i++, size += 6)
        memcpy(text + size, "X: y\r\n", 6);
    memcpy(text + size, "\r\n", 2);
    parse(&result, text, size + 2);
    assert_int_equal(result.value, size + 2);
    assert_int_equal(result.request.head.field_count, FIELDS);
    memcpy(text + size, "X: y\r\n\r\n", 8);
    parse(&result, text, size + 8);
    assert_int_equal(result.request.head.refusal.status, 431);
    assert_int_equal(result.request.head.refusal.offset, size);
}

/* ---- what is taken --------------------------------------------------------------------------- */

struct taken {
    const char *section;
    const char *text;
    const char *method;
    const char *authority;
    const char *path;
    const char *query;
    uint8_t form;
    uint8_t minor;
    uint8_t framing;
    bool keeps_alive;
    uint64_t length;
};

#define ORIGIN    VINE_HTTP_ORIGIN_FORM
#define ABSOLUTE  VINE_HTTP_ABSOLUTE_FORM
#define AUTHORITY VINE_HTTP_AUTHORITY_FORM
#define ASTERISK  VINE_HTTP_ASTERISK_FORM
#define NONE      VINE_HTTP_NO_BODY
#define SIZED     VINE_HTTP_LENGTH
#define CHUNKS    VINE_HTTP_CHUNKED

static const struct taken taken[] = {
    {"9112 2.1", "GET / HTTP/1.1\r\n" H "\r\n", "GET", "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9112 2.2 an empty line in front is passed over", "\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET",
     "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9112 2.3 HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET", "", "/", "", ORIGIN, 0, NONE, false, 0},
    {"9112 2.3 a later minor version is taken as 1.1", "GET / HTTP/1.7\r\n" H "\r\n", "GET", "a",
     "/", "", ORIGIN, 1, NONE, true, 0},
    {"9110 9.1 methods are case-sensitive", "get / HTTP/1.1\r\n" H "\r\n", "", "a", "/", "", ORIGIN,
     1, NONE, true, 0},
    {"9110 9.1 other methods", "M-SEARCH / HTTP/1.1\r\n" H "\r\n", "", "a", "/", "", ORIGIN, 1,
     NONE, true, 0},
    {"9110 9.3.2", "HEAD / HTTP/1.1\r\n" H "\r\n", "HEAD", "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9110 9.3.4", "PUT / HTTP/1.1\r\n" H "\r\n", "PUT", "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9110 9.3.5", "DELETE / HTTP/1.1\r\n" H "\r\n", "DELETE", "a", "/", "", ORIGIN, 1, NONE, true,
     0},
    {"9110 9.3.8", "TRACE / HTTP/1.1\r\n" H "\r\n", "TRACE", "a", "/", "", ORIGIN, 1, NONE, true,
     0},
    {"5789", "PATCH / HTTP/1.1\r\n" H "\r\n", "PATCH", "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9112 3.2.1", "GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n", "GET",
     "www.example.org", "/where", "q=now", ORIGIN, 1, NONE, true, 0},
    {"9112 3.2.1 an empty query, and '?' in one", "GET /??a?b HTTP/1.1\r\n" H "\r\n", "GET", "a",
     "/", "?a?b", ORIGIN, 1, NONE, true, 0},
    {"characters that browsers leave as they are", "GET /{a}|[b]^`\"<>\\~ HTTP/1.1\r\n" H "\r\n",
     "GET", "a", "/{a}|[b]^`\"<>\\~", "", ORIGIN, 1, NONE, true, 0},
    {"9112 3.2.1 two slashes are a path", "GET //b/c HTTP/1.1\r\n" H "\r\n", "GET", "a", "//b/c",
     "", ORIGIN, 1, NONE, true, 0},
    {"9112 3.2.2", "GET http://www.example.org/pub/WWW/?x HTTP/1.1\r\nHost: other\r\n\r\n", "GET",
     "www.example.org", "/pub/WWW/", "x", ABSOLUTE, 1, NONE, true, 0},
    {"9112 3.2.2 a scheme of any case", "GET HTTPS://a:443 HTTP/1.1\r\n" H "\r\n", "GET", "a:443",
     "", "", ABSOLUTE, 1, NONE, true, 0},
    {"9112 3.2.2 a query without a path", "GET http://a?b/c HTTP/1.1\r\n" H "\r\n", "GET", "a", "",
     "b/c", ABSOLUTE, 1, NONE, true, 0},
    {"9112 3.2.3", "CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
     "CONNECT", "www.example.com:80", "", "", AUTHORITY, 1, NONE, true, 0},
    {"9112 3.2.4", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS", "a", "", "", ASTERISK, 1, NONE,
     true, 0},
    {"9112 3.2 an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "", "/", "", ORIGIN, 1,
     NONE, true, 0},
    {"9112 3.2 an address of IPv6 and a port", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
     "GET", "[2001:db8::1]:80", "/", "", ORIGIN, 1, NONE, true, 0},
    {"3986 3.2.2 an escape and an empty port", "GET / HTTP/1.1\r\nHost: a%4Fb:\r\n\r\n", "GET",
     "a%4Fb:", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9112 5.1 no white space", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", "GET", "a", "/", "", ORIGIN, 1,
     NONE, true, 0},
    {"9112 5.1 white space around a value", "GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", "GET", "a",
     "/", "", ORIGIN, 1, NONE, true, 0},
    {"9110 5.1 names of any case", "GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", "GET", "a", "/", "", ORIGIN,
     1, NONE, true, 0},
    {"9110 5.5 bytes above 0x7f in a value", "GET / HTTP/1.1\r\n" H "X: \xff\x80\r\n\r\n", "GET",
     "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9110 5.5 a tab in a value", "GET / HTTP/1.1\r\n" H "X: a\tb\tccccccccccc\r\n\r\n", "GET", "a",
     "/", "", ORIGIN, 1, NONE, true, 0},
    {"9112 6.2", "POST / HTTP/1.1\r\n" H "Content-Length: 3495\r\n\r\n", "POST", "a", "/", "",
     ORIGIN, 1, SIZED, true, 3495},
    {"9112 6.2 zeros in front",
     "POST / HTTP/1.1\r\n" H "Content-Length: 000000000000000000000000012\r\n\r\n", "POST", "a",
     "/", "", ORIGIN, 1, SIZED, true, 12},
    {"9110 8.6 the greatest length",
     "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n", "POST", "a", "/", "",
     ORIGIN, 1, SIZED, true, INT64_MAX},
    {"9112 6.2 in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "POST", "", "/", "",
     ORIGIN, 0, SIZED, false, 5},
    {"9112 6.1", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "POST", "a", "/", "",
     ORIGIN, 1, CHUNKS, true, 0},
    {"9112 7 codings of any case", "POST / HTTP/1.1\r\n" H "transfer-encoding: Chunked\r\n\r\n",
     "POST", "a", "/", "", ORIGIN, 1, CHUNKS, true, 0},
    {"9110 5.6.1.2 empty members of a list",
     "POST / HTTP/1.1\r\n" H "Transfer-Encoding: , chunked ,\r\n\r\n", "POST", "a", "/", "", ORIGIN,
     1, CHUNKS, true, 0},
    {"9112 9.3 close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "GET", "a", "/", "",
     ORIGIN, 1, NONE, false, 0},
    {"9112 9.3 close among others, of any case",
     "GET / HTTP/1.1\r\n" H "Connection: keep-alive, CLOSE\r\n\r\n", "GET", "a", "/", "", ORIGIN, 1,
     NONE, false, 0},
    {"9112 9.3 close in a second field",
     "GET / HTTP/1.1\r\n" H "Connection: foo\r\nConnection: close\r\n\r\n", "GET", "a", "/", "",
     ORIGIN, 1, NONE, false, 0},
    {"9112 9.3 a word that has close in it", "GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n",
     "GET", "a", "/", "", ORIGIN, 1, NONE, true, 0},
    {"9112 9.3 keep-alive of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET",
     "", "/", "", ORIGIN, 0, NONE, true, 0},
    {"9112 9.3 close of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET",
     "", "/", "", ORIGIN, 0, NONE, false, 0},
    {"9112 9.3.2 what is pipelined stays where it is",
     "GET /a HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n" H "\r\n", "GET", "a", "/a", "", ORIGIN, 1,
     NONE, true, 0},
};

static void what_the_standards_allow_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++) {
        const struct taken *const row = &taken[i];
        const char *const end = strstr(row->text + 2, "\r\n\r\n");
        const struct vine_http_request *request;
        struct result result;

        parse(&result, row->text, strlen(row->text));
        request = &result.request;
        if (result.value != end + 4 - row->text)
            fail_msg("%s: %d (%s)", row->section, result.value,
                     result.value < 0 ? request->head.refusal.what : "");
        assert_string_equal(vine_http_method_name(request->method), row->method);
        assert_text(vine_http_text(&request->head, request->authority), row->authority);
        assert_text(vine_http_text(&request->head, request->path), row->path);
        assert_text(vine_http_text(&request->head, request->query), row->query);
        assert_int_equal(request->target_form, row->form);
        assert_int_equal(request->minor, row->minor);
        assert_int_equal(request->framing, row->framing);
        assert_int_equal(request->keeps_alive, row->keeps_alive);
        if (row->framing == SIZED)
            assert_int_equal(request->content_length, row->length);
    }
}

static void an_expectation_counts_where_a_body_follows(void **state)
{
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {"PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", true},
        {"PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", true},
        /* 9110 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request
         * MUST ignore that expectation." */
        {"PUT / HTTP/1.0\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", false},
        {"PUT / HTTP/1.0\r\n" H "Expect: cake\r\nContent-Length: 5\r\n\r\n", false},
        /* "A server MAY omit sending a 100 response if ... the framing indicates that there is no
         * content." */
        {"PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct result result;

        parse(&result, rows[i].text, strlen(rows[i].text));
        assert_int_equal(result.value, strlen(rows[i].text));
        assert_int_equal(result.request.expects_continue, rows[i].expected);
    }
}

static void an_upgrade_is_told_of_and_changes_nothing(void **state)
{
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
         true},
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", true},
        /* 9110 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option"; "A server
         * MUST ignore an Upgrade header field that is received in an HTTP/1.0 request." */
        {"GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct result result;

        parse(&result, rows[i].text, strlen(rows[i].text));
        assert_int_equal(result.value, strlen(rows[i].text));
        assert_int_equal(result.request.offers_upgrade, rows[i].expected);
        assert_int_equal(result.request.framing, VINE_HTTP_NO_BODY);
    }
}

/* ---- fields ---------------------------------------------------------------------------------- */

static void each_known_field_is_found_by_number_and_by_name(void **state)
{
    static const char *const names[] = {NULL,
#define NAME(symbol, name) name,
                                        VINE_HTTP_FIELDS(NAME)
#undef NAME
    };

    (void)state;
    for (unsigned id = 1; id < VINE_HTTP_FIELD_COUNT; id++) {
        char text[160], upper[32] = "";
        struct vine_http_slice value = {NULL, 0};
        struct vine_http_field fields[FIELDS];
        struct vine_http_response response;

        for (size_t i = 0; i < strlen(names[id]); i++)
            upper[i] = (char)(names[id][i] >= 'a' ? names[id][i] - 0x20 : names[id][i]);
        const int size =
            snprintf(text, sizeof(text), "HTTP/1.1 204 \r\nX-%s: 9\r\n%s: chunked\r\n%s: 2\r\n\r\n",
                     upper, upper, names[id]);

        vine_http_response_init(&response, VINE_HTTP_GET, fields, FIELDS, HEAD);
        if (id == VINE_HTTP_FIELD_CONTENT_LENGTH || id == VINE_HTTP_FIELD_TRANSFER_ENCODING) {
            assert_true(vine_http_response_parse(&response, text, (size_t)size) < 0);
            continue;
        }
        assert_int_equal(vine_http_response_parse(&response, text, (size_t)size), size);
        assert_true(vine_http_value(&response.head, id, &value));
        assert_text(value, "chunked");
        const struct vine_http_field *const second =
            vine_http_next(&response.head, id, vine_http_next(&response.head, id, NULL));

        assert_ptr_equal(second, &fields[2]);
        assert_null(vine_http_next(&response.head, id, second));
        assert_ptr_equal(vine_http_find(&response.head, names[id], NULL), &fields[1]);
        assert_ptr_equal(vine_http_find(&response.head, upper, &fields[1]), &fields[2]);
        assert_null(vine_http_find(&response.head, upper, &fields[2]));
    }
}

static void a_field_that_is_not_there_is_not_found(void **state)
{
    struct vine_http_slice value = {"untouched", 9};
    struct result result;

    (void)state;
    parse(&result, BYTES("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_false(vine_http_value(&result.request.head, VINE_HTTP_FIELD_RANGE, &value));
    assert_text(value, "untouched");
    assert_null(vine_http_next(&result.request.head, VINE_HTTP_FIELD_RANGE, NULL));
    assert_null(vine_http_find(&result.request.head, "range", NULL));
}

static void lists_are_taken_apart(void **state)
{
    struct vine_http_slice rest = slice_of(" , a ,, \"b, \\\" , c\";q=1\t,d e, \"open, x"), member;
    static const char *const expected[] = {"a", "\"b, \\\" , c\";q=1", "d e", "\"open, x"};

    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(vine_http_list_next(&rest, &member));
        assert_text(member, expected[i]);
    }
    assert_false(vine_http_list_next(&rest, &member));
    rest = slice_of("\"ends with a \\");
    assert_true(vine_http_list_next(&rest, &member));
    assert_false(vine_http_list_next(&rest, &member));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_standards_forbid_is_refused_with_its_status),
        cmocka_unit_test(lines_and_heads_beyond_their_bounds_are_refused),
        cmocka_unit_test(a_head_of_just_the_bound_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(a_name_of_255_bytes_is_taken),
        cmocka_unit_test(more_fields_than_there_is_room_for_are_refused),
        cmocka_unit_test(what_the_standards_allow_is_read),
        cmocka_unit_test(an_expectation_counts_where_a_body_follows),
        cmocka_unit_test(an_upgrade_is_told_of_and_changes_nothing),
        cmocka_unit_test(each_known_field_is_found_by_number_and_by_name),
        cmocka_unit_test(a_field_that_is_not_there_is_not_found),
        cmocka_unit_test(lists_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
