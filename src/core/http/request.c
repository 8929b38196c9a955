/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests (RFC 9112 2 and 3). */
#include "http_internal.h"

/* Longer ones than any that is known get 501 (RFC 9112 3). */
#define METHOD_MAX 32u

/* ---- methods --------------------------------------------------------------------------------- */

#define METHODS(X)                                                                                 \
    X(GET)                                                                                         \
    X(HEAD)                                                                                        \
    X(POST)                                                                                        \
    X(PUT)                                                                                         \
    X(DELETE)                                                                                      \
    X(CONNECT)                                                                                     \
    X(OPTIONS)                                                                                     \
    X(TRACE)                                                                                       \
    X(PATCH)

static const char *const method_names[VINE_HTTP_METHOD_COUNT] = {[VINE_HTTP_OTHER] = "",
#define NAME(method) [VINE_HTTP_##method] = #method,
                                                                 METHODS(NAME)
#undef NAME
};

VINE__INSIDE const char *vine_http_method_name(enum vine_http_method method)
{
    return (unsigned)method < VINE_HTTP_METHOD_COUNT ? method_names[method] : "";
}

VINE__INSIDE static uint8_t method_of(struct vine_http_slice name)
{
    for (unsigned method = VINE_HTTP_OTHER + 1; method < VINE_HTTP_METHOD_COUNT; method++)
        if (strlen(method_names[method]) == name.size &&
            memcmp(method_names[method], name.text, name.size) == 0)
            return (uint8_t)method;
    return VINE_HTTP_OTHER;
}

/* ---- the request line ------------------------------------------------------------------------ */

/* All of these return 1 and where they ended, 0 where more bytes are wanted, or -VINE_EPROTOCOL. */

VINE__INSIDE static int read_method(struct vine_http_request *request, const char *at,
                                    const char *end, const char **ret_at)
{
    struct vine_http_head *const head = &request->head;
    const char *const start = at;

    if (end - at >= 4 && memcmp(at, "GET ", 4) == 0) {
        request->method = VINE_HTTP_GET;
        request->method_name = (struct vine_http_span){(uint16_t)(start - head->bytes), 3};
        *ret_at = at + 4;
        return 1;
    }
    while (at < end && vine__http_is_class(*at, VINE__HTTP_TOKEN)) {
        if ((size_t)(at - start) >= METHOD_MAX)
            return vine__http_refuse(head, 501, (size_t)(at - head->bytes),
                                     "a method that is longer than any");
        at++;
    }
    if (at == end)
        return 0;
    if (*at != ' ' || at == start)
        return vine__http_refuse_byte(head, (size_t)(at - head->bytes),
                                      *at == '\x16' && at == start
                                          ? "this looks like TLS, which is not spoken here"
                                          : "a request that begins with no method");
    const struct vine_http_slice name = {start, (size_t)(at - start)};

    request->method = method_of(name);
    request->method_name =
        (struct vine_http_span){(uint16_t)(start - head->bytes), (uint16_t)name.size};
    *ret_at = at + 1;
    return 1;
}

/* The first byte that is not of a target, or '?' from `at` on, or `end`. */
VINE__INSIDE static inline const char *find_target_end(const char *at, const char *end)
{
    while (end - at >= 8) {
        const uint64_t word = vine__http_load(at);
        const uint64_t marks = vine__http_mark_below(word, 0x21) |
                               vine__http_mark_equal(word, '?') | vine__http_mark_equal(word, '#') |
                               vine__http_mark_equal(word, 0x7f) | (word & VINE__HTTP_HIGHS);

        if (marks != 0)
            return at + vine__http_first_mark(marks);
        at += 8;
    }
    while (at < end && vine__http_is_class(*at, VINE__HTTP_TARGET))
        at++;
    return at;
}

