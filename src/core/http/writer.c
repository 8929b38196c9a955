/* SPDX-License-Identifier: Apache-2.0 */
/* Heads into bounded memory, and small answers. */
#include <vine/http_writer.h>

#include <errno.h>

#include "http_internal.h"

#define SENTENCE_MAX 256u

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Room for so many bytes, or NULL. */
VINE__INSIDE static char *take(struct vine_http_writer *writer, size_t size_bytes)
{
    if (writer->error != 0)
        return NULL;
    if (size_bytes > writer->size_max - writer->size) {
        writer->error = -ENOSPC;
        return NULL;
    }
    char *const at = writer->bytes + writer->size;

    writer->size += size_bytes;
    return at;
}

VINE__INSIDE void vine_http_write_bytes(struct vine_http_writer *writer, const void *bytes,
                                        size_t size_bytes)
{
    char *const at = take(writer, size_bytes);

    if (at != NULL && size_bytes > 0)
        memcpy(at, bytes, size_bytes);
}

VINE__INSIDE static void write_text(struct vine_http_writer *writer, const char *text)
{
    vine_http_write_bytes(writer, text, strlen(text));
}

/* What may stand there, or the writer fails. */
VINE__INSIDE static void write_checked(struct vine_http_writer *writer, struct vine_http_slice text,
                                       unsigned class)
{
    for (size_t i = 0; i < text.size; i++)
        if (!vine__http_is_class(text.text[i], class))
            writer->error = writer->error != 0 ? writer->error : -EINVAL;
    vine_http_write_bytes(writer, text.text, text.size);
}

/* Room for the digits of any number. */
#define NUMBER_MAX 20u

VINE__INSIDE static struct vine_http_slice print_number(uint64_t value, char text[NUMBER_MAX])
{
    size_t at = NUMBER_MAX;

    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return (struct vine_http_slice){text + at, NUMBER_MAX - at};
}

VINE__INSIDE void vine_http_write_end(struct vine_http_writer *writer)
{
    vine_http_write_bytes(writer, "\r\n", 2);
}

VINE__INSIDE int vine_http_writer_result(const struct vine_http_writer *writer)
{
    return writer->error != 0 ? writer->error : (int)writer->size;
}

/* ---- lines ----------------------------------------------------------------------------------- */

VINE__INSIDE void vine_http_write_status_reason(struct vine_http_writer *writer, unsigned status,
                                                struct vine_http_slice reason)
{
    char digits[NUMBER_MAX];

    VINE__INSIDE_CHECK(status >= 100 && status <= 999);
    vine_http_write_bytes(writer, "HTTP/1.1 ", 9);
    const struct vine_http_slice number = print_number(status, digits);

    vine_http_write_bytes(writer, number.text, number.size);
    vine_http_write_bytes(writer, " ", 1);
    write_checked(writer, reason, VINE__HTTP_VALUE);
    vine_http_write_end(writer);
}

VINE__INSIDE void vine_http_write_status(struct vine_http_writer *writer, unsigned status)
{
    vine_http_write_status_reason(writer, status, vine_http_slice(vine_http_status_text(status)));
}

VINE__INSIDE void vine_http_write_request_line(struct vine_http_writer *writer,
                                               struct vine_http_slice method,
                                               struct vine_http_slice target)
{
    if (method.size == 0 || target.size == 0)
        writer->error = writer->error != 0 ? writer->error : -EINVAL;
    write_checked(writer, method, VINE__HTTP_TOKEN);
    vine_http_write_bytes(writer, " ", 1);
    for (size_t i = 0; i < target.size; i++)
        if (target.text[i] != '?' && !vine__http_is_class(target.text[i], VINE__HTTP_TARGET))
            writer->error = writer->error != 0 ? writer->error : -EINVAL;
    vine_http_write_bytes(writer, target.text, target.size);
    vine_http_write_bytes(writer, " HTTP/1.1\r\n", 11);
}

VINE__INSIDE void vine_http_write_field(struct vine_http_writer *writer, const char *name,
                                        struct vine_http_slice value)
{
    const struct vine_http_slice name_slice = vine_http_slice(name);

    if (name_slice.size == 0)
        writer->error = writer->error != 0 ? writer->error : -EINVAL;
    write_checked(writer, name_slice, VINE__HTTP_TOKEN);
    vine_http_write_bytes(writer, ": ", 2);
    write_checked(writer, value, VINE__HTTP_VALUE);
    vine_http_write_end(writer);
}

VINE__INSIDE void vine_http_write_text(struct vine_http_writer *writer, const char *name,
                                       const char *value)
{
    vine_http_write_field(writer, name, vine_http_slice(value));
}

VINE__INSIDE void vine_http_write_number(struct vine_http_writer *writer, const char *name,
                                         uint64_t value)
{
    char digits[NUMBER_MAX];

    vine_http_write_field(writer, name, print_number(value, digits));
}

/* ---- replies --------------------------------------------------------------------------------- */

VINE__INSIDE static struct vine_http_reply_plan plan_of(const struct vine_http_reply *reply)
{
    const struct vine_http_request *const request = reply->request;
    struct vine_http_reply_plan plan = {.framing = reply->framing};

    plan.omits_body = reply->status < 200 || reply->status == 204 || reply->status == 304 ||
                      (request != NULL && request->method == VINE_HTTP_HEAD);
    if (plan.framing == VINE_HTTP_CHUNKED && request != NULL && request->minor == 0)
        plan.framing = VINE_HTTP_CLOSE;
    plan.keeps_alive = request != NULL && request->keeps_alive && !reply->closes &&
                       (plan.framing != VINE_HTTP_CLOSE || plan.omits_body);
    return plan;
}

