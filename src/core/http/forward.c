/* SPDX-License-Identifier: Apache-2.0 */
/* Heads that are passed on (RFC 9110 7.6, RFC 9112 3.2, 6, 9.6). */
#include <vine/http_proxy.h>

#include <errno.h>

#include "http_internal.h"

/* ---- what stays here ------------------------------------------------------------------------- */

VINE__INSIDE static bool same_name(struct vine_http_slice a, struct vine_http_slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (vine__http_lower(a.text[i]) != vine__http_lower(b.text[i]))
            return false;
    return true;
}

VINE__INSIDE bool vine_http_is_hop_by_hop(const struct vine_http_head *head,
                                          const struct vine_http_field *field)
{
    const struct vine_http_slice name = vine_http_field_name(head, field);
    const struct vine_http_field *connection = NULL;

    if (field->id != VINE_HTTP_FIELD_OTHER && field->id <= VINE_HTTP_FIELD_PROXY_AUTHORIZATION)
        return true;
    while ((connection = vine_http_next(head, VINE_HTTP_FIELD_CONNECTION, connection)) != NULL) {
        struct vine_http_slice rest = vine_http_field_value(head, connection), member;

        while (vine_http_list_next(&rest, &member))
            if (same_name(member, name))
                return true;
    }
    return false;
}

VINE__INSIDE bool vine_http_may_forward(const struct vine_http_request *request)
{
    struct vine_http_slice value;
    uint64_t left;

    if (request->method != VINE_HTTP_TRACE && request->method != VINE_HTTP_OPTIONS)
        return true;
    return !vine_http_value(&request->head, VINE_HTTP_FIELD_MAX_FORWARDS, &value) ||
           !vine__http_number(value, &left) || left > 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

VINE__INSIDE static void write_slice(struct vine_http_writer *writer, struct vine_http_slice text)
{
    vine_http_write_bytes(writer, text.text, text.size);
}

/* As they were parsed: a name, a colon, a space, a value. */
VINE__INSIDE static void write_line(struct vine_http_writer *writer, struct vine_http_slice name,
                                    struct vine_http_slice value)
{
    write_slice(writer, name);
    vine_http_write_bytes(writer, ": ", 2);
    write_slice(writer, value);
    vine_http_write_end(writer);
}

/* All fields but those of this connection, those that are written anew, and those of `others`. */
VINE__INSIDE static void write_fields(struct vine_http_writer *writer,
                                      const struct vine_http_head *head, uint64_t others)
{
    others |= VINE__HTTP_BIT(HOST) | VINE__HTTP_BIT(CONTENT_LENGTH);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct vine_http_field *const field = &head->fields[i];

        if ((others >> field->id & 1) == 0 && !vine_http_is_hop_by_hop(head, field))
            write_line(writer, vine_http_field_name(head, field),
                       vine_http_field_value(head, field));
    }
}

/* RFC 9110 7.6.3: the version in which it came, and who passed it on. */
VINE__INSIDE static void write_via(struct vine_http_writer *writer, unsigned minor, const char *via)
{
    if (via == NULL)
        return;
    vine_http_write_bytes(writer, minor == 0 ? "Via: 1.0 " : "Via: 1.1 ", 9);
    if (!vine__http_is_authority(vine_http_slice(via), false))
        writer->error = writer->error != 0 ? writer->error : -EINVAL;
    write_slice(writer, vine_http_slice(via));
    vine_http_write_end(writer);
}