VINE__INSIDE static inline int read_target(struct vine_http_request *request, const char *at,
                                           const char *end, const char **ret_at)
{
    struct vine_http_head *const head = &request->head;
    const char *const start = at;
    const char *question = NULL;

    at = find_target_end(at, end);
    while (at < end && *at == '?') {
        question = question == NULL ? at : question;
        at = find_target_end(at + 1, end);
    }
    if (at == end)
        return 0;
    if (at == start && *at != '#')
        return vine__http_refuse_byte(head, (size_t)(at - head->bytes),
                                      "a request without a target");
    if (*at != ' ')
        return vine__http_refuse_byte(head, (size_t)(at - head->bytes),
                                      *at == '\r' ? "a request line without a version"
                                                  : "a character that no target has");
    request->target.at = (uint16_t)(start - head->bytes);
    request->target.size = (uint16_t)(at - start);
    request->has_query = question != NULL;
    request->query.at = (uint16_t)(request->has_query ? question + 1 - head->bytes : 0);
    request->query.size = (uint16_t)(request->has_query ? at - question - 1 : 0);
    *ret_at = at + 1;
    return 1;
}

/* A version that is not plainly HTTP/1.1 or 1.0, or not whole. */
VINE__INSIDE __attribute__((noinline)) static int
read_odd_version(struct vine_http_request *request, const char *at, const char *end,
                 const char **ret_at)
{
    static const char pattern[] = "HTTP/d.d\r\n";
    struct vine_http_head *const head = &request->head;

    for (unsigned i = 0; i < sizeof(pattern) - 1; i++) {
        if (at + i == end)
            return 0;
        if (pattern[i] == 'd' ? vine__http_is_digit(at[i]) : at[i] == pattern[i])
            continue;
        return vine__http_refuse_byte(head, (size_t)(at + i - head->bytes),
                                      i < 8 ? "a version that is none of HTTP's"
                                            : "something behind the version");
    }
    if (at[5] != '1')
        return vine__http_refuse(head, 505, (size_t)(at + 5 - head->bytes),
                                 "a version other than HTTP/1");
    request->minor = at[7] != '0';
    *ret_at = at + sizeof(pattern) - 1;
    return 1;
}

VINE__INSIDE static inline int read_version(struct vine_http_request *request, const char *at,
                                            const char *end, const char **ret_at)
{
    if (end - at < 10 || memcmp(at, "HTTP/1.1\r\n", 10) != 0)
        return read_odd_version(request, at, end, ret_at);
    request->minor = 1;
    *ret_at = at + 10;
    return 1;
}

/* ---- targets (RFC 9112 3.2) ------------------------------------------------------------------ */

/* "http://authority/path": what is behind the scheme, or 0. */
VINE__INSIDE static size_t scheme_size(struct vine_http_slice target)
{
    if (target.size >= 7 && vine__http_same(target.text, "http://", 7))
        return 7;
    if (target.size >= 8 && vine__http_same(target.text, "https://", 8))
        return 8;
    return 0;
}

VINE__INSIDE static int read_absolute(struct vine_http_request *request,
                                      struct vine_http_slice target)
{
    const size_t scheme = scheme_size(target);
    const size_t path_end =
        target.size - (request->has_query ? (size_t)request->query.size + 1 : 0);
    size_t at = scheme;

    if (scheme == 0)
        return vine__http_refuse(&request->head, 400, request->target.at,
                                 "a target that is neither a path nor an address");
    while (at < path_end && target.text[at] != '/')
        at++;
    const struct vine_http_slice authority = {target.text + scheme, at - scheme};

    /* RFC 9110 4.2.1: an http URI with an empty host is invalid. */
    if (authority.size == 0 || authority.text[0] == ':' ||
        !vine__http_is_authority(authority, false))
        return vine__http_refuse(&request->head, 400, request->target.at + scheme,
                                 "a target whose host is none");
    request->target_form = VINE_HTTP_ABSOLUTE_FORM;
    request->authority.at = (uint16_t)(request->target.at + scheme);
    request->authority.size = (uint16_t)authority.size;
    request->path.at = (uint16_t)(request->target.at + at);
    request->path.size = (uint16_t)(path_end - at);
    return 1;
}

/* Of CONNECT, of OPTIONS, or absolute. */
VINE__INSIDE __attribute__((noinline)) static int read_odd_target(struct vine_http_request *request)
{
    struct vine_http_head *const head = &request->head;
    const struct vine_http_slice target = vine_http_text(head, request->target);

    request->path = (struct vine_http_span){request->target.at, 0};
    if (request->method == VINE_HTTP_CONNECT) {
        if (!vine__http_is_authority(target, true))
            return vine__http_refuse(head, 400, request->target.at,
                                     "CONNECT to what is no host and port");
        request->target_form = VINE_HTTP_AUTHORITY_FORM;
        request->authority = request->target;
        return 1;
    }
    if (target.size == 1 && target.text[0] == '*') {
        if (request->method != VINE_HTTP_OPTIONS)
            return vine__http_refuse(head, 400, request->target.at,
                                     "a target of '*' with a method other than OPTIONS");
        request->target_form = VINE_HTTP_ASTERISK_FORM;
        return 1;
    }
    return read_absolute(request, target);
}

