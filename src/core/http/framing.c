/* SPDX-License-Identifier: Apache-2.0 */
/* How a message ends, and whether its connection stays (RFC 9112 6, 7, 9.3). */
#include "http_internal.h"

VINE__INSIDE void vine__http_read_connection(const struct vine_http_head *head,
                                             struct vine__http_connection *ret_connection)
{
    struct vine__http_connection connection = {.closes = false};
    const struct vine_http_field *field = NULL;

    while ((field = vine_http_next(head, VINE_HTTP_FIELD_CONNECTION, field)) != NULL) {
        struct vine_http_slice rest = vine_http_field_value(head, field), member;

        while (vine_http_list_next(&rest, &member)) {
            connection.closes |= vine_http_is(member, "close");
            connection.keeps_alive |= vine_http_is(member, "keep-alive");
            connection.upgrades |= vine_http_is(member, "upgrade");
        }
    }
    *ret_connection = connection;
}

VINE__INSIDE int vine__http_read_length(struct vine_http_head *head, uint64_t *ret_length)
{
    const struct vine_http_field *const field =
        vine_http_next(head, VINE_HTTP_FIELD_CONTENT_LENGTH, NULL);

    if ((head->repeated & VINE__HTTP_BIT(CONTENT_LENGTH)) != 0)
        return vine__http_refuse(
            head, 400, vine_http_next(head, VINE_HTTP_FIELD_CONTENT_LENGTH, field)->name_at,
            "more than one Content-Length");
    if (!vine__http_number(vine_http_field_value(head, field), ret_length))
        return vine__http_refuse(head, 400, field->value_at, "a Content-Length that is no number");
    return 0;
}

/* The name of a coding: what stands before its parameters, if it has such. */
VINE__INSIDE static struct vine_http_slice coding_name(struct vine_http_slice member)
{
    for (size_t i = 0; i < member.size; i++)
        if (member.text[i] == ';')
            member.size = i;
    return vine__http_trim(member);
}

VINE__INSIDE enum vine__http_coding vine__http_read_coding(const struct vine_http_head *head)
{
    const struct vine_http_field *field = NULL;
    size_t count = 0, chunked_count = 0;
    bool is_last = false;

    while ((field = vine_http_next(head, VINE_HTTP_FIELD_TRANSFER_ENCODING, field)) != NULL) {
        struct vine_http_slice rest = vine_http_field_value(head, field), member;

        while (vine_http_list_next(&rest, &member)) {
            if (!vine__http_is_token(coding_name(member)))
                return VINE__HTTP_CODING_WRONG;
            /* With parameters it is none that we know (RFC 9112 7.1: it has none). */
            is_last = vine_http_is(member, "chunked");
            chunked_count += is_last;
            count++;
        }
    }
    if (count == 0 || chunked_count > 1 || (chunked_count == 1 && !is_last))
        return VINE__HTTP_CODING_WRONG;
    if (chunked_count == 0)
        return VINE__HTTP_CODING_UNENDED;
    return count == 1 ? VINE__HTTP_CODING_CHUNKED : VINE__HTTP_CODING_OTHERS;
}