/* RFC 9110 8.6: no Content-Length with 1xx and 204; with 304 it tells that of a 200, if it is
 * known. */
VINE__INSIDE static void write_framing(struct vine_http_writer *writer,
                                       const struct vine_http_reply *reply,
                                       const struct vine_http_reply_plan *plan)
{
    if (reply->status < 200 || reply->status == 204)
        return;
    if (reply->status == 304 && plan->framing != VINE_HTTP_LENGTH)
        return;
    if (plan->framing == VINE_HTTP_CHUNKED)
        vine_http_write_bytes(writer, "Transfer-Encoding: chunked\r\n", 28);
    else if (plan->framing != VINE_HTTP_CLOSE)
        vine_http_write_number(writer, "Content-Length",
                               plan->framing == VINE_HTTP_LENGTH ? reply->content_length : 0);
}

VINE__INSIDE void vine_http_write_reply(struct vine_http_writer *writer,
                                        const struct vine_http_reply *reply,
                                        struct vine_http_reply_plan *ret_plan)
{
    const struct vine_http_reply_plan plan = plan_of(reply);

    vine_http_write_status(writer, reply->status);
    if (reply->date != NULL)
        vine_http_write_field(writer, "Date",
                              (struct vine_http_slice){reply->date, VINE_HTTP_DATE_BYTES});
    if (reply->content_type != NULL)
        vine_http_write_text(writer, "Content-Type", reply->content_type);
    write_framing(writer, reply, &plan);
    if (!plan.keeps_alive && reply->status >= 200)
        vine_http_write_bytes(writer, "Connection: close\r\n", 19);
    else if (plan.keeps_alive && reply->request != NULL && reply->request->minor == 0)
        vine_http_write_bytes(writer, "Connection: keep-alive\r\n", 24);
    *ret_plan = plan;
}

VINE__INSIDE bool vine_http_write_small(struct vine_http_writer *writer,
                                        const struct vine_http_reply *reply,
                                        struct vine_http_slice body)
{
    struct vine_http_reply sized = *reply;
    struct vine_http_reply_plan plan;

    sized.framing = VINE_HTTP_LENGTH;
    sized.content_length = body.size;
    vine_http_write_reply(writer, &sized, &plan);
    vine_http_write_end(writer);
    if (!plan.omits_body)
        vine_http_write_bytes(writer, body.text, body.size);
    return plan.keeps_alive;
}

VINE__INSIDE bool vine_http_write_error(struct vine_http_writer *writer,
                                        const struct vine_http_request *request, unsigned status,
                                        const char *what, const char *date)
{
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = request,
        .date = date,
        .content_type = "text/plain; charset=utf-8",
        .status = (uint16_t)status,
        .closes = request == NULL,
    };
    char text[SENTENCE_MAX], digits[NUMBER_MAX];
    const struct vine_http_slice number = print_number(status, digits);
    struct vine_http_writer sentence;

    vine_http_writer_init(&sentence, text, sizeof(text));
    vine_http_write_bytes(&sentence, number.text, number.size);
    vine_http_write_bytes(&sentence, " ", 1);
    write_text(&sentence, vine_http_status_text(status));
    if (what != NULL) {
        vine_http_write_bytes(&sentence, ": ", 2);
        vine_http_write_bytes(&sentence, what, strnlen(what, SENTENCE_MAX / 2));
    }
    vine_http_write_bytes(&sentence, "\n", 1);
    return vine_http_write_small(writer, &reply, (struct vine_http_slice){text, sentence.size});
}

/* ---- ready answers --------------------------------------------------------------------------- */

VINE__INSIDE int vine_http_ready_init(struct vine_http_ready *ready, void *memory, size_t size_max,
                                      unsigned status, const char *content_type,
                                      struct vine_http_slice body)
{
    static const char no_date[] = "Sun, 00 Jan 0000 00:00:00 GMT";
    const struct vine_http_request request = {
        .method = VINE_HTTP_GET, .minor = 1, .keeps_alive = true};
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &request,
        .date = no_date,
        .content_type = content_type,
        .status = (uint16_t)status,
    };
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, memory, size_max);
    (void)vine_http_write_small(&writer, &reply, body);
    if (writer.error != 0)
        return writer.error;
    const char *const date = memmem(memory, writer.size, no_date, VINE_HTTP_DATE_BYTES);

    ready->bytes = memory;
    ready->size = (uint32_t)writer.size;
    ready->date_at = (uint32_t)(date - (const char *)memory);
    return 0;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

VINE__INSIDE size_t vine_http_chunk_head(uint64_t size_bytes, char text[VINE_HTTP_CHUNK_HEAD_MAX])
{
    VINE__INSIDE_CHECK(size_bytes > 0);
    const unsigned digits = (67U - (unsigned)__builtin_clzll(size_bytes)) / 4;

    for (unsigned i = digits; i-- > 0; size_bytes >>= 4)
        text[i] = "0123456789abcdef"[size_bytes & 15];
    text[digits] = '\r';
    text[digits + 1] = '\n';
    return (size_t)digits + 2;
}