VINE__INSIDE static inline int classify_target(struct vine_http_request *request)
{
    const bool is_path = request->head.bytes[request->target.at] == '/';

    if (!is_path || request->method == VINE_HTTP_CONNECT)
        return read_odd_target(request);
    request->target_form = VINE_HTTP_ORIGIN_FORM;
    request->path.at = request->target.at;
    request->path.size = (uint16_t)(request->target.size -
                                    (request->has_query ? (size_t)request->query.size + 1 : 0));
    return 1;
}

/* ---- the head -------------------------------------------------------------------------------- */

VINE__INSIDE static int read_request_line(struct vine_http_request *request, size_t size_bytes)
{
    struct vine_http_head *const head = &request->head;
    const char *const end = head->bytes + size_bytes;
    const char *const start = head->bytes + head->line_at;
    const char *at = start;
    int result;

    /* RFC 9112 2.2: one empty line before a request is passed over. */
    if (head->line_at == 0 && at < end && *at == '\r') {
        if (end - at >= 2 && at[1] != '\n')
            return vine__http_refuse(head, 400, 0, VINE__HTTP_BARE_CR);
        if (end - at < 2)
            return vine__http_wait(head, 0, size_bytes);
        at += 2;
    }
    const size_t line_at = (size_t)(at - head->bytes);

    if ((result = read_method(request, at, end, &at)) > 0 &&
        (result = read_target(request, at, end, &at)) > 0 &&
        (result = read_version(request, at, end, &at)) > 0)
        result = classify_target(request);
    if (result > 0) {
        head->line_at = (uint16_t)(at - head->bytes);
        head->stage = VINE__HTTP_FIELD_LINES;
        return 1;
    }
    return result < 0 ? result : vine__http_wait(head, line_at, size_bytes);
}

/* RFC 9112 3.2: exactly one Host, which is valid; of HTTP/1.0 none or that. */
VINE__INSIDE static inline int check_host(struct vine_http_request *request)
{
    struct vine_http_head *const head = &request->head;

    if (!vine_http_has(head, VINE_HTTP_FIELD_HOST)) {
        if (request->minor == 0)
            return 0;
        return vine__http_refuse(head, 400, head->line_at, "a request without Host");
    }
    const struct vine_http_field *const field = &head->fields[head->first[VINE_HTTP_FIELD_HOST]];

    if ((head->repeated & VINE__HTTP_BIT(HOST)) != 0)
        return vine__http_refuse(head, 400,
                                 vine_http_next(head, VINE_HTTP_FIELD_HOST, field)->name_at,
                                 "more than one Host");
    if (!vine__http_is_authority(vine_http_field_value(head, field), false))
        return vine__http_refuse(head, 400, field->value_at, "a Host that is none");
    /* RFC 9112 3.2.2: what the target says counts, where it says something. */
    if (request->target_form == VINE_HTTP_ORIGIN_FORM ||
        request->target_form == VINE_HTTP_ASTERISK_FORM)
        request->authority = (struct vine_http_span){field->value_at, field->value_size};
    return 0;
}

/* RFC 9112 6.3: what two recipients could read differently is refused. */
VINE__INSIDE static int check_framing(struct vine_http_request *request)
{
    struct vine_http_head *const head = &request->head;
    const struct vine_http_field *coding;

    if (vine_http_has(head, VINE_HTTP_FIELD_CONTENT_LENGTH)) {
        if (vine__http_read_length(head, &request->content_length) != 0)
            return -VINE_EPROTOCOL;
        request->framing = VINE_HTTP_LENGTH;
    }
    if ((coding = vine_http_next(head, VINE_HTTP_FIELD_TRANSFER_ENCODING, NULL)) == NULL)
        return 0;
    if (request->framing == VINE_HTTP_LENGTH)
        return vine__http_refuse(head, 400, coding->name_at,
                                 "both Content-Length and Transfer-Encoding");
    if (request->minor == 0)
        return vine__http_refuse(head, 400, coding->name_at, "Transfer-Encoding in HTTP/1.0");
    request->framing = VINE_HTTP_CHUNKED;
    switch (vine__http_read_coding(head)) {
    case VINE__HTTP_CODING_CHUNKED:
        return 0;
    case VINE__HTTP_CODING_OTHERS:
        return vine__http_refuse(head, 501, coding->value_at,
                                 "a transfer coding other than chunked");
    case VINE__HTTP_CODING_UNENDED:
        return vine__http_refuse(head, 400, coding->value_at,
                                 "a Transfer-Encoding of which chunked is not the last");
    default:
        return vine__http_refuse(head, 400, coding->value_at, "a Transfer-Encoding that is none");
    }
}

