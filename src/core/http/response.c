/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of responses, as a client or a gateway reads them (RFC 9112 4, 6.3). */
#include "http_internal.h"

/* Returns 1 and where the line ended, 0 where more bytes are wanted, or -VINE_EPROTOCOL. A status
 * without a space behind it has no reason: some send that. */
VINE__INSIDE static int read_status_line(struct vine_http_response *response, const char *at,
                                         const char *end, const char **ret_at)
{
    static const char pattern[] = "HTTP/1.d ddd";
    struct vine_http_head *const head = &response->head;
    const char *const start = at;
    unsigned status = 0;

    for (unsigned i = 0; i < sizeof(pattern) - 1; i++, at++) {
        if (at == end)
            return 0;
        if (pattern[i] == 'd' ? !vine__http_is_digit(*at) : *at != pattern[i])
            return vine__http_refuse_byte(head, (size_t)(at - head->bytes),
                                          i < 9 ? "a version other than HTTP/1"
                                                : "a status that is no number");
        if (i >= 9)
            status = status * 10 + (unsigned)(*at - '0');
    }
    if (at == end)
        return 0;
    if (status < 100)
        return vine__http_refuse(head, 400, (size_t)(start + 9 - head->bytes),
                                 "a status that is no number");
    if (*at != ' ' && *at != '\r')
        return vine__http_refuse_byte(head, (size_t)(at - head->bytes),
                                      "a status that is no number");
    const char *const reason = *at == ' ' ? at + 1 : at;

    for (at = reason; at < end && vine__http_is_class(*at, VINE__HTTP_VALUE); at++)
        continue;
    if (end - at < 2 && (at == end || *at == '\r'))
        return 0;
    if (at[0] != '\r' || at[1] != '\n')
        return vine__http_refuse_byte(head, (size_t)(at - head->bytes),
                                      *at == '\r' ? VINE__HTTP_BARE_CR
                                                  : "a control character in a reason");
    response->minor = start[7] != '0';
    response->status = (uint16_t)status;
    response->reason.at = (uint16_t)(reason - head->bytes);
    response->reason.size = (uint16_t)(at - reason);
    *ret_at = at + 2;
    return 1;
}

/* By the order of RFC 9112 6.3. */
VINE__INSIDE static int check_framing(struct vine_http_response *response)
{
    struct vine_http_head *const head = &response->head;
    const bool succeeds = response->status >= 200 && response->status < 300;
    const struct vine_http_field *const coding =
        vine_http_next(head, VINE_HTTP_FIELD_TRANSFER_ENCODING, NULL);
    const bool has_length = vine_http_has(head, VINE_HTTP_FIELD_CONTENT_LENGTH);

    response->is_tunnel =
        response->status == 101 || (response->request_method == VINE_HTTP_CONNECT && succeeds);
    response->is_interim = response->status < 200 && response->status != 101;
    if (has_length && vine__http_read_length(head, &response->content_length) != 0)
        return -VINE_EPROTOCOL;
    if (coding != NULL && (response->minor == 0 || has_length))
        return vine__http_refuse(head, 400, coding->name_at,
                                 has_length ? "both Content-Length and Transfer-Encoding"
                                            : "Transfer-Encoding in HTTP/1.0");
    response->framing = VINE_HTTP_CLOSE;
    if (coding != NULL) {
        const enum vine__http_coding kind = vine__http_read_coding(head);

        if (kind == VINE__HTTP_CODING_WRONG)
            return vine__http_refuse(head, 400, coding->value_at,
                                     "a Transfer-Encoding that is none");
        if (kind == VINE__HTTP_CODING_OTHERS)
            return vine__http_refuse(head, 400, coding->value_at,
                                     "a transfer coding other than chunked");
        if (kind == VINE__HTTP_CODING_CHUNKED)
            response->framing = VINE_HTTP_CHUNKED;
    } else if (has_length) {
        response->framing = VINE_HTTP_LENGTH;
    }
    if (response->status < 200 || response->status == 204 || response->status == 304 ||
        response->request_method == VINE_HTTP_HEAD || response->is_tunnel)
        response->framing = VINE_HTTP_NO_BODY;
    return 0;
}

VINE__INSIDE static int check(struct vine_http_response *response)
{
    struct vine__http_connection connection;

    if (check_framing(response) != 0)
        return -VINE_EPROTOCOL;
    vine__http_read_connection(&response->head, &connection);
    response->keeps_alive = !connection.closes && !response->is_tunnel &&
                            response->framing != VINE_HTTP_CLOSE &&
                            (response->minor > 0 || connection.keeps_alive);
    return 0;
}

VINE__INSIDE void vine_http_response_init(struct vine_http_response *response,
                                          enum vine_http_method request_method,
                                          struct vine_http_field *fields, size_t field_max,
                                          size_t head_max)
{
    VINE__INSIDE_CHECK(fields != NULL && field_max > 0);
    vine__http_head_init(&response->head, fields, field_max, head_max);
    memset((char *)response + sizeof(response->head), 0,
           sizeof(*response) - sizeof(response->head));
    response->request_method = (uint8_t)request_method;
}

VINE__INSIDE static int parse(struct vine_http_response *response, size_t size)
{
    struct vine_http_head *const head = &response->head;
    int result = 1;

    if (!vine__http_line_came(head, size))
        return 0;
    if (head->stage == VINE__HTTP_START_LINE) {
        const char *at = head->bytes;

        result = read_status_line(response, at, head->bytes + size, &at);
        if (result == 0)
            (void)vine__http_wait(head, 0, size);
        if (result > 0) {
            head->line_at = (uint16_t)(at - head->bytes);
            head->stage = VINE__HTTP_FIELD_LINES;
        }
    }
    if (result > 0)
        result = vine__http_fields(head, size);
    if (result == 0 && size == head->size_max)
        return vine__http_refuse(head, 431, size, "a head that is longer than taken");
    if (result > 0) {
        head->line_at = (uint16_t)result;
        head->stage = VINE__HTTP_WHOLE;
        if (check(response) != 0)
            return -VINE_EPROTOCOL;
    }
    return result;
}

VINE__INSIDE int vine_http_response_parse(struct vine_http_response *response, const void *bytes,
                                          size_t size_bytes)
{
    struct vine_http_head *const head = &response->head;
    int result;

    head->bytes = bytes;
    if (head->stage >= VINE__HTTP_WHOLE)
        return head->stage == VINE__HTTP_WHOLE ? head->line_at : -VINE_EPROTOCOL;
    result = parse(response, size_bytes < head->size_max ? size_bytes : head->size_max);
    if (result < 0)
        head->refusal.status = 502;
    return result;
}
