/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Requests of HTTP/1.1. The first byte says where the rest is cut in two: read in pieces it comes
 * to the same as in one. What is taken is asked all that a server asks, and passed on: what a
 * gateway writes of it is read as a request with the same framing, whatever the first one was.
 */
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/http.h>
#include <vine/http_proxy.h>
#include <vine/http_resource.h>
#include <vine/http_router.h>

#include "utils/assert.h"

#define FIELDS   24u
#define HEAD_MAX 2048u
#define RANGES   4u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct message {
    struct vine_http_request request;
    struct vine_http_field fields[FIELDS];
    int result;
};

static void begin(struct message *message)
{
    memset(message, 0, sizeof(*message));
    vine_http_request_init(&message->request, message->fields, FIELDS, HEAD_MAX);
}

/* From memory of just that size, with a line's end behind it if it is so wanted. */
static void feed(struct message *message, const uint8_t *bytes, size_t size, bool ends)
{
    char *const copy = malloc(size + 1);

    VINE_ASSERT(copy != NULL);
    memcpy(copy, bytes, size);
    copy[size] = '\n';
    message->result = vine_http_request_parse(&message->request, copy, size + ends);
    message->request.head.bytes = (const char *)bytes;
    free(copy);
}

static void assert_same(const struct message *a, const struct message *b)
{
    VINE_ASSERT(a->result == b->result);
    if (a->result < 0) {
        VINE_ASSERT(a->request.head.refusal.status == b->request.head.refusal.status);
        VINE_ASSERT(a->request.head.refusal.offset == b->request.head.refusal.offset);
        VINE_ASSERT(a->request.head.refusal.what == b->request.head.refusal.what);
    } else if (a->result > 0) {
        VINE_ASSERT(a->request.framing == b->request.framing);
        VINE_ASSERT(a->request.content_length == b->request.content_length);
        VINE_ASSERT(a->request.head.present == b->request.head.present);
        VINE_ASSERT(memcmp(a->fields, b->fields, sizeof(a->fields)) == 0);
    }
}

/* What a gateway would send, and the next one would read. */
static void pass_on(const struct message *message)
{
    static char bytes[2 * HEAD_MAX];
    static const struct vine_http_forward forward = {.size_bytes = sizeof(forward), .via = "x"};
    struct vine_http_writer writer;
    struct message again;

    if (message->request.method == VINE_HTTP_CONNECT)
        return;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_request(&writer, &message->request, &forward);
    vine_http_write_end(&writer);
    VINE_ASSERT(vine_http_writer_result(&writer) > 0);
    memset(&again, 0, sizeof(again));
    vine_http_request_init(&again.request, again.fields, FIELDS, HEAD_MAX);
    again.result = vine_http_request_parse(&again.request, bytes, writer.size);
    if (again.result < 0) {
        /* Via, Host and a number written out may make it longer than we take ourselves. */
        VINE_ASSERT(again.request.head.refusal.status == 431 ||
                    again.request.head.refusal.status == 414);
        return;
    }
    VINE_ASSERT(again.result == (int)writer.size);
    VINE_ASSERT(again.request.framing == message->request.framing);
    VINE_ASSERT(again.request.content_length == message->request.content_length);
    VINE_ASSERT(again.request.method == message->request.method);
}

static void ask(const struct message *message)
{
    static const struct vine_http_route routes[] = {
        {VINE_HTTP_ON(GET), 0, "/:a/*b"},
        {VINE_HTTP_ON(PUT), 1, "/x"},
    };
    static const struct vine_http_state state = {
        .etag = {"\"a\"", 3}, .modified = 784111777, .now = 1793318400, .exists = true};
    const struct vine_http_request *const request = &message->request;
    const struct vine_http_slice path = vine_http_text(&request->head, request->path);
    struct vine_http_slice rest = vine_http_text(&request->head, request->query), name, value;
    struct vine_http_range ranges[RANGES];
    struct vine_http_match match;
    char out[64];
    size_t count;
    const int size = vine_http_path(path, 0, out, sizeof(out));
    const unsigned condition = vine_http_condition(request, &state);

    VINE_ASSERT(size < (int)sizeof(out));
    if (size > 0) {
        VINE_ASSERT(out[size] == '\0' && strlen(out) == (size_t)size);
        VINE_ASSERT(out[0] != '/' && strncmp(out, "../", 3) != 0 && strstr(out, "/../") == NULL);
        VINE_ASSERT(strcmp(out, "..") != 0 && strstr(out, "//") == NULL);
    }
    (void)vine_http_content_type(path);
    while (vine_http_query_next(&rest, &name, &value))
        VINE_ASSERT(vine_http_unescape(value, true, out, sizeof(out)) <= (int)value.size);
    VINE_ASSERT(condition == 0 || condition == 304 || condition == 412);
    if (vine_http_ranges(request, &state, 1000, ranges, RANGES, &count) == 206)
        for (size_t i = 0; i < count; i++)
            VINE_ASSERT(ranges[i].size > 0 && ranges[i].first < 1000 &&
                        ranges[i].size <= 1000 - ranges[i].first);
    if (vine_http_route(routes, 2, request->method, path, &match) == 200)
        (void)vine_http_parameter(&match, "b");
    (void)vine_http_may_forward(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct message whole, pieces;

    if (size_bytes == 0)
        return 0;
    const size_t size = size_bytes - 1;
    const size_t cut = size * bytes[0] / 255;

    bytes++;
    begin(&whole);
    feed(&whole, bytes, size, false);
    begin(&pieces);
    feed(&pieces, bytes, cut, false);
    if (pieces.result == 0)
        feed(&pieces, bytes, size, false);
    /* The line in which something is wrong may be looked at when it ends. */
    if (pieces.result == 0 && whole.result < 0)
        feed(&pieces, bytes, size, true);
    assert_same(&whole, &pieces);
    VINE_ASSERT(whole.result <= (int)size);
    VINE_ASSERT(whole.result >= 0 || whole.request.head.refusal.status >= 400);
    if (whole.result > 0) {
        ask(&whole);
        pass_on(&whole);
    }
    return 0;
}