/* RFC 9110 10.1.1. HTTP/1.0 has no expectations. */
VINE__INSIDE static int check_expect(struct vine_http_request *request)
{
    struct vine_http_head *const head = &request->head;
    const struct vine_http_field *field = NULL;

    if (request->minor == 0)
        return 0;
    while ((field = vine_http_next(head, VINE_HTTP_FIELD_EXPECT, field)) != NULL) {
        struct vine_http_slice rest = vine_http_field_value(head, field), member;

        while (vine_http_list_next(&rest, &member)) {
            if (!vine_http_is(member, "100-continue"))
                return vine__http_refuse(head, 417, field->value_at,
                                         "an expectation other than 100-continue");
            request->expects_continue = true;
        }
    }
    if (request->framing == VINE_HTTP_NO_BODY ||
        (request->framing == VINE_HTTP_LENGTH && request->content_length == 0))
        request->expects_continue = false;
    return 0;
}

/* Fields that a plain request has none of. */
VINE__INSIDE __attribute__((noinline)) static int check_control(struct vine_http_request *request)
{
    struct vine__http_connection connection;

    if (check_framing(request) != 0 || check_expect(request) != 0)
        return -VINE_EPROTOCOL;
    vine__http_read_connection(&request->head, &connection);
    request->keeps_alive = !connection.closes && (request->minor > 0 || connection.keeps_alive);
    request->offers_upgrade = request->minor > 0 && connection.upgrades &&
                              vine_http_has(&request->head, VINE_HTTP_FIELD_UPGRADE);
    return 0;
}

#define CONTROL                                                                                    \
    (VINE__HTTP_BIT(CONTENT_LENGTH) | VINE__HTTP_BIT(TRANSFER_ENCODING) |                          \
     VINE__HTTP_BIT(CONNECTION) | VINE__HTTP_BIT(EXPECT))

VINE__INSIDE void vine_http_request_init(struct vine_http_request *request,
                                         struct vine_http_field *fields, size_t field_max,
                                         size_t head_max)
{
    VINE__INSIDE_CHECK(fields != NULL && field_max > 0);
    vine__http_head_init(&request->head, fields, field_max, head_max);
    memset((char *)request + sizeof(request->head), 0, sizeof(*request) - sizeof(request->head));
}

VINE__INSIDE int vine_http_request_parse(struct vine_http_request *request, const void *bytes,
                                         size_t size_bytes)
{
    struct vine_http_head *const head = &request->head;
    const size_t size = size_bytes < head->size_max ? size_bytes : head->size_max;
    int result;

    head->bytes = bytes;
    if (head->stage >= VINE__HTTP_WHOLE)
        return head->stage == VINE__HTTP_WHOLE ? head->line_at : -VINE_EPROTOCOL;
    if (!vine__http_line_came(head, size))
        return 0;
    result = head->stage == VINE__HTTP_START_LINE ? read_request_line(request, size) : 1;
    if (result > 0)
        result = vine__http_fields(head, size);
    if (result > 0) {
        head->line_at = (uint16_t)result;
        request->keeps_alive = request->minor > 0;
        if (check_host(request) != 0 ||
            ((head->present & CONTROL) != 0 && check_control(request) != 0))
            return -VINE_EPROTOCOL;
        head->stage = VINE__HTTP_WHOLE;
    } else if (result == 0 && size == head->size_max) {
        return head->stage == VINE__HTTP_START_LINE
                   ? vine__http_refuse(head, 414, size, "a request line that is longer than taken")
                   : vine__http_refuse(head, 431, size, "a head that is longer than taken");
    }
    return result;
}
