/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies, piece by piece (RFC 9112 6.3, 7.1, 8). */
#include "http_internal.h"

/* Digits of a chunk's size, with zeros in front. */
#define DIGITS_MAX 16u

enum stage {
    STAGE_SIZE,      /* a chunk's size, its first digit or a further one */
    STAGE_BLANK,     /* white space behind the size: an extension has to follow */
    STAGE_EXTENSION, /* to the end of the line */
    STAGE_SIZE_LF,
    STAGE_DATA,
    STAGE_DATA_CR,
    STAGE_DATA_LF,
    STAGE_TRAILERS,
    STAGE_END,
    STAGE_REFUSED,
};

VINE__INSIDE void vine_http_body_init(struct vine_http_body *body, enum vine_http_framing framing,
                                      uint64_t content_length)
{
    body->left = framing == VINE_HTTP_LENGTH ? content_length : 0;
    body->received = 0;
    body->offset = 0;
    body->extensions = 0;
    body->framing = (uint8_t)framing;
    body->digits = 0;
    body->stage = STAGE_DATA;
    if (framing == VINE_HTTP_CHUNKED)
        body->stage = STAGE_SIZE;
    else if (framing == VINE_HTTP_CLOSE)
        body->left = UINT64_MAX;
    else if (body->left == 0)
        body->stage = STAGE_END;
    memset(&body->refusal, 0, sizeof(body->refusal));
    vine__http_head_init(&body->trailers, NULL, 0, VINE_HTTP_TRAILERS_MAX);
}

VINE__INSIDE void vine_http_body_keep_trailers(struct vine_http_body *body,
                                               struct vine_http_field *fields, size_t field_max)
{
    VINE__INSIDE_CHECK(fields != NULL && body->offset == 0);
    vine__http_head_init(&body->trailers, fields, field_max, VINE_HTTP_TRAILERS_MAX);
}

VINE__INSIDE static int refuse(struct vine_http_body *body, unsigned status, uint64_t offset,
                               const char *what)
{
    body->stage = STAGE_REFUSED;
    body->refusal.what = what;
    body->refusal.offset = offset;
    body->refusal.status = (uint16_t)status;
    return -VINE_EPROTOCOL;
}

/* ---- framing of chunks ----------------------------------------------------------------------- */

/* What is behind the size of a chunk: a line's end, or an extension. */
VINE__INSIDE static const char *end_of_size(struct vine_http_body *body, char character)
{
    if (body->digits == 0)
        return "a chunk without a size";
    if (character == '\r')
        body->stage = STAGE_SIZE_LF;
    else if (character == ';')
        body->stage = STAGE_EXTENSION;
    else if (vine__http_is_blank(character))
        body->stage = STAGE_BLANK;
    else
        return "a chunk whose size is no number";
    return NULL;
}

VINE__INSIDE static const char *read_size(struct vine_http_body *body, char character)
{
    const unsigned digit = vine__http_hex(character);

    if (digit > 15)
        return end_of_size(body, character);
    if (body->digits == DIGITS_MAX || body->left > (uint64_t)INT64_MAX >> 4)
        return "a chunk whose size is too large a number";
    body->digits++;
    body->left = body->left << 4 | digit;
    return NULL;
}

/* RFC 9112 7.1.1: what is not understood is passed over; it has a bound. */
VINE__INSIDE static const char *read_extension(struct vine_http_body *body, char character)
{
    if (body->stage == STAGE_BLANK && character != ';' && !vine__http_is_blank(character))
        return "white space behind a chunk's size";
    if (character == '\r') {
        body->stage = STAGE_SIZE_LF;
        return NULL;
    }
    if (!vine__http_is_class(character, VINE__HTTP_VALUE))
        return "a control character in a chunk's extension";
    if (character == ';')
        body->stage = STAGE_EXTENSION;
    if (++body->extensions > VINE_HTTP_EXTENSIONS_MAX)
        return "more extensions of chunks than are taken";
    return NULL;
}

/* One byte that is no data. Returns what is wrong with it, or NULL. */
VINE__INSIDE static const char *read_framing(struct vine_http_body *body, char character)
{
    switch (body->stage) {
    case STAGE_SIZE:
        return read_size(body, character);
    case STAGE_BLANK:
    case STAGE_EXTENSION:
        return read_extension(body, character);
    case STAGE_SIZE_LF:
        body->digits = 0;
        body->stage = body->left > 0 ? STAGE_DATA : STAGE_TRAILERS;
        return character == '\n' ? NULL : "a chunk's size without a line feed";
    case STAGE_DATA_CR:
        body->stage = STAGE_DATA_LF;
        return character == '\r' ? NULL : "a chunk that is longer than its size";
    default: /* STAGE_DATA_LF */
        body->stage = STAGE_SIZE;
        return character == '\n' ? NULL : "a chunk that is longer than its size";
    }
}

