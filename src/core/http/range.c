/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a representation (RFC 9110 14 and 15.3.7). */
#include <vine/http_resource.h>
#include <vine/http_writer.h>

#include "http_internal.h"
#include "resource_internal.h"

/* ---- what is asked for ----------------------------------------------------------------------- */

/* Digits at the start of a slice, of which they are taken; what is too large is the greatest.
 * Returns whether there were any. */
VINE__INSIDE static bool take_number(struct vine_http_slice *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t count = 0;

    while (count < text->size && vine__http_is_digit(text->text[count])) {
        const unsigned digit = (unsigned)(text->text[count] - '0');

        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
        count++;
    }
    text->text += count;
    text->size -= count;
    *ret_number = number;
    return count > 0;
}

enum spec {
    SPEC_WRONG,
    SPEC_NOWHERE, /* there is nothing of it */
    SPEC_EMPTY,   /* the end of what has no bytes */
    SPEC_THERE,
};

/* "0-499", "500-" or "-500" (RFC 9110 14.1.2). */
VINE__INSIDE static enum spec read_spec(struct vine_http_slice text, uint64_t content_size,
                                        struct vine_http_range *ret_range)
{
    uint64_t first = 0, last = UINT64_MAX;
    const bool has_first = take_number(&text, &first);
    bool has_last;

    if (text.size == 0 || text.text[0] != '-')
        return SPEC_WRONG;
    text.text++;
    text.size--;
    has_last = text.size > 0;
    if ((has_last && !take_number(&text, &last)) || text.size > 0 || (!has_first && !has_last))
        return SPEC_WRONG;
    if (!has_first) {
        if (last == 0)
            return SPEC_NOWHERE;
        if (content_size == 0)
            return SPEC_EMPTY;
        first = last < content_size ? content_size - last : 0;
        last = UINT64_MAX;
    }
    if (last < first)
        return SPEC_WRONG;
    if (first >= content_size)
        return SPEC_NOWHERE;
    ret_range->first = first;
    ret_range->size = (last < content_size ? last + 1 : content_size) - first;
    return SPEC_THERE;
}

VINE__INSIDE static uint64_t end_of(struct vine_http_range range)
{
    return range.first + range.size;
}

/* Put `range` behind the others, or into the place of the first one that it overlaps or touches.
 * Returns whether there was room. */
VINE__INSIDE static bool add_range(struct vine_http_range range, struct vine_http_range *ranges,
                                   size_t range_max, size_t *count)
{
    size_t place = *count;

    for (size_t i = 0; i < *count;) {
        if (range.first > end_of(ranges[i]) || ranges[i].first > end_of(range)) {
            i++;
            continue;
        }
        const uint64_t first = range.first < ranges[i].first ? range.first : ranges[i].first;
        const uint64_t end = end_of(range) > end_of(ranges[i]) ? end_of(range) : end_of(ranges[i]);

        range.first = first;
        range.size = end - first;
        place = i < place ? i : place;
        memmove(&ranges[i], &ranges[i + 1], (*count - i - 1) * sizeof(ranges[0]));
        --*count;
        /* It is larger now, and may touch one that it did not. */
        i = 0;
    }
    if (*count == range_max)
        return false;
    place = place < *count ? place : *count;
    memmove(&ranges[place + 1], &ranges[place], (*count - place) * sizeof(ranges[0]));
    ranges[place] = range;
    ++*count;
    return true;
}

/* "bytes=" of any case, taken off. */
VINE__INSIDE static bool skip_unit(struct vine_http_slice *text)
{
    if (text->size < 6 || !vine__http_same(text->text, "bytes=", 6))
        return false;
    text->text += 6;
    text->size -= 6;
    return true;
}

VINE__INSIDE unsigned vine_http_ranges(const struct vine_http_request *request,
                                       const struct vine_http_state *state, uint64_t content_size,
                                       struct vine_http_range *ranges, size_t range_max,
                                       size_t *ret_count)
{
    struct vine_http_slice rest, member;
    size_t count = 0, nowhere_count = 0;

    /* RFC 9110 14.2: of GET alone, and if it is what we understand. */
    if (request->method != VINE_HTTP_GET || (request->head.repeated & VINE__HTTP_BIT(RANGE)) != 0 ||
        !vine_http_value(&request->head, VINE_HTTP_FIELD_RANGE, &rest) || !skip_unit(&rest) ||
        !vine__http_if_range(request, state))
        return 200;
    while (vine_http_list_next(&rest, &member)) {
        struct vine_http_range range = {0, 0};

        switch (read_spec(member, content_size, &range)) {
        case SPEC_THERE:
            if (!add_range(range, ranges, range_max, &count))
                return 200;
            break;
        case SPEC_NOWHERE:
            nowhere_count++;
            break;
        default:
            return 200;
        }
    }
    if (count == 0)
        return nowhere_count > 0 ? 416 : 200;
    *ret_count = count;
    return 206;
}

