/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Responses of HTTP/1.1, as a gateway gets them. The first byte says where the rest is cut in two,
 * the second what was asked: read in pieces it comes to the same as in one. What is taken is passed
 * on, and what was written for the client is read as the answer of which the plan tells.
 */
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/http.h>
#include <vine/http_proxy.h>

#include "utils/assert.h"

#define FIELDS   24u
#define HEAD_MAX 2048u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct message {
    struct vine_http_response response;
    struct vine_http_field fields[FIELDS];
    int result;
};

static void begin(struct message *message, enum vine_http_method method)
{
    memset(message, 0, sizeof(*message));
    vine_http_response_init(&message->response, method, message->fields, FIELDS, HEAD_MAX);
}

static void feed(struct message *message, const uint8_t *bytes, size_t size, bool ends)
{
    char *const copy = malloc(size + 1);

    VINE_ASSERT(copy != NULL);
    memcpy(copy, bytes, size);
    copy[size] = '\n';
    message->result = vine_http_response_parse(&message->response, copy, size + ends);
    message->response.head.bytes = (const char *)bytes;
    free(copy);
}

static void assert_same(const struct message *a, const struct message *b)
{
    VINE_ASSERT(a->result == b->result);
    if (a->result < 0) {
        VINE_ASSERT(a->response.head.refusal.status == 502);
        VINE_ASSERT(a->response.head.refusal.offset == b->response.head.refusal.offset);
        VINE_ASSERT(a->response.head.refusal.what == b->response.head.refusal.what);
    } else if (a->result > 0) {
        VINE_ASSERT(a->response.framing == b->response.framing);
        VINE_ASSERT(a->response.status == b->response.status);
        VINE_ASSERT(a->response.content_length == b->response.content_length);
        VINE_ASSERT(memcmp(a->fields, b->fields, sizeof(a->fields)) == 0);
    }
}

static void pass_on(const struct message *message, enum vine_http_method method, unsigned minor)
{
    static char bytes[2 * HEAD_MAX];
    static const struct vine_http_forward forward = {.size_bytes = sizeof(forward), .via = "x"};
    const struct vine_http_request request = {
        .method = (uint8_t)method, .minor = (uint8_t)minor, .keeps_alive = true};
    struct vine_http_reply_plan plan;
    struct vine_http_writer writer;
    struct message again;

    /* Tunnels are not passed on. */
    if (message->response.is_tunnel)
        return;
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_forward_response(&writer, &message->response, &request, &forward, &plan);
    vine_http_write_end(&writer);
    VINE_ASSERT(vine_http_writer_result(&writer) > 0);
    begin(&again, method);
    again.result = vine_http_response_parse(&again.response, bytes, writer.size);
    if (again.result < 0) {
        VINE_ASSERT(writer.size > HEAD_MAX || message->response.head.field_count >= FIELDS - 3);
        return;
    }
    VINE_ASSERT(again.result == (int)writer.size);
    VINE_ASSERT(again.response.framing == plan.framing);
    VINE_ASSERT(again.response.status == message->response.status);
    VINE_ASSERT(!plan.keeps_alive || again.response.keeps_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct message whole, pieces;

    if (size_bytes < 2)
        return 0;
    const size_t size = size_bytes - 2;
    const size_t cut = size * bytes[0] / 255;
    const enum vine_http_method method = bytes[1] % VINE_HTTP_METHOD_COUNT;
    const unsigned minor = bytes[1] >> 7;

    bytes += 2;
    begin(&whole, method);
    feed(&whole, bytes, size, false);
    begin(&pieces, method);
    feed(&pieces, bytes, cut, false);
    if (pieces.result == 0)
        feed(&pieces, bytes, size, false);
    if (pieces.result == 0 && whole.result < 0)
        feed(&pieces, bytes, size, true);
    assert_same(&whole, &pieces);
    VINE_ASSERT(whole.result <= (int)size);
    if (whole.result > 0)
        pass_on(&whole, method, minor);
    return 0;
}