/* ---- trailers -------------------------------------------------------------------------------- */

#define NO_TRAILERS                                                                                \
    (VINE__HTTP_BIT(TRANSFER_ENCODING) | VINE__HTTP_BIT(CONTENT_LENGTH) | VINE__HTTP_BIT(HOST))

/* All of them at once, as fields of a head are; `ret_used` is 0 until they are whole. */
VINE__INSIDE static int read_trailers(struct vine_http_body *body, const char *bytes,
                                      size_t size_bytes, size_t *ret_used)
{
    struct vine_http_head *const trailers = &body->trailers;
    const size_t size = size_bytes < trailers->size_max ? size_bytes : trailers->size_max;
    int result;

    trailers->bytes = bytes;
    result = vine__http_line_came(trailers, size) ? vine__http_fields(trailers, size) : 0;
    if (result == 0) {
        if (size == trailers->size_max)
            return refuse(body, 431, body->offset + size, "trailers that are longer than taken");
        *ret_used = 0;
        return VINE_HTTP_MORE;
    }
    if (result < 0)
        return refuse(body, trailers->refusal.status, body->offset + trailers->refusal.offset,
                      trailers->refusal.what);
    /* RFC 9110 6.5.1: no trailer is about framing or routing. */
    if ((trailers->present & NO_TRAILERS) != 0)
        return refuse(body, 400, body->offset, "a trailer that belongs into the head");
    if (trailers->fields == NULL)
        trailers->present = 0;
    trailers->stage = VINE__HTTP_WHOLE;
    body->stage = STAGE_END;
    *ret_used = (size_t)result;
    return VINE_HTTP_END;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* `size_bytes` of data, at most as many as are left, have gone by. */
VINE__INSIDE static void count(struct vine_http_body *body, uint64_t size_bytes)
{
    body->received += size_bytes;
    body->offset += size_bytes;
    if (body->framing == VINE_HTTP_CLOSE)
        return;
    body->left -= size_bytes;
    if (body->left == 0)
        body->stage = body->framing == VINE_HTTP_CHUNKED ? STAGE_DATA_CR : STAGE_END;
}

VINE__INSIDE int vine_http_body_next(struct vine_http_body *body, const void *bytes,
                                     size_t size_bytes, size_t *ret_used,
                                     struct vine_http_slice *ret_data)
{
    const char *const text = bytes;
    struct vine_http_slice data = {text, 0};
    size_t at = 0, used;
    int result = VINE_HTTP_MORE;

    if (body->stage == STAGE_REFUSED)
        return -VINE_EPROTOCOL;
    for (; at < size_bytes && body->stage != STAGE_DATA && body->stage < STAGE_TRAILERS; at++) {
        const char *const what = read_framing(body, text[at]);

        if (what != NULL)
            return refuse(body, 400, body->offset + at, what);
    }
    body->offset += at;
    if (body->stage == STAGE_TRAILERS) {
        result = read_trailers(body, text + at, size_bytes - at, &used);
        if (result < 0)
            return result;
        at += used;
        body->offset += used;
    } else if (body->stage == STAGE_END) {
        result = VINE_HTTP_END;
    } else if (body->stage == STAGE_DATA && at < size_bytes) {
        data.text = text + at;
        data.size = size_bytes - at < body->left ? size_bytes - at : (size_t)body->left;
        at += data.size;
        count(body, data.size);
        result = VINE_HTTP_DATA;
    }
    *ret_used = at;
    *ret_data = data;
    return result;
}

VINE__INSIDE uint64_t vine_http_body_direct(const struct vine_http_body *body)
{
    return body->stage == STAGE_DATA ? body->left : 0;
}

VINE__INSIDE void vine_http_body_moved(struct vine_http_body *body, uint64_t size_bytes)
{
    VINE__INSIDE_CHECK(size_bytes <= vine_http_body_direct(body));
    count(body, size_bytes);
}

VINE__INSIDE int vine_http_body_closed(struct vine_http_body *body)
{
    if (body->stage == STAGE_REFUSED)
        return -VINE_EPROTOCOL;
    if (body->stage != STAGE_END && body->framing != VINE_HTTP_CLOSE)
        return refuse(body, 400, body->offset, "a body that is cut short");
    body->stage = STAGE_END;
    return 0;
}