/* ---- what is answered ------------------------------------------------------------------------ */

/* Of UINT64_MAX. */
#define DIGITS_MAX 20u

VINE__INSIDE static size_t digit_count(uint64_t number)
{
    size_t count = 1;

    while (number >= 10) {
        number /= 10;
        count++;
    }
    return count;
}

VINE__INSIDE static void write_number(struct vine_http_writer *writer, uint64_t number)
{
    char text[DIGITS_MAX];
    const size_t count = digit_count(number);

    for (size_t at = count; at-- > 0; number /= 10)
        text[at] = (char)('0' + number % 10);
    vine_http_write_bytes(writer, text, count);
}

#define FIELD "Content-Range: bytes "

VINE__INSIDE void vine_http_write_content_range(struct vine_http_writer *writer,
                                                struct vine_http_range range, uint64_t content_size)
{
    vine_http_write_bytes(writer, FIELD, sizeof(FIELD) - 1);
    write_number(writer, range.first);
    vine_http_write_bytes(writer, "-", 1);
    write_number(writer, end_of(range) - 1);
    vine_http_write_bytes(writer, "/", 1);
    write_number(writer, content_size);
    vine_http_write_end(writer);
}

VINE__INSIDE void vine_http_write_unsatisfied(struct vine_http_writer *writer,
                                              uint64_t content_size)
{
    vine_http_write_bytes(writer, FIELD "*/", sizeof(FIELD "*/") - 1);
    write_number(writer, content_size);
    vine_http_write_end(writer);
}

#define TYPE         "multipart/byteranges; boundary="
#define BOUNDARY_MAX 70u /* RFC 2046 5.1.1 */

VINE__INSIDE void vine_http_write_multipart_type(struct vine_http_writer *writer,
                                                 const struct vine_http_multipart *multipart)
{
    char text[sizeof(TYPE) + BOUNDARY_MAX];
    const size_t size = strnlen(multipart->boundary, BOUNDARY_MAX + 1);

    VINE__INSIDE_CHECK(size > 0 && size <= BOUNDARY_MAX);
    memcpy(text, TYPE, sizeof(TYPE) - 1);
    memcpy(text + sizeof(TYPE) - 1, multipart->boundary, size);
    vine_http_write_field(writer, "Content-Type",
                          (struct vine_http_slice){text, sizeof(TYPE) - 1 + size});
}

VINE__INSIDE uint64_t vine_http_multipart_size(const struct vine_http_multipart *multipart)
{
    /* Line ends around two dashes and the boundary. */
    const uint64_t line = 2 + 2 + strlen(multipart->boundary) + 2;
    const uint64_t type = multipart->content_type == NULL
                              ? 0
                              : strlen("Content-Type: \r\n") + strlen(multipart->content_type);
    uint64_t size = line + 2;

    for (size_t i = 0; i < multipart->range_count; i++) {
        const struct vine_http_range range = multipart->ranges[i];

        size += line + type + sizeof(FIELD) - 1 + digit_count(range.first) + 1 +
                digit_count(end_of(range) - 1) + 1 + digit_count(multipart->content_size) + 2 + 2 +
                range.size;
    }
    return size;
}

VINE__INSIDE void vine_http_write_part(struct vine_http_writer *writer,
                                       const struct vine_http_multipart *multipart, size_t index)
{
    VINE__INSIDE_CHECK(index <= multipart->range_count);
    vine_http_write_bytes(writer, "\r\n--", 4);
    vine_http_write_bytes(writer, multipart->boundary, strlen(multipart->boundary));
    if (index == multipart->range_count) {
        vine_http_write_bytes(writer, "--\r\n", 4);
        return;
    }
    vine_http_write_end(writer);
    if (multipart->content_type != NULL)
        vine_http_write_text(writer, "Content-Type", multipart->content_type);
    vine_http_write_content_range(writer, multipart->ranges[index], multipart->content_size);
    vine_http_write_end(writer);
}