VINE__INSIDE static void write_framing(struct vine_http_writer *writer, unsigned framing,
                                       uint64_t content_length)
{
    if (framing == VINE_HTTP_LENGTH)
        vine_http_write_number(writer, "Content-Length", content_length);
    else if (framing == VINE_HTTP_CHUNKED)
        vine_http_write_bytes(writer, "Transfer-Encoding: chunked\r\n", 28);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* RFC 9112 3.2.1, 3.2.4: a path and a query; of OPTIONS for a whole server '*'. */
VINE__INSIDE static void write_target(struct vine_http_writer *writer,
                                      const struct vine_http_request *request)
{
    const struct vine_http_slice path = vine_http_text(&request->head, request->path);

    if (request->target_form == VINE_HTTP_ASTERISK_FORM ||
        (request->method == VINE_HTTP_OPTIONS && path.size == 0 && !request->has_query)) {
        vine_http_write_bytes(writer, "*", 1);
        return;
    }
    if (path.size == 0)
        vine_http_write_bytes(writer, "/", 1);
    write_slice(writer, path);
    if (request->has_query) {
        vine_http_write_bytes(writer, "?", 1);
        write_slice(writer, vine_http_text(&request->head, request->query));
    }
}

/* RFC 9110 7.6.2. Only what bounds TRACE and OPTIONS is counted. */
VINE__INSIDE static void write_max_forwards(struct vine_http_writer *writer,
                                            const struct vine_http_request *request)
{
    struct vine_http_slice value;
    uint64_t left;

    if (!vine_http_value(&request->head, VINE_HTTP_FIELD_MAX_FORWARDS, &value))
        return;
    if ((request->method == VINE_HTTP_TRACE || request->method == VINE_HTTP_OPTIONS) &&
        vine__http_number(value, &left))
        vine_http_write_number(writer, "Max-Forwards", left > 0 ? left - 1 : 0);
    else
        write_line(writer, vine_http_slice("Max-Forwards"), value);
}

VINE__INSIDE void vine_http_forward_request(struct vine_http_writer *writer,
                                            const struct vine_http_request *request,
                                            const struct vine_http_forward *forward)
{
    const struct vine_http_head *const head = &request->head;
    uint64_t others = VINE__HTTP_BIT(MAX_FORWARDS);

    if (request->method == VINE_HTTP_CONNECT) {
        writer->error = writer->error != 0 ? writer->error : -EINVAL;
        return;
    }
    if (forward->answers_expect || request->minor == 0)
        others |= VINE__HTTP_BIT(EXPECT);
    write_slice(writer, vine_http_text(head, request->method_name));
    vine_http_write_bytes(writer, " ", 1);
    write_target(writer, request);
    vine_http_write_bytes(writer, " HTTP/1.1\r\n", 11);
    vine_http_write_field(writer, "Host",
                          forward->host != NULL ? *forward->host
                                                : vine_http_text(head, request->authority));
    write_fields(writer, head, others);
    write_max_forwards(writer, request);
    write_framing(writer, request->framing, request->content_length);
    write_via(writer, request->minor, forward->via);
    if (forward->closes)
        vine_http_write_bytes(writer, "Connection: close\r\n", 19);
}

/* ---- responses ------------------------------------------------------------------------------- */

/* How the client gets the body, whichever way it comes. */
VINE__INSIDE static struct vine_http_reply_plan plan_of(const struct vine_http_response *response,
                                                        const struct vine_http_request *request,
                                                        bool closes)
{
    struct vine_http_reply_plan plan = {.framing = response->framing};

    plan.omits_body = response->framing == VINE_HTTP_NO_BODY;
    if (response->framing == VINE_HTTP_CHUNKED || response->framing == VINE_HTTP_CLOSE)
        plan.framing = request->minor > 0 ? VINE_HTTP_CHUNKED : VINE_HTTP_CLOSE;
    plan.keeps_alive = request->keeps_alive && !closes && plan.framing != VINE_HTTP_CLOSE;
    return plan;
}

VINE__INSIDE void vine_http_forward_response(struct vine_http_writer *writer,
                                             const struct vine_http_response *response,
                                             const struct vine_http_request *request,
                                             const struct vine_http_forward *forward,
                                             struct vine_http_reply_plan *ret_plan)
{
    const struct vine_http_head *const head = &response->head;
    const struct vine_http_reply_plan plan = plan_of(response, request, forward->closes);
    unsigned framing = plan.framing;

    /* RFC 9110 8.6: of HEAD and 304 the length is that which a GET would have. */
    if (plan.omits_body && response->status >= 200 && response->status != 204 &&
        vine_http_has(head, VINE_HTTP_FIELD_CONTENT_LENGTH))
        framing = VINE_HTTP_LENGTH;
    vine_http_write_status_reason(writer, response->status, vine_http_text(head, response->reason));
    write_fields(writer, head, 0);
    write_framing(writer, framing, response->content_length);
    write_via(writer, response->minor, forward->via);
    if (!plan.keeps_alive && response->status >= 200)
        vine_http_write_bytes(writer, "Connection: close\r\n", 19);
    else if (plan.keeps_alive && request->minor == 0)
        vine_http_write_bytes(writer, "Connection: keep-alive\r\n", 24);
    *ret_plan = plan;
}

/* ---- heads at once --------------------------------------------------------------------------- */

VINE__INSIDE static int end(struct vine_http_writer *writer)
{
    int result;

    vine_http_write_end(writer);
    result = vine_http_writer_result(writer);
    return result == -EINVAL ? -VINE_EPROTOCOL : result;
}

VINE__INSIDE int vine_http_pass_request(char *room, size_t room_size,
                                        const struct vine_http_request *request,
                                        const struct vine_http_forward *forward)
{
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, room, room_size);
    vine_http_forward_request(&writer, request, forward);
    return end(&writer);
}

VINE__INSIDE int vine_http_pass_response(char *room, size_t room_size,
                                         const struct vine_http_response *response,
                                         const struct vine_http_request *request,
                                         const struct vine_http_forward *forward,
                                         struct vine_http_reply_plan *ret_plan)
{
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, room, room_size);
    vine_http_forward_response(&writer, response, request, forward, ret_plan);
    return end(&writer);
}
